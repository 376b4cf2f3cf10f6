//! A debugger's hold on a process, [ptrace(2)](https://man7.org/linux/man-pages/man2/ptrace.2.html).
#![expect(unsafe_code, reason = "ptrace(2) and waitpid(2)")]

use std::io;

use super::check;

/// What one `PTRACE_PEEKDATA` reads.
pub(crate) type Word = libc::c_long;

/// A process that is being traced by a hostile hand: unlike the launcher's, this tracer does
/// not take its victim along when it dies.
pub(crate) struct Tracee {
    pid: i32,
    original: Option<libc::user_regs_struct>,
}

impl Tracee {
    /// Attaches without stopping.
    pub(crate) fn seize(pid: i32) -> io::Result<Self> {
        ptrace(libc::PTRACE_SEIZE, pid, 0, 0)?;
        Ok(Self { pid, original: None })
    }

    /// Stops it and remembers its registers.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        ptrace(libc::PTRACE_INTERRUPT, self.pid, 0, 0)?;
        self.wait()?;
        self.original = Some(self.registers()?);
        Ok(())
    }

    /// One word of memory.
    pub(crate) fn peek(&self, address: usize) -> io::Result<Word> {
        let mut word: Word = 0;
        let into = &raw mut word;
        // SAFETY: the system call itself, unlike its libc wrapper, stores the word at `into`.
        let result = unsafe { libc::syscall(libc::SYS_ptrace, libc::PTRACE_PEEKDATA, self.pid, address, into) };
        check(result).map(|_| word)
    }

    /// Makes it execute a system call at an instruction of its own.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn call(&mut self, instruction: usize, number: libc::c_long, arguments: [u64; 3]) -> io::Result<u64> {
        let Some(mut registers) = self.original else {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        };
        registers.rip = instruction as u64;
        registers.rax = number as u64;
        // Not within a system call: nothing is restarted.
        registers.orig_rax = u64::MAX;
        [registers.rdi, registers.rsi, registers.rdx] = arguments;
        [registers.r10, registers.r8, registers.r9] = [0; 3];
        self.set_registers(&registers)?;
        ptrace(libc::PTRACE_SINGLESTEP, self.pid, 0, 0)?;
        self.wait()?;
        let result = self.registers()?.rax as i64;
        match i32::try_from(result) {
            Ok(errno @ -4095..=-1) => Err(io::Error::from_raw_os_error(-errno)),
            _ => Ok(result as u64),
        }
    }

    /// Gives it its registers back and lets it run.
    pub(crate) fn detach(self) -> io::Result<()> {
        if let Some(original) = &self.original {
            self.set_registers(original)?;
        }
        ptrace(libc::PTRACE_DETACH, self.pid, 0, 0)
    }

    fn registers(&self) -> io::Result<libc::user_regs_struct> {
        // SAFETY: all bits zero is a valid value of this struct of integers.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        ptrace(libc::PTRACE_GETREGS, self.pid, 0, (&raw mut registers) as usize)?;
        Ok(registers)
    }

    fn set_registers(&self, registers: &libc::user_regs_struct) -> io::Result<()> {
        ptrace(libc::PTRACE_SETREGS, self.pid, 0, std::ptr::from_ref(registers) as usize)
    }

    fn wait(&self) -> io::Result<()> {
        let mut status = 0;
        // SAFETY: `status` is a live int.
        check(unsafe { libc::waitpid(self.pid, &raw mut status, libc::__WALL) }.into())?;
        if libc::WIFSTOPPED(status) { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
    }
}

fn ptrace(request: libc::c_uint, pid: i32, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: the callers pass what the request takes, pointers to live structs included.
    check(unsafe { libc::ptrace(request, pid, address, data) }).map(drop)
}
