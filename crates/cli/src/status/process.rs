//! A process below `/proc`, held by its directory: if it ends and another gets its number,
//! reading fails.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use envward_kernel::capability::{self, Capability};
use envward_kernel::{process, signal};

use super::facts::Fact;
use super::text::Status;
use crate::failure::Failure;

const ESRCH: i32 = 3;

/// A process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    directory: File,
    status: String,
}

impl Process {
    /// The process `pid`, for the person who asked.
    pub(crate) fn find(pid: i32) -> Result<Self, Failure> {
        if pid <= 0 {
            return Err(Failure::new(Failure::USAGE, format!("{pid} is not the number of a process")));
        }
        let process = Self::open(pid).map_err(|error| missing(pid, &error))?;
        match process.status().thread_group() {
            Some(leader) if leader != pid => {
                Err(Failure::new(Failure::NEGATIVE, format!("{pid} is a thread of process {leader}"))
                    .hint(format!("envward status {leader}")))
            }
            _ if process.status().has_ended() => {
                Err(Failure::new(Failure::NEGATIVE, format!("process {pid} has ended")))
            }
            _ => Ok(process),
        }
    }

    /// The process `pid`, if there is one.
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        let directory = File::open(format!("/proc/{pid}"))?;
        let status = fs::read_to_string(below(&directory, "status"))?;
        Ok(Self { pid, directory, status })
    }

    pub(crate) fn status(&self) -> Status<'_> {
        Status(&self.status)
    }

    /// What it calls itself.
    pub(crate) fn name(&self) -> String {
        self.status().name().to_owned()
    }

    /// Its real user id.
    pub(crate) fn uid(&self) -> u32 {
        self.status().uids().map_or(u32::MAX, |[uid, ..]| uid)
    }

    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// A file of the process, opened without any privilege of ours.
    pub(crate) fn open_file(&self, file: &str) -> io::Result<File> {
        File::open(below(&self.directory, file))
    }

    /// A file of the process, as text.
    pub(crate) fn read(&self, file: &str) -> Fact<String> {
        self.with_privilege(|| fs::read(below(&self.directory, file)))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_or_else(|error| self.denied(&error), Fact::Value)
    }

    /// The executable that it runs.
    pub(crate) fn executable(&self) -> Fact<String> {
        self.with_privilege(|| fs::read_link(below(&self.directory, "exe")))
            .map(|path| path.to_string_lossy().into_owned())
            .map_or_else(|error| self.denied(&error), Fact::Value)
    }

    /// The numbers of its descriptors whose links `matches` likes, of all its threads.
    ///
    /// `CAP_SYS_PTRACE` is of no help with the directory, which belongs to root when the process
    /// is not dumpable.
    pub(crate) fn descriptors(&self, matches: impl Fn(&str) -> bool) -> Fact<Vec<u32>> {
        self.list_descriptors(matches).map_or_else(|error| self.denied(&error), Fact::Value)
    }

    fn list_descriptors(&self, matches: impl Fn(&str) -> bool) -> io::Result<Vec<u32>> {
        let tasks = below(&self.directory, "task");
        let mut found = Vec::new();
        for task in numbers(&tasks)? {
            let table = format!("{tasks}/{task}/fd");
            for number in numbers(&table)? {
                // It may have been closed meanwhile.
                let link = fs::read_link(format!("{table}/{number}")).unwrap_or_default();
                if link.to_str().is_some_and(&matches) && !found.contains(&number) {
                    found.push(number);
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Why something could not be read.
    fn denied<T>(&self, error: &io::Error) -> Fact<T> {
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                Fact::unknown(format!("process {} may not be looked into: run as root", self.pid))
            }
            io::ErrorKind::NotFound => Fact::unknown(format!("process {} has ended", self.pid)),
            _ if error.raw_os_error() == Some(ESRCH) => Fact::unknown(format!("process {} has ended", self.pid)),
            _ => Fact::unknown(error),
        }
    }

    /// Does something with the capability that the executable carries, if it carries one, and
    /// the process belongs to whoever started us: the capability must not show people other
    /// people's processes.
    fn with_privilege<T>(&self, action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let ours = process::real_uid();
        let is_ours = self.status().uids() == Some([ours; 3]);
        if !process::is_privileged_executable() || !is_ours {
            return action();
        }
        // Where it is another capability that the executable carries, this changes nothing.
        let _ = capability::set_effective(Capability::SysPtrace, true);
        let result = action();
        capability::set_effective(Capability::SysPtrace, false)?;
        result
    }
}

/// Takes the capability that the executable may carry out of effect.
pub(crate) fn lower_privilege() -> io::Result<()> {
    if process::is_privileged_executable() { capability::set_effective(Capability::SysPtrace, false) } else { Ok(()) }
}

/// All processes that can be seen.
pub(crate) fn all() -> io::Result<Vec<i32>> {
    Ok(numbers("/proc")?.into_iter().filter_map(|number| i32::try_from(number).ok()).collect())
}

fn below(directory: &File, file: &str) -> String {
    format!("/proc/self/fd/{}/{file}", directory.as_raw_fd())
}

fn numbers(directory: &str) -> io::Result<Vec<u32>> {
    Ok(fs::read_dir(directory)?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// There is no directory of that number: because there is no process, or because `/proc` does
/// not show it.
fn missing(pid: i32, error: &io::Error) -> Failure {
    let exists = match signal::send(pid, 0) {
        Ok(()) => true,
        Err(error) => error.raw_os_error() != Some(ESRCH),
    };
    if exists {
        Failure::new(Failure::NEGATIVE, format!("process {pid} cannot be looked at: {error}"))
            .hint("/proc hides other users' processes here (hidepid): run as root")
    } else {
        Failure::new(Failure::NEGATIVE, format!("there is no process {pid}"))
    }
}
