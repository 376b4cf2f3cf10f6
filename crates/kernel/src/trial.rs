//! Trying what this machine allows, each thing in a child of its own: a security filter may kill
//! whoever tries, and what is installed for a try must not stay.
#![expect(unsafe_code, reason = "makes the system calls that are on trial")]

use std::ffi::CStr;
use std::io;

use crate::errno::check;
use crate::process::{self, Change, Ending, Fork};
use crate::ptrace::{self, Events, Outcome, Running};
use crate::seccomp::{self, Instruction, Verdict};

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// It worked.
    Worked,
    /// It failed with this error number.
    Failed(i32),
    /// The child was killed by this signal, as by a seccomp filter.
    Killed(i32),
}

/// The exit status of a failure without an error number.
const NO_NUMBER: u8 = 255;

/// Lets a child do something.
///
/// # Errors
/// `EBUSY` when the caller has more threads than one; `EAGAIN`, `ENOMEM`.
pub fn in_child(action: impl FnOnce() -> io::Result<()>) -> io::Result<Trial> {
    match process::fork_single_threaded()? {
        Fork::Child => process::exit_now(match action() {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().and_then(|number| u8::try_from(number).ok()).unwrap_or(NO_NUMBER),
        }),
        Fork::Parent(child) => loop {
            match process::wait_for(child)? {
                Change::Ended(Ending::Exited(0)) => return Ok(Trial::Worked),
                Change::Ended(Ending::Exited(number)) => return Ok(Trial::Failed(i32::from(number))),
                Change::Ended(Ending::Killed(signal)) => return Ok(Trial::Killed(signal)),
                Change::Stopped { .. } | Change::Continued => {}
            }
        },
    }
}

/// Has a child ask to be traced by the caller and stop, as the launcher starts a program.
///
/// # Errors
/// `EPERM` where tracing is forbidden; what a seccomp filter says.
pub fn trace_willing_child() -> io::Result<()> {
    match process::fork_single_threaded()? {
        Fork::Child => {
            let status = match ptrace::trace_me() {
                // SAFETY: takes no pointer.
                Ok(()) => match unsafe { libc::raise(libc::SIGSTOP) } {
                    0 => 0,
                    _ => NO_NUMBER,
                },
                Err(error) => error.raw_os_error().and_then(|number| u8::try_from(number).ok()).unwrap_or(NO_NUMBER),
            };
            process::exit_now(status)
        }
        Fork::Parent(child) => match process::wait_for(child)? {
            Change::Ended(Ending::Exited(number)) => Err(io::Error::from_raw_os_error(i32::from(number))),
            Change::Ended(Ending::Killed(_)) => Err(io::Error::from_raw_os_error(libc::ENOSYS)),
            Change::Stopped { .. } | Change::Continued => end(child),
        },
    }
}

/// Attaches to a child that did not ask, as the launcher does at the exec of a descendant.
///
/// # Errors
/// `EPERM` where tracing is forbidden; what a seccomp filter says.
pub fn trace_unwilling_child() -> io::Result<()> {
    match process::fork_single_threaded()? {
        Fork::Child => loop {
            // SAFETY: takes no argument; the parent kills us.
            unsafe { libc::pause() };
        },
        Fork::Parent(child) => {
            let seized = Running::seize(child, Events::None).and_then(|tracee| {
                tracee.interrupt()?;
                match tracee.wait()? {
                    Outcome::Stopped(..) => Ok(()),
                    Outcome::Gone(_) => Err(io::Error::from_raw_os_error(libc::ESRCH)),
                }
            });
            end(child)?;
            seized
        }
    }
}

/// Kills a child and takes note of it.
fn end(child: i32) -> io::Result<()> {
    crate::signal::send(child, libc::SIGKILL)?;
    while !matches!(process::wait_for(child)?, Change::Ended(_)) {}
    Ok(())
}

/// Installs a filter that lets everything pass, with a listener that waits killably, on the
/// caller, which it stays on: only for [`in_child`]. Sets `no_new_privs` where that is needed.
///
/// # Errors
/// `EINVAL` before Linux 5.19, `EBUSY` below another listener, what a seccomp filter says.
pub fn install_listener() -> io::Result<()> {
    let program = [Instruction::ret(Verdict::Allow)];
    let installed = match seccomp::install_listener(&program) {
        Err(libc::EACCES) => {
            // SAFETY: takes no pointers.
            check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64) })?;
            seccomp::install_listener(&program)
        }
        other => other,
    };
    installed.map(drop).map_err(io::Error::from_raw_os_error)
}

/// Gives up root, if the caller is root, for ever: only for [`in_child`].
///
/// # Errors
/// `EPERM`; `EINVAL` for a user that this user namespace does not have.
pub fn become_nobody() -> io::Result<()> {
    const NOBODY: u32 = 65534;
    if process::effective_uid() != 0 {
        return Ok(());
    }
    // SAFETY: takes no pointer, as there are no groups. Who may not drop them keeps them.
    let _ = unsafe { libc::setgroups(0, std::ptr::null()) };
    // SAFETY: takes no pointer.
    check(unsafe { libc::setresgid(NOBODY, NOBODY, NOBODY) })?;
    // SAFETY: takes no pointer; without root's id the capabilities go too.
    check(unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) }).map(drop)
}

/// Opens a counter of the caller's own CPU time, as somebody would who samples a process
/// ([perf_event_open(2)](https://man7.org/linux/man-pages/man2/perf_event_open.2.html)).
///
/// # Errors
/// `EACCES` or `EPERM` where unprivileged users may not; `ENOSYS`, `ENOENT` where nobody can.
pub fn open_counter() -> io::Result<()> {
    /// `PERF_ATTR_SIZE_VER0`.
    const SIZE: u64 = 64;
    /// `PERF_TYPE_SOFTWARE`; the configuration 0 is `PERF_COUNT_SW_CPU_CLOCK`.
    const SOFTWARE: u64 = 1;
    /// `disabled`, `exclude_kernel`, `exclude_hv`.
    const FLAGS: u64 = 1 | 1 << 5 | 1 << 6;
    /// `PERF_FLAG_FD_CLOEXEC`.
    const CLOSE_ON_EXEC: libc::c_ulong = 8;
    let mut attributes = [0_u64; 8];
    attributes[0] = SOFTWARE | SIZE << 32;
    attributes[5] = FLAGS;
    // SAFETY: the attributes have the size that they tell; no other memory is touched.
    let number =
        check(unsafe { libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, CLOSE_ON_EXEC) })?;
    // SAFETY: the kernel has just made this descriptor for us.
    unsafe { libc::close(number as libc::c_int) };
    Ok(())
}

/// Whether a file carries capabilities
/// ([getxattr(2)](https://man7.org/linux/man-pages/man2/getxattr.2.html) of `security.capability`).
///
/// # Errors
/// `ENOENT` and its kind for the path.
pub fn has_file_capabilities(path: &CStr) -> io::Result<bool> {
    // SAFETY: two C strings, and no buffer: only the size is asked for.
    let size = unsafe { libc::getxattr(path.as_ptr(), c"security.capability".as_ptr(), std::ptr::null_mut(), 0) };
    match check(size) {
        Ok(size) => Ok(size > 0),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODATA | libc::EOPNOTSUPP)) => Ok(false),
        Err(error) => Err(error),
    }
}
