//! The processes below one process, kept up to date at high speed.
//!
//! A full scan of `/proc` takes longer than `true` lives, so new processes are
//! found through the last field of `/proc/loadavg`, the PID given out last: only
//! the numbers since the previous look are examined. A full scan now and then
//! catches what that missed.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A process of the tree.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Its thread group id.
    pub pid: u32,
    /// Its parent when it was last looked at.
    pub parent: u32,
}

/// The living descendants of one process, itself included.
///
/// A process whose parent has died moves to the next subreaper, which here is
/// envward or something above it, so it stays in the tree; and a process that
/// was seen once stays until it is gone, whoever its parent is by then.
pub struct Tree {
    live: BTreeMap<u32, Process>,
    last: u32,
    /// Numbers that were given out but had no process yet, with the time at
    /// which to give them up.
    pending: Vec<(u32, Instant)>,
    scanned: Instant,
}

const FULL_SCAN_EVERY: Duration = Duration::from_millis(50);
const BIRTH_TAKES: Duration = Duration::from_millis(20);

impl Tree {
    /// A tree of which only the highest PID given out so far is known; call it
    /// before the root is started, so that no descendant can be missed.
    #[must_use]
    pub fn before_start() -> Self {
        Self { live: BTreeMap::new(), last: last_pid(), pending: Vec::new(), scanned: Instant::now() }
    }

    /// Names the root.
    pub fn plant(&mut self, root: u32) {
        self.live.insert(root, Process { pid: root, parent: std::process::id() });
    }

    /// The processes that were alive when last looked at, in order of PID.
    pub fn processes(&self) -> impl Iterator<Item = Process> + '_ {
        self.live.values().copied()
    }

    /// Drops a process that is gone.
    pub fn forget(&mut self, pid: u32) {
        self.live.remove(&pid);
    }

    /// Takes in the processes that were born since the last call.
    pub fn grow(&mut self) {
        let now = last_pid();
        if now < self.last || self.scanned.elapsed() > FULL_SCAN_EVERY {
            self.scan();
        } else {
            let patience = Instant::now() + BIRTH_TAKES;
            self.pending.extend((self.last + 1..=now).map(|pid| (pid, patience)));
        }
        self.last = now;
        let pending = std::mem::take(&mut self.pending);
        for (pid, patience) in pending {
            match look(pid) {
                Some(process) => {
                    self.adopt(process);
                }
                None if Instant::now() < patience => self.pending.push((pid, patience)),
                None => {}
            }
        }
    }

    /// Looks at every process of the machine.
    pub fn scan(&mut self) {
        self.scanned = Instant::now();
        let mut processes: Vec<Process> = numbered("/proc").into_iter().filter_map(look).collect();
        // Until nothing is added: a child may have a lower number than its
        // parent once the numbers have wrapped.
        loop {
            let before = processes.len();
            processes.retain(|process| !self.adopt(*process));
            if processes.len() == before {
                break;
            }
        }
    }

    fn adopt(&mut self, process: Process) -> bool {
        let belongs = self.live.contains_key(&process.parent) && !self.live.contains_key(&process.pid);
        if belongs {
            self.live.insert(process.pid, process);
        }
        belongs
    }
}

/// The threads of a process.
pub(crate) fn threads(pid: u32) -> Vec<u32> {
    numbered(&format!("/proc/{pid}/task"))
}

/// Sends `signal` (a name such as `KILL`) to processes; those that are gone are
/// passed over.
pub fn signal(signal: &str, pids: &[u32]) {
    if pids.is_empty() {
        return;
    }
    // The shell's own `kill`: no unsafe code here, and no package needed.
    let _ = Command::new("/bin/sh")
        .args(["-c", "signal=$1; shift; kill -s \"$signal\" \"$@\"", "sh", signal])
        .args(pids.iter().map(u32::to_string))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// A thread group leader with its parent; `None` for what is no process, or
/// only a thread of one.
fn look(pid: u32) -> Option<Process> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok());
    (field("Tgid:")? == pid).then_some(Process { pid, parent: field("PPid:")? })
}

fn last_pid() -> u32 {
    fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|line| line.split_whitespace().last()?.parse().ok())
        .expect("the last field of /proc/loadavg is a PID")
}

fn numbered(dir: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}
