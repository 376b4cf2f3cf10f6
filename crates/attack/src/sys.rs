//! The system calls that only attacks need.
#![expect(unsafe_code, reason = "raw system calls and memory mappings of foreign files")]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr::NonNull;

/// What one `PTRACE_PEEKDATA` reads.
pub(crate) type Word = libc::c_long;

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(result: libc::c_long) -> io::Result<File> {
    let fd = check(result)?;
    // SAFETY: every caller passes the result of a call that returns a new descriptor, which
    // nobody else owns.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
}

/// Whether `haystack` contains `needle`.
pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    // SAFETY: both ranges are valid for reads of their length.
    let found = unsafe { libc::memmem(haystack.as_ptr().cast(), haystack.len(), needle.as_ptr().cast(), needle.len()) };
    !found.is_null()
}

/// [openat(2)](https://man7.org/linux/man-pages/man2/openat.2.html).
pub(crate) fn open_at(directory: BorrowedFd<'_>, path: &CStr, flags: i32) -> io::Result<File> {
    // SAFETY: `path` is NUL-terminated.
    owned(unsafe { libc::openat(directory.as_raw_fd(), path.as_ptr(), flags | libc::O_CLOEXEC) }.into())
}

/// A mount namespace of this process's own, from which nothing propagates.
pub(crate) fn unshare_mounts() -> io::Result<()> {
    // SAFETY: no pointer is involved.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) }.into())?;
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: the paths are NUL-terminated; null is allowed for the others with these flags.
    let result = unsafe { libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null()) };
    check(result.into()).map(drop)
}

/// Mounts a procfs at `place`.
pub(crate) fn mount_proc(place: &Path) -> io::Result<()> {
    let place = CString::new(place.as_os_str().as_bytes())?;
    let kind = c"proc".as_ptr();
    // SAFETY: all strings are NUL-terminated; procfs takes no data.
    check(unsafe { libc::mount(kind, place.as_ptr(), kind, 0, std::ptr::null()) }.into()).map(drop)
}

/// Unmounts what [`mount_proc`] mounted.
pub(crate) fn unmount(place: &Path) -> io::Result<()> {
    let place = CString::new(place.as_os_str().as_bytes())?;
    // SAFETY: the path is NUL-terminated.
    check(unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH) }.into()).map(drop)
}

/// The root of a procfs that is mounted nowhere: `fsopen(2)`, `fsconfig(2)`, `fsmount(2)`.
pub(crate) fn detached_proc() -> io::Result<File> {
    const FSCONFIG_CMD_CREATE: libc::c_long = 6;
    const CLOEXEC: libc::c_long = 1;
    // SAFETY: the name is NUL-terminated.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, c"proc".as_ptr(), CLOEXEC) })?;
    let (fd, null) = (context.as_raw_fd(), std::ptr::null::<u8>());
    // SAFETY: this command takes neither key nor value.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, null, null, 0) })?;
    // SAFETY: no pointer is involved.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, fd, CLOEXEC, 0) })
}

/// [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html), Linux 5.3.
pub(crate) fn pidfd_open(pid: i32) -> io::Result<File> {
    // SAFETY: no pointer is involved.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// [pidfd_getfd(2)](https://man7.org/linux/man-pages/man2/pidfd_getfd.2.html), Linux 5.6.
pub(crate) fn pidfd_getfd(process: BorrowedFd<'_>, number: i32) -> io::Result<File> {
    // SAFETY: no pointer is involved.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) })
}

/// A file mapped for reading.
pub(crate) struct Mapped {
    base: NonNull<u8>,
    length: usize,
}

/// Maps the first `length` bytes of `file`.
pub(crate) fn map(file: &File, length: usize) -> io::Result<Mapped> {
    // SAFETY: a new mapping at an address that the kernel chooses disturbs no other.
    let base =
        unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    match NonNull::new(base.cast()) {
        Some(base) => Ok(Mapped { base, length }),
        None => Err(io::Error::from_raw_os_error(libc::ENOMEM)),
    }
}

impl Mapped {
    /// What is in it. The victim may change it meanwhile, and may truncate it only by
    /// cooperating in the attack on itself.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the range stays mapped and readable until `self` is dropped, see `map`.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.length) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `map` was given; no reference outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

/// Sends `SIGABRT`.
pub(crate) fn abort(pid: i32) -> io::Result<()> {
    // SAFETY: no pointer is involved.
    check(unsafe { libc::kill(pid, libc::SIGABRT) }.into()).map(drop)
}

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
