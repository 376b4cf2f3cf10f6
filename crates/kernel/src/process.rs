//! Processes: waiting, groups, sessions, limits, ending.
#![expect(unsafe_code, reason = "wait4(2), fork(2) and their kind are raw system calls")]

use std::io;

use crate::errno::check;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It called `exit` with this status.
    Exited(u8),
    /// A signal killed it.
    Killed(i32),
}

/// What [wait4(2)](https://man7.org/linux/man-pages/man2/wait4.2.html) says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is gone.
    Ended(Ending),
    /// It stopped: the signal, and the ptrace event if it is one (else 0).
    Stopped {
        /// The stop signal, `SIGTRAP` for most ptrace stops.
        signal: i32,
        /// `PTRACE_EVENT_*`, or 0.
        event: i32,
    },
    /// It was stopped by job control and goes on.
    Continued,
}

impl Change {
    fn from_status(status: i32) -> Self {
        if libc::WIFEXITED(status) {
            Self::Ended(Ending::Exited(libc::WEXITSTATUS(status) as u8))
        } else if libc::WIFSIGNALED(status) {
            Self::Ended(Ending::Killed(libc::WTERMSIG(status)))
        } else if libc::WIFSTOPPED(status) {
            Self::Stopped { signal: libc::WSTOPSIG(status), event: status >> 16 }
        } else {
            Self::Continued
        }
    }
}

fn wait4(pid: i32, options: i32) -> io::Result<Option<(i32, Change)>> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is the only memory that the kernel writes.
        match check(unsafe { libc::wait4(pid, &raw mut status, options | libc::__WALL, std::ptr::null_mut()) }) {
            Ok(0) => return Ok(None),
            Ok(pid) => return Ok(Some((pid, Change::from_status(status)))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The next change of any child or tracee, job control included, without waiting.
/// `None` when there is none now; `ECHILD` counts as that.
///
/// # Errors
/// None is expected.
pub fn next_change() -> io::Result<Option<(i32, Change)>> {
    match wait4(-1, libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED) {
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        other => other,
    }
}

/// Waits for the next change of `pid`, job control of untraced children left out.
///
/// # Errors
/// `ECHILD` when it is neither a child nor a tracee.
pub fn wait_for(pid: i32) -> io::Result<Change> {
    loop {
        if let Some((_, change)) = wait4(pid, 0)? {
            return Ok(change);
        }
    }
}

/// As [`wait_for`], without waiting.
///
/// # Errors
/// `ECHILD` when it is neither a child nor a tracee.
pub fn try_wait_for(pid: i32) -> io::Result<Option<Change>> {
    Ok(wait4(pid, libc::WNOHANG)?.map(|(_, change)| change))
}

/// The next change of child `pid`, job control included, without waiting.
///
/// # Errors
/// `ECHILD` when it is not a child.
pub fn try_wait_for_job(pid: i32) -> io::Result<Option<Change>> {
    Ok(wait4(pid, libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED)?.map(|(_, change)| change))
}

/// Moves the caller, the leader of a process group but not of a session, into a new group of
/// the same session: a child opens the group and is gone when this returns.
///
/// # Errors
/// `EAGAIN`, `ENOMEM`, `EPERM` for a session leader.
pub fn join_new_group() -> io::Result<()> {
    // SAFETY: the child makes one system call after another and nothing else.
    let child = check(unsafe { libc::fork() })?;
    if child == 0 {
        loop {
            // SAFETY: takes no argument; the parent kills us.
            unsafe { libc::pause() };
        }
    }
    let joined = set_group(child, child).and_then(|()| set_group(0, child));
    let _ = crate::signal::send(child, libc::SIGKILL);
    let _ = wait_for(child);
    joined
}

/// The caller's process id.
#[must_use]
pub fn id() -> i32 {
    // SAFETY: always succeeds.
    unsafe { libc::getpid() }
}

/// The process that thread `tid` belongs to (its thread group).
///
/// # Errors
/// `ENOENT` when there is no such thread, or what reading `/proc` gives.
pub fn of_thread(tid: i32) -> io::Result<i32> {
    // SAFETY: takes no pointer; signal 0 only checks that thread `tid` of process `tid` exists.
    if unsafe { libc::syscall(libc::SYS_tgkill, tid, tid, 0) } == 0 {
        return Ok(tid);
    }
    let status = std::fs::read_to_string(format!("/proc/{tid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    line.and_then(|number| number.trim().parse().ok()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Whether `pid` is stopped, by a signal or a tracer; no if it is gone.
#[must_use]
pub fn is_stopped(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
}

/// Whether the caller's parent can continue the caller's process group after a stop from the
/// terminal: else the group is orphaned as far as the caller goes, and such stops have no effect
/// ([setpgid(2)](https://man7.org/linux/man-pages/man2/setpgid.2.html)).
#[must_use]
pub fn parent_controls_job() -> bool {
    // SAFETY: these take no pointers.
    unsafe {
        let parent = libc::getppid();
        libc::getsid(parent) == libc::getsid(0) && libc::getpgid(parent) != libc::getpgrp()
    }
}

/// The caller's process group.
#[must_use]
pub fn group() -> i32 {
    // SAFETY: always succeeds.
    unsafe { libc::getpgrp() }
}

/// The caller's session.
#[must_use]
pub fn session() -> i32 {
    // SAFETY: always succeeds for the caller itself.
    unsafe { libc::getsid(0) }
}

/// The caller's effective user id.
#[must_use]
pub fn effective_uid() -> u32 {
    // SAFETY: always succeeds.
    unsafe { libc::geteuid() }
}

/// The caller's real user id.
#[must_use]
pub fn real_uid() -> u32 {
    // SAFETY: always succeeds.
    unsafe { libc::getuid() }
}

/// Moves process `pid` (0: the caller) into process group `group` (0: a new one of its own),
/// [setpgid(2)](https://man7.org/linux/man-pages/man2/setpgid.2.html).
///
/// # Errors
/// `EPERM` for a session leader or a group of another session.
pub fn set_group(pid: i32, group: i32) -> io::Result<()> {
    // SAFETY: takes no pointer.
    check(unsafe { libc::setpgid(pid, group) }).map(drop)
}

/// Starts a new session, [setsid(2)](https://man7.org/linux/man-pages/man2/setsid.2.html).
///
/// # Errors
/// `EPERM` for the leader of a process group.
pub fn start_session() -> io::Result<()> {
    // SAFETY: takes no argument.
    check(unsafe { libc::setsid() }).map(drop)
}

/// Which side of a [`fork`] this is.
#[derive(Debug)]
pub enum Fork {
    /// The new process.
    Child,
    /// The old one, with the id of the new.
    Parent(i32),
}

/// Whether the caller is the only thread of its process.
///
/// `unshare(CLONE_THREAD)` changes nothing and fails with `EINVAL` unless it is
/// ([unshare(2)](https://man7.org/linux/man-pages/man2/unshare.2.html)). Where a seccomp filter
/// refuses it, as in containers, `/proc` is asked.
///
/// # Errors
/// When neither tells.
pub fn has_one_thread() -> io::Result<bool> {
    // SAFETY: takes no pointer; with this flag the call only checks.
    if unsafe { libc::unshare(libc::CLONE_THREAD) } == 0 {
        return Ok(true);
    }
    if io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) {
        return Ok(false);
    }
    match std::fs::read_dir("/proc/self/task")?.take(2).count() {
        0 => Err(io::ErrorKind::NotFound.into()),
        threads => Ok(threads == 1),
    }
}

/// Duplicates the process, which has a single thread,
/// [fork(2)](https://man7.org/linux/man-pages/man2/fork.2.html).
///
/// # Errors
/// `EBUSY` when there are more threads: in the child their locks would stay locked; `EAGAIN`,
/// `ENOMEM`.
pub fn fork_single_threaded() -> io::Result<Fork> {
    if !has_one_thread()? {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    // SAFETY: there is one thread.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// Ends the process at once, without destructors or `atexit` handlers.
pub fn exit_now(status: u8) -> ! {
    // SAFETY: never returns; skipping destructors leaks nothing that outlives the process.
    unsafe { libc::_exit(i32::from(status)) }
}

/// Sets the soft limit on the size of core files to 0 (`RLIMIT_CORE`,
/// [setrlimit(2)](https://man7.org/linux/man-pages/man2/setrlimit.2.html)).
///
/// # Errors
/// None is expected: lowering is always allowed.
pub fn forbid_core_files() -> io::Result<()> {
    // SAFETY: the structure is fully written before it is read.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        check(libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit))?;
        limit.rlim_cur = 0;
        check(libc::setrlimit(libc::RLIMIT_CORE, &raw const limit)).map(drop)
    }
}

/// Whether the process runs with more privileges than its caller (`AT_SECURE`), as it does
/// when the executable carries a capability, [getauxval(3)](https://man7.org/linux/man-pages/man3/getauxval.3.html).
#[must_use]
pub fn is_privileged_executable() -> bool {
    // SAFETY: getauxval only reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
