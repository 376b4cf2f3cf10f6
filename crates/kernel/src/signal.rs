//! Signals as data: masks, [signalfd(2)](https://man7.org/linux/man-pages/man2/signalfd.2.html),
//! dispositions and sending.
#![expect(unsafe_code, reason = "signal calls take pointers to masks and siginfo")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::errno::check;

/// The highest signal number.
pub const MAX: i32 = 64;

/// A set of signals as the kernel sees it: bit `n - 1` is signal `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalSet(u64);

impl SignalSet {
    /// No signal.
    pub const EMPTY: Self = Self(0);
    /// Every signal; the kernel leaves out `SIGKILL` and `SIGSTOP` by itself.
    pub const ALL: Self = Self(u64::MAX);

    /// The set without `signal`.
    #[must_use]
    pub const fn without(self, signal: i32) -> Self {
        Self(self.0 & !(1 << (signal - 1)))
    }

    /// Whether `signal` is in the set.
    #[must_use]
    pub const fn contains(self, signal: i32) -> bool {
        self.0 >> (signal - 1) & 1 == 1
    }

    /// The kernel's bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// From the kernel's bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// Replaces the caller's signal mask and returns the old one. Goes to the kernel directly:
/// glibc would leave its two private signals out.
///
/// # Errors
/// None is expected.
pub fn set_mask(set: SignalSet) -> io::Result<SignalSet> {
    let mut old = 0_u64;
    // SAFETY: both pointers are to 8 bytes, which is the size passed.
    check(unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const set.0, &raw mut old, size_of::<u64>())
    })?;
    Ok(SignalSet(old))
}

/// Sets the disposition of `signal` to the default.
///
/// # Errors
/// `EINVAL` for `SIGKILL`, `SIGSTOP` and numbers that are no signals.
pub fn set_default(signal: i32) -> io::Result<()> {
    // SAFETY: SIG_DFL is no function of ours that could be called at a bad moment.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_DFL;
        check(libc::sigaction(signal, &raw const action, std::ptr::null_mut())).map(drop)
    }
}

/// Takes signals that are blocked and pending, without what they would do,
/// [sigtimedwait(2)](https://man7.org/linux/man-pages/man2/sigtimedwait.2.html).
///
/// # Errors
/// None is expected.
pub fn forget_pending(signals: &[i32]) -> io::Result<()> {
    // SAFETY: the set is initialised before it is read, and no information is asked for.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        loop {
            match check(libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const now)) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// One signal that was taken from a [`SignalQueue`].
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Signal number.
    pub signal: i32,
    /// `si_code`: `SI_KERNEL`, `SI_USER`, `SI_QUEUE`, …
    pub code: i32,
    /// Who sent it, 0 when the sender is not in our pid namespace.
    pub sender: i32,
    /// The real uid of the sender.
    pub sender_uid: u32,
    /// The value that came with it (`sigqueue(3)`).
    pub value: u64,
}

/// All signals of the process, read one by one instead of being handled.
#[derive(Debug)]
pub struct SignalQueue(OwnedFd);

impl SignalQueue {
    /// Opens the queue; the caller has blocked the signals (see [`set_mask`]).
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        let all = SignalSet::ALL.0;
        // SAFETY: the mask is 8 bytes as said; the result is a fresh descriptor.
        unsafe {
            let number = check(libc::syscall(
                libc::SYS_signalfd4,
                -1,
                &raw const all,
                size_of::<u64>(),
                libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
            ))?;
            Ok(Self(OwnedFd::from_raw_fd(number as i32)))
        }
    }

    /// The next signal, or `None` when there is none now.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn next(&self) -> io::Result<Option<Received>> {
        // SAFETY: all-zero is a valid `signalfd_siginfo`; the kernel writes at most its size.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let read = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), size_of_val(&info)) };
        if read < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
        }
        if read.unsigned_abs() != size_of_val(&info) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(Received {
            signal: info.ssi_signo as i32,
            code: info.ssi_code,
            sender: info.ssi_pid as i32,
            sender_uid: info.ssi_uid,
            value: info.ssi_ptr,
        }))
    }
}

impl AsFd for SignalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends `signal` to process `pid` ([kill(2)](https://man7.org/linux/man-pages/man2/kill.2.html)).
///
/// # Errors
/// `ESRCH`, `EPERM`, `EINVAL`.
pub fn send(pid: i32, signal: i32) -> io::Result<()> {
    assert!(pid > 0, "a process, never a group");
    // SAFETY: takes no pointer.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Sends `signal` with a value ([rt_sigqueueinfo(2)](https://man7.org/linux/man-pages/man2/rt_sigqueueinfo.2.html)).
///
/// # Errors
/// `ESRCH`, `EPERM`, `EAGAIN` when `RLIMIT_SIGPENDING` is reached.
pub fn send_with_value(pid: i32, received: &Received) -> io::Result<()> {
    /// `siginfo_t` of `SI_QUEUE` on 64-bit Linux: 128 bytes, padding after `si_code`.
    #[repr(C)]
    struct Info {
        signal: i32,
        errno: i32,
        code: i32,
        padding: i32,
        sender: i32,
        uid: u32,
        value: u64,
        rest: [u64; 12],
    }
    let info = Info {
        signal: received.signal,
        errno: 0,
        code: libc::SI_QUEUE,
        padding: 0,
        sender: received.sender,
        uid: received.sender_uid,
        value: received.value,
        rest: [0; 12],
    };
    const { assert!(size_of::<Info>() == 128) };
    // SAFETY: the kernel reads 128 bytes, the size of `Info`.
    check(unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, received.signal, &raw const info) }).map(drop)
}
