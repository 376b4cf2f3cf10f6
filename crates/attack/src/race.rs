//! The window between `execve`, which makes a process dumpable, and the moment when it is
//! not any more: whoever opens `/proc/PID/mem` for writing in between keeps it open.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;

use crate::sys;

/// Open files kept for each process; the last ones matter, they are of the latest image.
const KEPT: usize = 48;

/// Processes that are tried in each turn, the newest.
const RECENT: usize = 4;

/// Processes whose files are kept.
const REMEMBERED: usize = 12;

/// Numbers ahead of the newest process that may be the next one.
const AHEAD: i32 = 3;

/// Opens the memory of every new process that it may, again and again.
///
/// As an ordinary user it reaches processes of that user only, and refuses to run as root,
/// who reaches all.
#[derive(Debug)]
pub struct Racer {
    proc: File,
    next: i32,
    recent: VecDeque<i32>,
    held: BTreeMap<i32, VecDeque<File>>,
    vandal: Option<(u64, Vec<u8>)>,
    opened: usize,
}

impl Racer {
    /// A racer for the processes that are started from now on.
    ///
    /// # Errors
    /// `PermissionDenied` for root; those of reading `/proc`.
    pub fn new() -> io::Result<Self> {
        if envward_kernel::process::effective_uid() == 0 {
            let reason = "root would reach every process of the machine";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        Ok(Self {
            proc: File::open("/proc")?,
            next: newest()? + 1,
            recent: VecDeque::new(),
            held: BTreeMap::new(),
            vandal: None,
            opened: 0,
        })
    }

    /// Also writes `bytes` at `address` of whatever it opens, at once: what is changed before
    /// a process is protected stays changed.
    pub fn overwrite(&mut self, address: u64, bytes: &[u8]) {
        self.vandal = Some((address, bytes.to_vec()));
    }

    /// Tries the newest processes and the numbers that come next, once.
    pub fn turn(&mut self) {
        for ahead in 0..AHEAD {
            if self.attempt(self.next + ahead) {
                self.next += ahead + 1;
                self.recent.push_back(self.next - 1);
                if self.recent.len() > RECENT {
                    self.recent.pop_front();
                }
                break;
            }
        }
        for at in 0..self.recent.len() {
            self.attempt(self.recent[at]);
        }
        while self.held.len() > REMEMBERED {
            self.held.pop_first();
        }
    }

    /// When numbers were skipped, because they went to threads or other processes that were
    /// gone at once, goes on from the newest there is.
    ///
    /// # Errors
    /// Those of reading `/proc`.
    pub fn catch_up(&mut self) -> io::Result<()> {
        let newest = newest()?;
        if newest + 1 > self.next + AHEAD || newest + 1 < self.next {
            self.next = newest;
        }
        Ok(())
    }

    /// How many files it has opened so far.
    #[must_use]
    pub const fn opened(&self) -> usize {
        self.opened
    }

    /// Whether a file opened earlier still reaches the memory of `pid`, at an address that is
    /// mapped there.
    #[must_use]
    pub fn holds(&self, pid: i32, address: u64) -> bool {
        let held = self.held.get(&pid);
        // After an exec or the end of the process the old memory reads as empty.
        held.is_some_and(|files| files.iter().any(|file| file.read_at(&mut [0], address).is_ok_and(|n| n == 1)))
    }

    /// Whether there is such a process.
    fn attempt(&mut self, pid: i32) -> bool {
        let Ok(path) = CString::new(format!("{pid}/mem")) else {
            return false;
        };
        match sys::open_at(self.proc.as_fd(), &path, libc::O_RDWR) {
            Ok(file) => {
                if let Some((address, bytes)) = &self.vandal {
                    // Most images have nothing mapped there.
                    let _ = file.write_at(bytes, *address);
                }
                let files = self.held.entry(pid).or_default();
                files.push_back(file);
                if files.len() > KEPT {
                    files.pop_front();
                }
                self.opened += 1;
                true
            }
            Err(error) => matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM)),
        }
    }
}

/// The number of the process that was started last.
fn newest() -> io::Result<i32> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let number = text.split_whitespace().last().and_then(|word| word.parse().ok());
    number.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/loadavg"))
}
