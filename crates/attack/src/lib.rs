//! The attacks that envward claims to stop, one function for each behaviour.
//!
//! A [`Route`] is a way to the environment or the memory of another process. [`Route::run`]
//! walks it and looks for a [`Needle`], a value that the attacker knows already: the point is
//! to find out whether it could have been read, not to read it. Nothing here prints, logs or
//! stores what it reads.
//!
//! An attack that finds the needle in a plain process and not in a protected one proves the
//! protection; one that finds it in neither proves nothing. The tests therefore walk every
//! route against a plain process first.
//!
//! Attack only processes that you have started for the purpose.

mod arguments;
mod core_image;
mod descriptors;
mod environ;
mod memory;
mod needle;
mod race;
mod sys;
mod trace;

use std::io;

use sys::{sampling, uring};

pub use needle::Needle;
pub use race::Racer;
pub use sys::observer::{Observer, Sighting};

/// What an attack brought to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The needle was there to be read.
    Leaked,
    /// The kernel refused, with this `errno`.
    Denied(i32),
    /// The route was open and the needle not on it.
    NotFound,
}

impl Outcome {
    /// The stronger of two outcomes: a leak outweighs everything, a refusal an empty search.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Leaked, _) | (_, Self::Leaked) => Self::Leaked,
            (Self::Denied(errno), _) | (_, Self::Denied(errno)) => Self::Denied(errno),
            (Self::NotFound, Self::NotFound) => Self::NotFound,
        }
    }

    /// A refusal becomes an outcome; anything else that went wrong stays an error, because an
    /// attack that could not be made proves nothing.
    fn from_error(error: io::Error) -> io::Result<Self> {
        match error.raw_os_error() {
            Some(errno @ (libc::EACCES | libc::EPERM)) => Ok(Self::Denied(errno)),
            _ => Err(error),
        }
    }
}

/// A way to what another process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/proc/PID/environ`.
    Environ,
    /// `/proc/PID/task/TID/environ`.
    EnvironTask,
    /// `environ`, opened relative to an `O_PATH` descriptor of `/proc/PID`.
    EnvironDirectory,
    /// The same file by way of the attacker's own `/proc/thread-self`.
    EnvironThreadSelf,
    /// `PID/environ` in a procfs mounted for the purpose. Needs `CAP_SYS_ADMIN`.
    EnvironMount,
    /// `PID/environ` in a procfs that is mounted nowhere. Needs `CAP_SYS_ADMIN`.
    EnvironDetached,
    /// `/proc/PID/environ`, opened and read by io_uring.
    EnvironUring,
    /// `/proc/PID/environ`, bound upon an ordinary file. Needs `CAP_SYS_ADMIN`.
    EnvironBoundFile,
    /// `PID/environ` in `/proc`, bound upon another directory. Needs `CAP_SYS_ADMIN`.
    EnvironBoundProcfs,
    /// A symbolic link to `/proc/PID/environ`.
    EnvironSymlink,
    /// `/proc/PID/environ`, opened by `openat2(2)`.
    EnvironOpenat2,
    /// `/proc/PID/environ`, opened with `O_PATH` and again through the descriptor.
    EnvironReopen,
    /// `/proc/PID/environ`, opened and read by the system calls of 32-bit programs.
    EnvironCompat,
    /// Every readable mapping through `/proc/PID/mem`.
    Memory,
    /// The same through `/proc/PID/task/TID/mem`, as debuggers do.
    MemoryTask,
    /// Code changed through `/proc/PID/mem`. Leaks nothing by itself: [`Outcome::Leaked`]
    /// says that the attacker's code would run in the victim.
    MemoryWrite,
    /// Every readable mapping by `process_vm_readv(2)`.
    RemoteRead,
    /// Every readable mapping by `PTRACE_PEEKDATA`.
    TracePeek,
    /// A `write(2)` that the victim is made to do: code injection.
    TraceWrite,
    /// `pidfd_getfd(2)` of every descriptor, mapped.
    DescriptorCopy,
    /// `/proc/PID/fd/N`, opened again.
    DescriptorReopen,
    /// `/proc/PID/map_files/*`, opened.
    MapFiles,
    /// Copies of the stack made by the profiler.
    StackSamples,
    /// A core file after `SIGABRT`, in the working directory of both.
    CoreSignal,
    /// A memory image made by gdb.
    CoreDebugger,
    /// `/proc/PID/cmdline`, which runs over into the environment of a program that has
    /// overwritten the end of its arguments.
    CommandLine,
}

impl Route {
    /// Every route.
    pub const ALL: [Self; 26] = [
        Self::Environ,
        Self::EnvironTask,
        Self::EnvironDirectory,
        Self::EnvironThreadSelf,
        Self::EnvironMount,
        Self::EnvironDetached,
        Self::EnvironUring,
        Self::EnvironBoundFile,
        Self::EnvironBoundProcfs,
        Self::EnvironSymlink,
        Self::EnvironOpenat2,
        Self::EnvironReopen,
        Self::EnvironCompat,
        Self::Memory,
        Self::MemoryTask,
        Self::MemoryWrite,
        Self::RemoteRead,
        Self::TracePeek,
        Self::TraceWrite,
        Self::DescriptorCopy,
        Self::DescriptorReopen,
        Self::MapFiles,
        Self::StackSamples,
        Self::CoreSignal,
        Self::CoreDebugger,
        Self::CommandLine,
    ];

    /// The name on the command line of the runner.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Environ => "environ",
            Self::EnvironTask => "environ-task",
            Self::EnvironDirectory => "environ-directory",
            Self::EnvironThreadSelf => "environ-thread-self",
            Self::EnvironMount => "environ-mount",
            Self::EnvironDetached => "environ-detached",
            Self::EnvironUring => "environ-uring",
            Self::EnvironBoundFile => "environ-bound-file",
            Self::EnvironBoundProcfs => "environ-bound-procfs",
            Self::EnvironSymlink => "environ-symlink",
            Self::EnvironOpenat2 => "environ-openat2",
            Self::EnvironReopen => "environ-reopen",
            Self::EnvironCompat => "environ-compat",
            Self::Memory => "memory",
            Self::MemoryWrite => "memory-write",
            Self::StackSamples => "stack-samples",
            Self::MemoryTask => "memory-task",
            Self::RemoteRead => "remote-read",
            Self::TracePeek => "trace-peek",
            Self::TraceWrite => "trace-write",
            Self::DescriptorCopy => "descriptor-copy",
            Self::DescriptorReopen => "descriptor-reopen",
            Self::MapFiles => "map-files",
            Self::CoreSignal => "core-signal",
            Self::CoreDebugger => "core-debugger",
            Self::CommandLine => "command-line",
        }
    }

    /// The route with this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.name() == name)
    }

    /// Walks the route to process `pid` and looks for the needle.
    ///
    /// # Errors
    /// When the attack could not be made at all: the process is gone, a tool is missing, the
    /// kernel lacks a system call. A refusal is not an error but [`Outcome::Denied`].
    pub fn run(self, pid: i32, needle: &Needle) -> io::Result<Outcome> {
        match self {
            Self::Environ => environ::by_path(&format!("/proc/{pid}/environ"), needle),
            Self::EnvironTask => environ::by_path(&format!("/proc/{pid}/task/{pid}/environ"), needle),
            Self::EnvironDirectory => environ::by_directory(pid, needle),
            Self::EnvironThreadSelf => environ::by_path(&format!("/proc/thread-self/../../../{pid}/environ"), needle),
            Self::EnvironMount => environ::by_fresh_mount(pid, needle),
            Self::EnvironDetached => environ::by_detached_mount(pid, needle),
            Self::EnvironUring => uring::by_path(&format!("/proc/{pid}/environ"), needle),
            Self::EnvironBoundFile => environ::by_bound_file(pid, needle),
            Self::EnvironBoundProcfs => environ::by_bound_procfs(pid, needle),
            Self::EnvironSymlink => environ::by_symbolic_link(pid, needle),
            Self::EnvironOpenat2 => environ::by_openat2(pid, needle),
            Self::EnvironReopen => environ::by_reopening(pid, needle),
            Self::EnvironCompat => environ::by_compat_calls(pid, needle),
            Self::MemoryWrite => memory::by_write(pid),
            Self::StackSamples => sampling::by_profiler(pid, needle),
            Self::Memory => memory::by_file(pid, &format!("/proc/{pid}/mem"), needle),
            Self::MemoryTask => memory::by_file(pid, &format!("/proc/{pid}/task/{pid}/mem"), needle),
            Self::RemoteRead => memory::by_remote_read(pid, needle),
            Self::TracePeek => trace::by_peeking(pid, needle),
            Self::TraceWrite => trace::by_injected_write(pid, needle),
            Self::DescriptorCopy => descriptors::by_copy(pid, needle),
            Self::DescriptorReopen => descriptors::by_reopening(pid, needle),
            Self::MapFiles => descriptors::by_map_files(pid, needle),
            Self::CoreSignal => core_image::by_signal(pid, needle),
            Self::CoreDebugger => core_image::by_debugger(pid, needle),
            Self::CommandLine => arguments::by_command_line(pid, needle),
        }
    }
}
