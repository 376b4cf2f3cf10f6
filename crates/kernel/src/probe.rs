//! Trying, from a child made for it, what another process may do to a third one.
//!
//! Whether a process is dumpable is nowhere to be read; it shows in what is refused to its
//! equals.
#![expect(unsafe_code, reason = "changes the credentials of a child with raw system calls")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::capability;
use crate::errno::check;
use crate::process::{self, Change, Ending, Fork};

/// Who tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Real, effective and saved user id.
    pub uid: u32,
    /// Real, effective and saved group id.
    pub gid: u32,
    /// The permitted capabilities, none of them effective.
    pub permitted: u64,
}

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It worked.
    Granted,
    /// `EPERM` or `EACCES`.
    Refused,
    /// Anything else, most likely because the process is gone.
    Failed,
}

/// What [`try_access`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Opening `/proc/PID/environ` for reading.
    pub environ: Answer,
    /// Opening `/proc/PID/mem` for reading; Yama may refuse this one too.
    pub memory: Answer,
    /// [get_robust_list(2)](https://man7.org/linux/man-pages/man2/get_robust_list.2.html), which
    /// asks for the right to look at the process, and compares *permitted* capabilities: an
    /// equal of the process is refused if, and only if, it is not dumpable.
    pub look: Answer,
}

/// Lets a child with the credentials of `identity` try to get at process `pid`, whose directory
/// below `/proc` is `directory`. Nothing is read.
///
/// # Errors
/// `EPERM` when the caller may not take these credentials; `EBUSY` when it has more threads
/// than one; `EAGAIN`, `ENOMEM`.
pub fn try_access(pid: i32, directory: BorrowedFd<'_>, identity: Identity) -> io::Result<Access> {
    match process::fork_single_threaded()? {
        Fork::Child => {
            let status = match become_identity(identity) {
                Ok(()) => pack([open(directory, c"environ"), open(directory, c"mem"), look_at(pid)]),
                Err(_) => CANNOT_BECOME,
            };
            process::exit_now(status)
        }
        Fork::Parent(child) => match process::wait_for(child)? {
            Change::Ended(Ending::Exited(status)) => {
                let [environ, memory, look] = unpack(status)?;
                Ok(Access { environ, memory, look })
            }
            _ => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
        },
    }
}

/// The exit status of a child that may not be who it should.
const CANNOT_BECOME: u8 = 255;

/// Two bits an answer.
fn pack(answers: [Answer; 3]) -> u8 {
    answers.iter().rev().fold(0, |status, answer| status << 2 | *answer as u8)
}

fn unpack(status: u8) -> io::Result<[Answer; 3]> {
    if status == CANNOT_BECOME {
        return Err(io::Error::from_raw_os_error(libc::EPERM));
    }
    Ok([0, 2, 4].map(|shift| match status >> shift & 3 {
        0 => Answer::Granted,
        1 => Answer::Refused,
        _ => Answer::Failed,
    }))
}

fn become_identity(Identity { uid, gid, permitted }: Identity) -> io::Result<()> {
    // SAFETY: takes no pointer; keeps the permitted set over the change of the user id.
    check(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) })?;
    // SAFETY: reads no group from the null pointer, as there are none. Whoever may not drop its
    // groups keeps them: access to processes does not depend on them.
    let _ = unsafe { libc::setgroups(0, std::ptr::null()) };
    // SAFETY: takes no pointer.
    check(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: takes no pointer.
    check(unsafe { libc::setresuid(uid, uid, uid) })?;
    capability::set_all(permitted, 0)
}

fn open(directory: BorrowedFd<'_>, name: &CStr) -> Answer {
    // SAFETY: the name ends in NUL; the child ends before anything could want the descriptor.
    let fd = unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    answer(check(fd))
}

fn look_at(pid: i32) -> Answer {
    let mut head = 0_usize;
    let mut length = 0_usize;
    // SAFETY: the kernel writes two words into the two variables.
    answer(check(unsafe { libc::syscall(libc::SYS_get_robust_list, pid, &raw mut head, &raw mut length) }))
}

fn answer<T>(result: io::Result<T>) -> Answer {
    match result {
        Ok(_) => Answer::Granted,
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES)) => Answer::Refused,
        Err(_) => Answer::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_pass_through_an_exit_status() {
        use Answer::{Failed, Granted, Refused};
        for answers in [[Granted; 3], [Refused; 3], [Failed; 3], [Granted, Refused, Failed]] {
            assert_eq!(unpack(pack(answers)).unwrap(), answers);
            assert_ne!(pack(answers), CANNOT_BECOME);
        }
        assert_eq!(unpack(CANNOT_BECOME).unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
}
