//! A thread that reads the environ of every process and thread of a tree, in a
//! tight loop, and looks for a secret.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::secret::TestSecret;
use crate::tree::{Tree, threads};

/// An environ that held a secret, or half of one.
#[derive(Clone)]
pub struct Hit {
    /// The process, and the thread whose file it was.
    pub task: (u32, u32),
    /// The executable of the process at that moment.
    pub exe: PathBuf,
    /// The text before the secret in its entry, usually `NAME=`.
    pub entry: String,
}

impl fmt::Debug for Hit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pid, tid) = self.task;
        let exe = self.exe.display();
        write!(formatter, "/proc/{pid}/task/{tid}/environ ({exe}): {}[secret]", self.entry)
    }
}

/// What a watch has seen so far.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Files read, with contents.
    pub reads: u64,
    /// Files opened that held nothing: kernel threads, zombies, processes in
    /// the middle of an exec.
    pub empty: u64,
    /// Files that this user may not open.
    pub refused: u64,
    /// Environs with the test's mark in them, by the executable that ran.
    pub marked: HashMap<PathBuf, u64>,
    /// Environs that held a secret, by the executable that ran.
    pub leaked: HashMap<PathBuf, u64>,
    /// The most processes alive at once.
    pub widest: usize,
    /// The first few environs that held a secret.
    pub hits: Vec<Hit>,
    /// How many held one.
    pub hit_count: u64,
}

/// A watch over one tree of processes.
pub struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    root: AtomicU32,
    stop: AtomicBool,
    report: Mutex<Report>,
    pids: Mutex<Vec<u32>>,
}

impl Watch {
    /// Begins to watch, before there is a root. `mark` is text in the
    /// environment of everything that the test starts; counting it shows that
    /// real environments were read.
    #[must_use]
    pub fn new(secrets: &[Arc<TestSecret>], mark: &str) -> Self {
        let shared = Arc::new(Shared {
            root: AtomicU32::new(0),
            stop: AtomicBool::new(false),
            report: Mutex::default(),
            pids: Mutex::default(),
        });
        let watcher = Watcher {
            tree: Tree::before_start(),
            secrets: secrets.to_vec(),
            mark: mark.to_owned(),
            buffer: vec![0; 4 << 20],
            found: Report::default(),
            shared: Arc::clone(&shared),
        };
        let thread = thread::Builder::new()
            .name("environ watch".to_owned())
            .spawn(move || watcher.run())
            .expect("a thread can be started");
        Self { shared, thread: Some(thread) }
    }

    /// Names the process whose tree is watched.
    pub fn plant(&self, root: u32) {
        self.shared.root.store(root, Ordering::Release);
    }

    /// What was seen so far.
    #[must_use]
    pub fn report(&self) -> Report {
        lock(&self.shared.report).clone()
    }

    /// The living processes of the tree.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        lock(&self.shared.pids).clone()
    }

    /// Waits until `enough` of the report; false when `patience` ran out.
    pub fn wait(&self, patience: Duration, enough: impl Fn(&Report) -> bool) -> bool {
        let end = Instant::now() + patience;
        loop {
            if enough(&lock(&self.shared.report)) {
                return true;
            }
            if Instant::now() > end {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends the watch.
    pub fn end(mut self) -> Report {
        self.join();
        self.report()
    }

    fn join(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the environ watch failed");
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.join();
    }
}

impl Report {
    /// How often the environ of this executable, with the mark, was read.
    #[must_use]
    pub fn of(&self, exe: &Path) -> u64 {
        self.marked.get(exe).copied().unwrap_or(0)
    }
}

struct Watcher {
    tree: Tree,
    secrets: Vec<Arc<TestSecret>>,
    mark: String,
    buffer: Vec<u8>,
    found: Report,
    shared: Arc<Shared>,
}

/// Every so many rounds the threads of each process are read as well; between,
/// only where the process itself showed nothing.
const THREADS_EVERY: u64 = 4;
const HITS_KEPT: usize = 8;

impl Watcher {
    fn run(mut self) {
        while self.shared.root.load(Ordering::Acquire) == 0 {
            if self.shared.stop.load(Ordering::Acquire) {
                return;
            }
            thread::yield_now();
        }
        self.tree.plant(self.shared.root.load(Ordering::Acquire));
        let mut round = 0u64;
        while !self.shared.stop.load(Ordering::Acquire) {
            self.tree.grow();
            let pids: Vec<u32> = self.tree.processes().map(|process| process.pid).collect();
            for &pid in &pids {
                self.visit(pid, round.is_multiple_of(THREADS_EVERY));
            }
            self.found.widest = self.found.widest.max(pids.len());
            lock(&self.shared.report).clone_from(&self.found);
            *lock(&self.shared.pids) = pids;
            round += 1;
            thread::yield_now();
        }
    }

    fn visit(&mut self, pid: u32, with_threads: bool) {
        match self.read(&format!("/proc/{pid}/environ")) {
            Seen::Gone => self.tree.forget(pid),
            Seen::Text(length) => self.examine(pid, pid, length),
            Seen::Nothing => {}
        }
        if with_threads {
            for tid in threads(pid) {
                if let Seen::Text(length) = self.read(&format!("/proc/{pid}/task/{tid}/environ")) {
                    self.examine(pid, tid, length);
                }
            }
        }
    }

    fn read(&mut self, path: &str) -> Seen {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                self.found.refused += 1;
                return Seen::Nothing;
            }
            // A zombie's environ gives ESRCH where it is not simply empty.
            Err(_) if Path::new(path.trim_end_matches("/environ")).exists() => {
                return Seen::Nothing;
            }
            Err(_) => return Seen::Gone,
        };
        let mut length = 0;
        loop {
            match file.read(&mut self.buffer[length..]) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        if length == 0 {
            self.found.empty += 1;
            return Seen::Nothing;
        }
        self.found.reads += 1;
        Seen::Text(length)
    }

    fn examine(&mut self, pid: u32, tid: u32, length: usize) {
        let text = &self.buffer[..length];
        let hit = self.secrets.iter().find_map(|secret| secret.position(text));
        let marked = text.split(|&byte| byte == 0).any(|entry| entry == self.mark.as_bytes());
        if hit.is_none() && !marked {
            return;
        }
        let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        if let Some(at) = hit {
            self.found.hit_count += 1;
            *self.found.leaked.entry(exe.clone()).or_default() += 1;
            if self.found.hits.len() < HITS_KEPT {
                let start = text[..at].iter().rposition(|&byte| byte == 0).map_or(0, |nul| nul + 1);
                self.found.hits.push(Hit {
                    task: (pid, tid),
                    exe: exe.clone(),
                    // Only the name: what follows may be a part of the secret.
                    entry: text[start..at]
                        .split_inclusive(|&byte| byte == b'=')
                        .next()
                        .map(|name| String::from_utf8_lossy(name).into_owned())
                        .unwrap_or_default(),
                });
            }
        }
        if marked {
            *self.found.marked.entry(exe).or_default() += 1;
        }
    }
}

enum Seen {
    Gone,
    Nothing,
    Text(usize),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
