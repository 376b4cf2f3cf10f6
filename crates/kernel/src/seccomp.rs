//! Seccomp filters and user notification,
//! [seccomp_unotify(2)](https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html).
//!
//! Minimum kernels: user notification 5.0, `CONTINUE` 5.5, `ADDFD` 5.9 and with `SEND` 5.14,
//! `WAIT_KILLABLE_RECV` 5.19.
#![expect(unsafe_code, reason = "seccomp(2) and its ioctls take pointers to kernel structures")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::errno::check;

/// One instruction of a classic BPF program over `struct seccomp_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    operand: u32,
}

/// What a filter decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The call goes on.
    Allow,
    /// The call fails with this error number.
    Errno(i32),
    /// The supervisor decides.
    Notify,
}

/// `BPF_LD | BPF_W | BPF_ABS`.
const LOAD: u16 = 0x20;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const JUMP_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JGE | BPF_K`.
const JUMP_AT_LEAST: u16 = 0x35;
/// `BPF_RET | BPF_K`.
const RETURN: u16 = 0x06;
const RET_ALLOW: u32 = 0x7fff_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const RET_USER_NOTIF: u32 = 0x7fc0_0000;

impl Instruction {
    const fn load(offset: u32) -> Self {
        Self { code: LOAD, if_true: 0, if_false: 0, operand: offset }
    }

    /// Loads the system call number.
    #[must_use]
    pub const fn load_number() -> Self {
        Self::load(0)
    }

    /// Loads the `AUDIT_ARCH_*` value.
    #[must_use]
    pub const fn load_arch() -> Self {
        Self::load(4)
    }

    /// Loads the low or `high` half of argument 0 to 5 (little-endian machines).
    #[must_use]
    pub const fn load_argument(argument: usize, high: bool) -> Self {
        Self::load(16 + 8 * argument as u32 + if high { 4 } else { 0 })
    }

    /// Goes on when the loaded word is `value`, else skips `count` (at most 255) instructions.
    #[must_use]
    pub const fn skip_unless_equal(value: u32, count: usize) -> Self {
        assert!(count <= u8::MAX as usize, "BPF jumps are 8 bits wide");
        Self { code: JUMP_EQUAL, if_true: 0, if_false: count as u8, operand: value }
    }

    /// Skips `count` (at most 255) instructions when the loaded word is `value`.
    #[must_use]
    pub const fn skip_if_equal(value: u32, count: usize) -> Self {
        assert!(count <= u8::MAX as usize, "BPF jumps are 8 bits wide");
        Self { code: JUMP_EQUAL, if_true: count as u8, if_false: 0, operand: value }
    }

    /// Skips `count` (at most 255) instructions when the loaded word is `value` or more.
    #[must_use]
    pub const fn skip_if_at_least(value: u32, count: usize) -> Self {
        assert!(count <= u8::MAX as usize, "BPF jumps are 8 bits wide");
        Self { code: JUMP_AT_LEAST, if_true: count as u8, if_false: 0, operand: value }
    }

    /// Ends with `verdict`.
    #[must_use]
    pub const fn ret(verdict: Verdict) -> Self {
        let operand = match verdict {
            Verdict::Allow => RET_ALLOW,
            Verdict::Errno(number) => RET_ERRNO | (number as u32 & 0xffff),
            Verdict::Notify => RET_USER_NOTIF,
        };
        Self { code: RETURN, if_true: 0, if_false: 0, operand }
    }
}

/// What a filter looks at.
#[derive(Clone, Copy, Debug)]
pub struct Data {
    /// System call number.
    pub number: u32,
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// The six arguments.
    pub arguments: [u64; 6],
}

/// Interprets a filter, so that tests can ask it questions without installing it.
///
/// # Panics
/// On a program that does not end or has an instruction that [`Instruction`] cannot build.
#[cfg(test)]
#[must_use]
pub(crate) fn run(program: &[Instruction], data: &Data) -> Verdict {
    let mut accumulator = 0;
    let mut index = 0;
    loop {
        let instruction = program[index];
        index += 1;
        match instruction.code {
            LOAD => {
                accumulator = match instruction.operand {
                    0 => data.number,
                    4 => data.arch,
                    offset => {
                        let word = (offset - 16) / 4;
                        (data.arguments[word as usize / 2] >> (32 * (word % 2))) as u32
                    }
                };
            }
            JUMP_AT_LEAST if accumulator >= instruction.operand => index += usize::from(instruction.if_true),
            JUMP_AT_LEAST => index += usize::from(instruction.if_false),
            JUMP_EQUAL if accumulator == instruction.operand => index += usize::from(instruction.if_true),
            JUMP_EQUAL => index += usize::from(instruction.if_false),
            RETURN => {
                return match instruction.operand {
                    RET_ALLOW => Verdict::Allow,
                    RET_USER_NOTIF => Verdict::Notify,
                    other => Verdict::Errno((other & 0xffff) as i32),
                };
            }
            other => panic!("instruction {other:#x}"),
        }
    }
}

/// `SECCOMP_SET_MODE_FILTER`.
const SET_MODE_FILTER: libc::c_long = 1;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`.
const LISTENER_FLAGS: libc::c_long = 1 << 3 | 1 << 5;

/// Installs `program` for the calling thread and returns the number of the new listener.
/// Async-signal-safe, for use between fork and exec.
///
/// # Errors
/// The error number: `EACCES` without `CAP_SYS_ADMIN` or `no_new_privs`, `EBUSY` when a filter
/// with a listener is installed already, `EINVAL` before Linux 5.19.
pub(crate) fn install_listener(program: &[Instruction]) -> Result<i32, i32> {
    let program = libc::sock_fprog { len: program.len() as libc::c_ushort, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: `Instruction` has the layout of `sock_filter`; the kernel copies the program.
    let number = unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, LISTENER_FLAGS, &raw const program) };
    if number < 0 {
        // SAFETY: errno is thread-local and was just set.
        return Err(unsafe { *libc::__errno_location() });
    }
    Ok(number as i32)
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct RawData {
    number: i32,
    arch: u32,
    instruction: u64,
    arguments: [u64; 6],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct RawNotification {
    id: u64,
    pid: u32,
    flags: u32,
    data: RawData,
}

#[repr(C)]
struct RawResponse {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

#[repr(C)]
struct RawAddfd {
    id: u64,
    flags: u32,
    source: u32,
    number: u32,
    number_flags: u32,
}

const fn ioctl_number(direction: u64, number: u64, size: usize) -> libc::Ioctl {
    direction << 30 | (size as u64) << 16 | (b'!' as u64) << 8 | number
}
const READ_WRITE: u64 = 3;
const WRITE: u64 = 1;
const IOCTL_RECV: libc::Ioctl = ioctl_number(READ_WRITE, 0, size_of::<RawNotification>());
const IOCTL_SEND: libc::Ioctl = ioctl_number(READ_WRITE, 1, size_of::<RawResponse>());
const IOCTL_ID_VALID: libc::Ioctl = ioctl_number(WRITE, 2, size_of::<u64>());
const IOCTL_ADDFD: libc::Ioctl = ioctl_number(WRITE, 3, size_of::<RawAddfd>());
const IOCTL_SET_FLAGS: libc::Ioctl = ioctl_number(WRITE, 4, size_of::<u64>());
/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`.
const FLAG_CONTINUE: u32 = 1;
/// `SECCOMP_ADDFD_FLAG_SEND`.
const ADDFD_SEND: u32 = 2;
/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`.
const SYNC_WAKE_UP: u64 = 1;

/// A system call that waits for our decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification {
    id: u64,
    /// The calling thread, 0 when it is not in our pid namespace.
    pub tid: i32,
    /// System call number.
    pub number: i32,
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// The six arguments.
    pub arguments: [u64; 6],
}

/// The answer to a [`Notification`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Let it run as it is.
    Continue,
    /// Make it fail with this error number.
    Fail(i32),
    /// Make the thread leave the kernel and call again (`ERESTARTNOINTR`). Only for a thread
    /// that is about to stop for us: without that the number reaches the program.
    Restart,
}

/// `ERESTARTNOINTR`, a kernel-internal error number.
const ERESTARTNOINTR: i32 = 513;

/// The supervisor's end of a filter that was installed with a listener.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    pub(crate) const fn new(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    fn ioctl<T>(&self, request: libc::Ioctl, argument: *mut T) -> io::Result<i32> {
        loop {
            // SAFETY: every request number encodes the size of the structure passed with it.
            match check(unsafe { libc::ioctl(self.0.as_raw_fd(), request, argument) }) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Wakes each side on the other's CPU (`SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`, Linux 6.6),
    /// which saves a round trip between CPUs.
    ///
    /// # Errors
    /// `ENOTTY` or `EINVAL` on older kernels.
    pub fn wake_on_same_cpu(&self) -> io::Result<()> {
        // SAFETY: this request takes the flags by value.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), IOCTL_SET_FLAGS, SYNC_WAKE_UP) }).map(drop)
    }

    /// Takes the next notification; waits for one, so poll first. `None` when the caller
    /// died in the meantime.
    ///
    /// # Errors
    /// Those of the `SECCOMP_IOCTL_NOTIF_RECV` ioctl other than `ENOENT`.
    pub fn receive(&self) -> io::Result<Option<Notification>> {
        let mut raw = RawNotification::default();
        match self.ioctl(IOCTL_RECV, &raw mut raw) {
            Ok(_) => Ok(Some(Notification {
                id: raw.id,
                tid: raw.pid as i32,
                number: raw.data.number,
                arch: raw.data.arch,
                arguments: raw.data.arguments,
            })),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the caller still waits: what was read of `tid` before this says yes was read
    /// of the right process.
    #[must_use]
    pub fn is_waiting(&self, notification: &Notification) -> bool {
        let mut id = notification.id;
        self.ioctl(IOCTL_ID_VALID, &raw mut id).is_ok()
    }

    /// Answers; `false` when the caller is gone.
    ///
    /// # Errors
    /// Those of the `SECCOMP_IOCTL_NOTIF_SEND` ioctl other than `ENOENT`.
    pub fn answer(&self, notification: &Notification, answer: Answer) -> io::Result<bool> {
        let (error, flags) = match answer {
            Answer::Continue => (0, FLAG_CONTINUE),
            Answer::Fail(number) => (-number, 0),
            Answer::Restart => (-ERESTARTNOINTR, 0),
        };
        let mut response = RawResponse { id: notification.id, value: 0, error, flags };
        match self.ioctl(IOCTL_SEND, &raw mut response) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Answers by putting a copy of `descriptor` into the caller's table, close-on-exec; its
    /// number there is what the call returns.
    ///
    /// # Errors
    /// `ENOENT` when the caller is gone, `EMFILE` when its table is full.
    pub fn answer_with_descriptor(&self, notification: &Notification, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        let mut request = RawAddfd {
            id: notification.id,
            flags: ADDFD_SEND,
            source: descriptor.as_raw_fd() as u32,
            number: 0,
            number_flags: libc::O_CLOEXEC as u32,
        };
        self.ioctl(IOCTL_ADDFD, &raw mut request).map(drop)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_numbers_and_layouts_are_the_kernels() {
        assert_eq!(size_of::<RawNotification>(), 80);
        assert_eq!(size_of::<RawResponse>(), 24);
        assert_eq!(size_of::<RawAddfd>(), 24);
        assert_eq!(size_of::<Instruction>(), size_of::<libc::sock_filter>());
        assert_eq!(IOCTL_RECV, 0xc050_2100);
        assert_eq!(IOCTL_SEND, 0xc018_2101);
        assert_eq!(IOCTL_ID_VALID, 0x4008_2102);
        assert_eq!(IOCTL_ADDFD, 0x4018_2103);
        assert_eq!(IOCTL_SET_FLAGS, 0x4008_2104);
    }
}
