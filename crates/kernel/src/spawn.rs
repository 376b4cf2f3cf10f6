//! Starting the first program of a supervised tree.
//!
//! The child shares our memory and descriptor table until its `execve`
//! ([clone(2)](https://man7.org/linux/man-pages/man2/clone.2.html) with `CLONE_VM | CLONE_VFORK |
//! CLONE_FILES`), so nothing is copied, the listener of its filter appears in our own table, and
//! no second process ever holds what is in our memory.
#![expect(unsafe_code, reason = "between clone and exec only raw system calls may be made")]

use std::ffi::{CStr, c_char, c_void};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use crate::arch::Cookie;
use crate::capability::{self, Capability};
use crate::errno::check;
use crate::ptrace::{self, Running};
use crate::seccomp::{self, Instruction, Listener};
use crate::signal::SignalSet;
use crate::{process, startup};

/// What to start and how.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The files to try, in order, as `execvp` does: the first that is there is run.
    pub paths: &'a [&'a CStr],
    /// The arguments, `argv[0]` first.
    pub arguments: &'a [&'a CStr],
    /// The environment, without any secret.
    pub environment: &'a [&'a CStr],
    /// The seccomp program that watches the tree's execs, if they are to be watched.
    pub filter: Option<&'a [Instruction]>,
    /// What lets the first exec pass that program.
    pub cookie: Cookie,
    /// Whether to set the soft limit on core files to 0.
    pub forbid_core: bool,
    /// A capability that the program shall have at first, for the tracer to take away: whoever
    /// lacks it cannot trace the program or open its memory, even while it is dumpable.
    pub guard: Option<Capability>,
}

/// A program that was started: it is traced, and stops with a plain trap before its first
/// instruction, all signals but `SIGTRAP` blocked.
#[derive(Debug)]
pub struct Spawned {
    /// The program.
    pub program: Running,
    /// Where its execs and those of its descendants are announced, if there is a filter.
    pub listener: Option<Listener>,
    /// Whether `no_new_privs` had to be set: then set-uid programs gain nothing in the tree.
    pub no_new_privs: bool,
    /// What the successful `execve` was called with.
    pub executed: Executed,
}

/// What a successful `execve` was called with; the number counts the paths of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executed {
    /// This path.
    Path(usize),
    /// [`SHELL`], because the kernel did not recognise the file at this path: its arguments are
    /// its own name, the path, and the plan's arguments from the second on.
    Shell(usize),
}

/// Why nothing was started.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpawnError {
    /// `clone` failed.
    Clone(io::Error),
    /// The child could not ask to be traced.
    Trace(io::Error),
    /// The child could not prepare itself (signals, limits, `no_new_privs`).
    Prepare(io::Error),
    /// The filter could not be installed: `EBUSY` when another supervisor has the tree,
    /// `EINVAL` before Linux 5.19.
    Filter(io::Error),
    /// `execve` failed.
    Exec(io::Error),
}

#[derive(Clone, Copy)]
enum Stage {
    Started,
    Prepare,
    Trace,
    Filter,
    Exec,
}

struct Shared<'a> {
    plan: &'a Plan<'a>,
    paths: Vec<*const c_char>,
    arguments: Vec<*const c_char>,
    shell_arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    // Written by the child, read by the parent after the child has exec'd or ended.
    listener: i32,
    no_new_privs: bool,
    executed: Executed,
    stage: Stage,
    errno: i32,
}

/// The shell that runs a file which the kernel does not recognise (`ENOEXEC`), as in
/// [execvp(3)](https://man7.org/linux/man-pages/man3/exec.3.html).
pub const SHELL: &CStr = c"/bin/sh";
const STACK_SIZE: usize = 64 * 1024;

fn pointers(strings: &[&CStr]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Starts the program. The caller has blocked all signals.
///
/// # Errors
/// See [`SpawnError`]; the child is gone in every case.
pub fn spawn(plan: &Plan<'_>) -> Result<Spawned, SpawnError> {
    let arguments = pointers(plan.arguments);
    let mut shell_arguments = vec![SHELL.as_ptr(), std::ptr::null()];
    shell_arguments.extend_from_slice(arguments.get(1..).unwrap_or(&[std::ptr::null()]));
    let mut shared = Shared {
        plan,
        paths: pointers(plan.paths),
        arguments,
        shell_arguments,
        environment: pointers(plan.environment),
        listener: -1,
        no_new_privs: false,
        executed: Executed::Path(0),
        stage: Stage::Started,
        errno: 0,
    };
    // Not zeroed: the child touches little of it, and a page that is never touched costs nothing.
    let mut stack = Box::<[u128]>::new_uninit_slice(STACK_SIZE / size_of::<u128>());
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::SIGCHLD;
    // SAFETY: `child` only makes system calls and writes to `shared`; the stack is large
    // enough, 16-byte aligned and, like `shared`, outlives the child's use of it, because
    // CLONE_VFORK suspends us until the child has exec'd or ended.
    let pid = check(unsafe {
        libc::clone(child, stack.as_mut_ptr_range().end.cast(), flags, (&raw mut shared).cast::<c_void>())
    })
    .map_err(SpawnError::Clone)?;
    drop(stack);
    // SAFETY: the number was created by the kernel for the child in the table that we share,
    // and nobody else knows it.
    let listener = (shared.listener >= 0).then(|| unsafe { OwnedFd::from_raw_fd(shared.listener) });
    if shared.errno != 0 {
        let _ = process::wait_for(pid);
        let error = io::Error::from_raw_os_error(shared.errno);
        return Err(match shared.stage {
            Stage::Started | Stage::Prepare => SpawnError::Prepare(error),
            Stage::Trace => SpawnError::Trace(error),
            Stage::Filter => SpawnError::Filter(error),
            Stage::Exec => SpawnError::Exec(error),
        });
    }
    if !matches!(shared.stage, Stage::Exec) {
        // Killed from outside before it came to anything.
        let _ = process::wait_for(pid);
        return Err(SpawnError::Prepare(io::Error::from_raw_os_error(libc::EINTR)));
    }
    Ok(Spawned {
        program: Running::adopted(pid),
        listener: listener.map(Listener::new),
        no_new_privs: shared.no_new_privs,
        executed: shared.executed,
    })
}

extern "C" fn child(shared: *mut c_void) -> i32 {
    // SAFETY: `spawn` passes a pointer to a `Shared` that lives until we exec or end, and
    // does not touch it in between.
    let shared = unsafe { &mut *shared.cast::<Shared<'_>>() };
    if let Err(error) = become_program(shared) {
        // Never 0: the parent takes 0 for success.
        shared.errno = error.raw_os_error().unwrap_or(libc::EINVAL);
    }
    127
}

/// Returns only when something failed. Allocates nothing.
fn become_program(shared: &mut Shared<'_>) -> io::Result<()> {
    shared.stage = Stage::Prepare;
    // SAFETY: these take no pointers.
    unsafe {
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong))?;
    }
    set_ignored(libc::SIGPIPE, startup::was_ignored(libc::SIGPIPE))?;
    set_ignored(libc::SIGCHLD, startup::was_ignored(libc::SIGCHLD))?;
    if shared.plan.forbid_core {
        process::forbid_core_files()?;
    }
    if let Some(capability) = shared.plan.guard {
        capability::make_ambient(capability)?;
    }
    // SIGTRAP stays open: the stop that hands us to the supervisor is one.
    crate::signal::set_mask(SignalSet::ALL.without(libc::SIGTRAP))?;
    shared.stage = Stage::Trace;
    ptrace::trace_me()?;
    shared.stage = Stage::Filter;
    if let Some(filter) = shared.plan.filter {
        let installed = match seccomp::install_listener(filter) {
            Err(libc::EACCES) => {
                shared.no_new_privs = true;
                // SAFETY: takes no pointers.
                check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64) })?;
                seccomp::install_listener(filter)
            }
            other => other,
        };
        shared.listener = installed.map_err(io::Error::from_raw_os_error)?;
    }
    shared.stage = Stage::Exec;
    Err(io::Error::from_raw_os_error(exec_first(shared)))
}

fn set_ignored(signal: i32, ignored: bool) -> io::Result<()> {
    // SAFETY: the structure is zeroed, a valid action, before its handler is chosen.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
        check(libc::sigaction(signal, &raw const action, std::ptr::null_mut())).map(drop)
    }
}

/// Tries the paths in order and returns the error that `execvp` would give.
fn exec_first(shared: &mut Shared<'_>) -> i32 {
    let mut denied = false;
    let mut last = libc::ENOENT;
    for index in 0..shared.paths.len() - 1 {
        let path = shared.paths[index];
        shared.executed = Executed::Path(index);
        last = exec(shared, path, &shared.arguments);
        if last == libc::ENOEXEC {
            shared.shell_arguments[1] = path;
            shared.executed = Executed::Shell(index);
            return exec(shared, SHELL.as_ptr(), &shared.shell_arguments);
        }
        match last {
            libc::EACCES => denied = true,
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
            _ => return last,
        }
    }
    if denied { libc::EACCES } else { last }
}

fn exec(shared: &Shared<'_>, path: *const c_char, arguments: &[*const c_char]) -> i32 {
    let [first, second, third] = shared.plan.cookie.0;
    // SAFETY: the arrays are null-terminated and their strings outlive the call; the last
    // three arguments are not the kernel's but the filter's.
    unsafe {
        libc::syscall(libc::SYS_execve, path, arguments.as_ptr(), shared.environment.as_ptr(), first, second, third);
        *libc::__errno_location()
    }
}
