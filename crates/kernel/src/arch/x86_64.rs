//! x86-64 and, on the same kernel, 32-bit x86.

use std::ffi::CStr;

use super::Cookie;
use crate::seccomp::{Instruction, Verdict};

/// The two system call interfaces of an x86-64 kernel that programs use (x32 is refused).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abi {
    /// 64-bit.
    Native,
    /// 32-bit (i386).
    Compat,
}

impl Abi {
    /// Size of a pointer in bytes.
    #[must_use]
    pub const fn pointer_size(self) -> usize {
        match self {
            Self::Native => 8,
            Self::Compat => 4,
        }
    }

    /// The instruction that enters the kernel: `syscall`, `int 0x80`.
    #[must_use]
    pub const fn syscall_instruction(self) -> [u8; 2] {
        match self {
            Self::Native => [0x0f, 0x05],
            Self::Compat => [0xcd, 0x80],
        }
    }

    /// What the kernel calls the machine in a program's auxiliary vector (`AT_PLATFORM`).
    #[must_use]
    pub const fn platform(self) -> &'static CStr {
        match self {
            Self::Native => c"x86_64",
            Self::Compat => c"i686",
        }
    }

    /// Bounds (first, one past last) of the addresses among which a tree's secret region is
    /// placed: below where the kernel starts to place libraries, away from the fixed ranges
    /// of the sanitizers, Go and the JVM; for 32 bits between the heap and the libraries.
    #[must_use]
    pub const fn secret_range(self) -> (usize, usize) {
        match self {
            Self::Native => (0x7e80_0000_0000, 0x7ec0_0000_0000),
            Self::Compat => (0x6000_0000, 0x7000_0000),
        }
    }
}

/// System calls that are injected into a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syscall {
    /// `capset(header, data)`.
    Capset,
    /// `clone(flags, 0, 0, 0, 0)`.
    Clone,
    /// `close(fd)`.
    Close,
    /// `execve`; without the cookie it only traps to the supervisor.
    Execve,
    /// `madvise(address, length, advice)`.
    Madvise,
    /// `mlock(address, length)`.
    Mlock,
    /// `mmap(address, length, protection, flags, fd, page)` (`mmap2` on 32 bits).
    Mmap,
    /// `prctl(option, …)`.
    Prctl,
    /// `read(fd, address, length)`.
    Read,
}

impl Syscall {
    const fn number(self, abi: Abi) -> u64 {
        match (self, abi) {
            (Self::Capset, Abi::Native) => 126,
            (Self::Capset, Abi::Compat) => 185,
            (Self::Clone, Abi::Native) => 56,
            (Self::Clone, Abi::Compat) => 120,
            (Self::Close, Abi::Native) => 3,
            (Self::Close, Abi::Compat) => 6,
            (Self::Execve, Abi::Native) => EXECVE,
            (Self::Execve, Abi::Compat) => EXECVE_32,
            (Self::Madvise, Abi::Native) => 28,
            (Self::Madvise, Abi::Compat) => 219,
            (Self::Mlock, Abi::Native) => 149,
            (Self::Mlock, Abi::Compat) => 150,
            (Self::Mmap, Abi::Native) => 9,
            (Self::Mmap, Abi::Compat) => 192,
            (Self::Prctl, Abi::Native) => 157,
            (Self::Prctl, Abi::Compat) => 172,
            (Self::Read, Abi::Native) => 0,
            (Self::Read, Abi::Compat) => 3,
        }
    }
}

/// One of the four ways to ask for a new program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecCall {
    /// Who calls.
    pub abi: Abi,
    /// Whether it is `execveat` instead of `execve`.
    pub at: bool,
}

impl ExecCall {
    /// From what a seccomp notification says; `None` for any other call.
    #[must_use]
    pub fn from_notification(audit_arch: u32, number: i32) -> Option<Self> {
        let abi = match audit_arch {
            AUDIT_ARCH_X86_64 => Abi::Native,
            AUDIT_ARCH_I386 => Abi::Compat,
            _ => return None,
        };
        let number = u64::try_from(number).ok()?;
        let (execve, execveat) = exec_numbers(abi);
        (number == execve || number == execveat).then_some(Self { abi, at: number == execveat })
    }

    /// Which argument, counted from 0, is `envp`.
    #[must_use]
    pub const fn envp_argument(self) -> usize {
        if self.at { 3 } else { 2 }
    }
}

const EXECVE: u64 = 59;
const EXECVEAT: u64 = 322;
const EXECVE_32: u64 = 11;
const EXECVEAT_32: u64 = 358;
/// `__X32_SYSCALL_BIT`.
const X32: u32 = 0x4000_0000;
const X32_EXECVE: u32 = X32 | 520;
const X32_EXECVEAT: u32 = X32 | 545;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_I386: u32 = 0x4000_0003;
/// `__USER32_CS`.
const USER32_CS: u64 = 0x23;

const fn exec_numbers(abi: Abi) -> (u64, u64) {
    match abi {
        Abi::Native => (EXECVE, EXECVEAT),
        Abi::Compat => (EXECVE_32, EXECVEAT_32),
    }
}

/// The general registers of a stopped program.
#[derive(Clone, Copy)]
pub struct Registers(pub(crate) libc::user_regs_struct);

impl std::fmt::Debug for Registers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Registers(rip={:#x}, rax={:#x})", self.0.rip, self.0.rax)
    }
}

impl Registers {
    /// The interface that the program uses at this moment.
    #[must_use]
    pub const fn abi(&self) -> Abi {
        if self.0.cs == USER32_CS { Abi::Compat } else { Abi::Native }
    }

    /// The stack pointer.
    #[must_use]
    pub const fn stack_pointer(&self) -> usize {
        self.0.rsp as usize
    }

    /// Address of the instruction that entered the kernel, for a program that is in a system
    /// call or has just left one.
    #[must_use]
    pub const fn last_syscall(&self) -> usize {
        self.0.rip as usize - self.abi().syscall_instruction().len()
    }

    /// The same registers with another stack pointer.
    #[must_use]
    pub const fn with_stack_pointer(mut self, address: usize) -> Self {
        self.0.rsp = address as u64;
        self
    }

    /// What the last system call returned: a value, or `-errno`.
    #[must_use]
    pub const fn result(&self) -> i64 {
        match self.abi() {
            Abi::Native => self.0.rax.cast_signed(),
            Abi::Compat => (self.0.rax as u32).cast_signed() as i64,
        }
    }

    /// Whether the kernel has been asked for `call` since registers were set that were
    /// [calling](Self::calling) it: it notes the number itself.
    #[must_use]
    pub const fn has_made(&self, call: Syscall) -> bool {
        self.0.orig_rax as u32 as u64 == call.number(self.abi())
    }

    /// The same registers, about to make `call` with `arguments` at the system call
    /// instruction at `instruction`.
    #[must_use]
    pub const fn calling(mut self, instruction: usize, call: Syscall, arguments: [u64; 6]) -> Self {
        let abi = self.abi();
        let [a, b, c, d, e, f] = arguments;
        let regs = &mut self.0;
        regs.rip = instruction as u64;
        regs.rax = call.number(abi);
        regs.orig_rax = u64::MAX;
        match abi {
            Abi::Native => {
                regs.rdi = a;
                regs.rsi = b;
                regs.rdx = c;
                regs.r10 = d;
                regs.r8 = e;
                regs.r9 = f;
            }
            Abi::Compat => {
                regs.rbx = a;
                regs.rcx = b;
                regs.rdx = c;
                regs.rsi = d;
                regs.rdi = e;
                regs.rbp = f;
            }
        }
        self
    }

    /// The same registers, in which the restarted `call` takes `envp` from elsewhere and
    /// carries the cookie.
    #[must_use]
    pub const fn passing(mut self, call: ExecCall, envp: usize, cookie: &Cookie) -> Self {
        let envp = envp as u64;
        let [first, second, third] = cookie.0;
        let regs = &mut self.0;
        match (call.abi, call.at) {
            (Abi::Native, false) => {
                regs.rdx = envp;
                regs.r10 = first;
                regs.r8 = second;
                regs.r9 = third;
            }
            (Abi::Native, true) => {
                regs.r10 = envp;
                regs.r9 = first;
            }
            (Abi::Compat, false) => {
                regs.rdx = envp;
                regs.rsi = first & 0xffff_ffff;
                regs.rdi = second & 0xffff_ffff;
                regs.rbp = third & 0xffff_ffff;
            }
            (Abi::Compat, true) => {
                regs.rsi = envp;
                regs.rbp = first & 0xffff_ffff;
            }
        }
        self
    }

    /// The same registers with the argument registers of `original`, after an exec that
    /// failed; the result stays.
    #[must_use]
    pub const fn with_arguments_of(mut self, original: &Self) -> Self {
        let (regs, old) = (&mut self.0, &original.0);
        regs.rdx = old.rdx;
        regs.r10 = old.r10;
        regs.r8 = old.r8;
        regs.r9 = old.r9;
        if matches!(original.abi(), Abi::Compat) {
            regs.rsi = old.rsi;
            regs.rdi = old.rdi;
            regs.rbp = old.rbp;
        }
        self
    }
}

/// The `AUDIT_ARCH_*` value of the processor's own system call interface.
pub const AUDIT_ARCH: u32 = AUDIT_ARCH_X86_64;

/// The seccomp program: every `execve` and `execveat` goes to the supervisor unless it
/// carries the cookie, x32's are refused with `ENOSYS`, all other calls are allowed
/// without a look at their arguments.
#[must_use]
pub fn exec_filter(cookie: &Cookie) -> Vec<Instruction> {
    let native = abi_filter(Abi::Native, cookie);
    let compat = abi_filter(Abi::Compat, cookie);
    let mut program = vec![Instruction::load_arch(), Instruction::skip_unless_equal(AUDIT_ARCH_X86_64, native.len())];
    program.extend(native);
    program.push(Instruction::skip_unless_equal(AUDIT_ARCH_I386, compat.len()));
    program.extend(compat);
    program.push(Instruction::ret(Verdict::Errno(libc::ENOSYS)));
    program
}

fn abi_filter(abi: Abi, cookie: &Cookie) -> Vec<Instruction> {
    let (execve, execveat) = exec_numbers(abi);
    let mut program = vec![Instruction::load_number()];
    for (number, at) in [(execve, false), (execveat, true)] {
        let body = cookie_filter(ExecCall { abi, at }, cookie);
        program.push(Instruction::skip_unless_equal(number as u32, body.len()));
        program.extend(body);
    }
    if abi == Abi::Native {
        for number in [X32_EXECVE, X32_EXECVEAT] {
            program.push(Instruction::skip_unless_equal(number, 1));
            program.push(Instruction::ret(Verdict::Errno(libc::ENOSYS)));
        }
    }
    program.push(Instruction::ret(Verdict::Allow));
    program
}

fn cookie_filter(call: ExecCall, cookie: &Cookie) -> Vec<Instruction> {
    let [first, second, third] = cookie.0;
    let halves =
        |argument: usize, value: u64| [(argument, false, value as u32), (argument, true, (value >> 32) as u32)];
    let words: Vec<(usize, bool, u32)> = match (call.abi, call.at) {
        (Abi::Native, false) => [halves(3, first), halves(4, second), halves(5, third)].concat(),
        (Abi::Native, true) => halves(5, first).to_vec(),
        (Abi::Compat, false) => vec![(3, false, first as u32), (4, false, second as u32), (5, false, third as u32)],
        (Abi::Compat, true) => vec![(5, false, first as u32)],
    };
    let mut program = Vec::new();
    for (index, &(argument, high, value)) in words.iter().enumerate() {
        let rest = (words.len() - index - 1) * 2 + 1;
        program.push(Instruction::load_argument(argument, high));
        program.push(Instruction::skip_unless_equal(value, rest));
    }
    program.push(Instruction::ret(Verdict::Allow));
    program.push(Instruction::ret(Verdict::Notify));
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::{Data, run};

    const COOKIE: Cookie = Cookie([0x1122_3344_5566_7788, 0x99aa_bbcc_ddee_ff00, 0x0123_4567_89ab_cdef]);

    fn verdict(arch: u32, number: u64, arguments: [u64; 6]) -> Verdict {
        run(&exec_filter(&COOKIE), &Data { number: number as u32, arch, arguments })
    }

    #[test]
    fn plain_execs_are_notified() {
        assert_eq!(verdict(AUDIT_ARCH_X86_64, EXECVE, [0; 6]), Verdict::Notify);
        assert_eq!(verdict(AUDIT_ARCH_X86_64, EXECVEAT, [0; 6]), Verdict::Notify);
        assert_eq!(verdict(AUDIT_ARCH_I386, EXECVE_32, [0; 6]), Verdict::Notify);
        assert_eq!(verdict(AUDIT_ARCH_I386, EXECVEAT_32, [0; 6]), Verdict::Notify);
    }

    #[test]
    fn the_cookie_passes_and_every_wrong_half_does_not() {
        let [a, b, c] = COOKIE.0;
        assert_eq!(verdict(AUDIT_ARCH_X86_64, EXECVE, [0, 0, 0, a, b, c]), Verdict::Allow);
        assert_eq!(verdict(AUDIT_ARCH_X86_64, EXECVEAT, [0, 0, 0, 0, 0, a]), Verdict::Allow);
        for flip in 0..6 {
            let mut arguments = [0, 0, 0, a, b, c];
            arguments[3 + flip / 2] ^= 1 << (32 * (flip % 2));
            assert_eq!(verdict(AUDIT_ARCH_X86_64, EXECVE, arguments), Verdict::Notify, "flip {flip}");
        }
        let low = |value: u64| value & 0xffff_ffff;
        assert_eq!(verdict(AUDIT_ARCH_I386, EXECVE_32, [0, 0, 0, low(a), low(b), low(c)]), Verdict::Allow);
        assert_eq!(verdict(AUDIT_ARCH_I386, EXECVEAT_32, [0, 0, 0, 0, 0, low(a)]), Verdict::Allow);
        assert_eq!(verdict(AUDIT_ARCH_I386, EXECVEAT_32, [0, 0, 0, 0, 0, low(a) ^ 1]), Verdict::Notify);
    }

    #[test]
    fn x32_execs_and_unknown_interfaces_are_refused_and_the_rest_is_allowed() {
        let refused = Verdict::Errno(libc::ENOSYS);
        assert_eq!(verdict(AUDIT_ARCH_X86_64, u64::from(X32_EXECVE), [0; 6]), refused);
        assert_eq!(verdict(AUDIT_ARCH_X86_64, u64::from(X32_EXECVEAT), [0; 6]), refused);
        assert_eq!(verdict(0x1234, 0, [0; 6]), refused);
        assert_eq!(verdict(AUDIT_ARCH_X86_64, 1, [0; 6]), Verdict::Allow);
        assert_eq!(verdict(AUDIT_ARCH_I386, 59, [0; 6]), Verdict::Allow);
        assert_eq!(verdict(AUDIT_ARCH_X86_64, 11, [0; 6]), Verdict::Allow);
    }
}
