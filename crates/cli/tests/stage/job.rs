//! Starting a program in a case, and watching it with deadlines.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, waitpid};

use super::case::Case;
use super::{Secrets, processes, stage};

/// How long anything may take before a test gives up. Not a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long to look for something that must not happen.
pub const SETTLE: Duration = Duration::from_millis(150);

/// A program to be started, and the state in which its starter is.
pub struct Start {
    case: Case,
    operations: Vec<OsString>,
    options: Vec<OsString>,
    secrets: Option<Secrets>,
    env_file: bool,
    around: Vec<OsString>,
    before: Vec<OsString>,
    command: Vec<OsString>,
    directory: Option<PathBuf>,
    entries: Vec<(OsString, OsString)>,
    group: bool,
}

impl Start {
    /// `command` run in `case`, with secrets if the case goes through envward.
    pub fn new<S: AsRef<OsStr>>(case: &Case, command: impl IntoIterator<Item = S>) -> Self {
        Self {
            case: *case,
            operations: Vec::new(),
            options: Vec::new(),
            secrets: case.mode.map(|_| Secrets::new(case.uid)),
            env_file: true,
            around: Vec::new(),
            before: Vec::new(),
            command: command.into_iter().map(|word| word.as_ref().into()).collect(),
            directory: None,
            entries: Vec::new(),
            group: true,
        }
    }

    /// The probe, run in `case`.
    pub fn probe<S: AsRef<OsStr>>(case: &Case, arguments: impl IntoIterator<Item = S>) -> Self {
        let mut start = Self::new(case, [stage().program("probe")]);
        start.command.extend(arguments.into_iter().map(|word| word.as_ref().into()));
        start
    }

    /// Adds an operation of `with.c`.
    pub fn with(mut self, operation: impl Into<OsString>) -> Self {
        self.operations.push(operation.into());
        self
    }

    /// Adds an option of `envward run`; without effect in a direct case.
    pub fn option(mut self, option: impl Into<OsString>) -> Self {
        self.options.push(option.into());
        self
    }

    /// Uses these secrets rather than fresh ones.
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = Some(secrets);
        self
    }

    /// The secrets that it will be given.
    pub fn given(&self) -> Option<&Secrets> {
        self.secrets.as_ref()
    }

    /// Does not name the env file: the secrets are given in another way.
    pub fn no_env_file(mut self) -> Self {
        self.env_file = false;
        self
    }

    /// Starts without secrets.
    pub fn no_secrets(mut self) -> Self {
        self.secrets = None;
        self
    }

    /// Starts in `directory`.
    pub fn within(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets a variable in the environment of the starter.
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.entries.push((name.into(), value.into()));
        self
    }

    /// Puts words in front of everything: a program, run as root, that starts
    /// the rest.
    pub fn around<S: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.around = words.into_iter().map(|word| word.as_ref().into()).collect();
        self
    }

    /// Puts words right before the launcher: a program, run as the user of the
    /// case, that starts the rest.
    pub fn before<S: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.before = words.into_iter().map(|word| word.as_ref().into()).collect();
        self
    }

    /// Stays in the process group of the tests.
    pub fn same_group(mut self) -> Self {
        self.group = false;
        self
    }

    /// The words that start it: `with … -- [envward run … --] command`.
    pub fn words(&self) -> Vec<OsString> {
        let with: OsString = stage().program("with").into();
        let mut words = vec![with.clone()];
        words.extend(self.operations.iter().cloned());
        if !self.around.is_empty() {
            words.push("--".into());
            words.extend(self.around.iter().cloned());
            words.push(with);
        }
        if let Some(uid) = self.case.uid {
            words.push(format!("uid={uid}").into());
        }
        words.push("--".into());
        words.extend(self.before.iter().cloned());
        words.extend(self.launcher());
        words.extend(self.command.iter().cloned());
        words
    }

    /// Just `envward run … --`, or nothing in a direct case.
    pub fn launcher(&self) -> Vec<OsString> {
        let Some(mode) = self.case.mode else {
            return Vec::new();
        };
        let mut words: Vec<OsString> = vec![
            stage().program(self.case.binary).into(),
            "run".into(),
            "--no-config".into(),
            "--mode".into(),
            mode.into(),
        ];
        if !self.options.iter().any(|option| option == "--verbose") {
            words.push("--quiet".into());
        }
        if let Some(secrets) = self.secrets.as_ref().filter(|_| self.env_file) {
            words.push("--env-file".into());
            words.push(secrets.file.clone().into());
        }
        if self.case.redact {
            words.push("--redact".into());
        }
        words.extend(self.options.iter().cloned());
        words.push("--".into());
        words
    }

    /// Starts it with pipes for its input and output.
    pub fn spawn(self) -> Job {
        self.spawn_with(Stdio::piped(), Stdio::piped(), Stdio::piped())
    }

    /// Starts it with the given input and output.
    pub fn spawn_with(self, input: Stdio, output: Stdio, errors: Stdio) -> Job {
        let words = self.words();
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .envs(self.entries)
            .stdin(input)
            .stdout(output)
            .stderr(errors);
        if let Some(directory) = self.directory {
            command.current_dir(directory);
        }
        if self.group {
            command.process_group(0);
        }
        Job::watch(command.spawn().expect("with"), self.secrets)
    }

    /// Starts it and returns how it ended and what it wrote.
    pub fn output(self) -> Output {
        let mut job = self.spawn_with(Stdio::null(), Stdio::piped(), Stdio::piped());
        let ended = job.wait();
        Output { ended, out: job.rest(), err: job.errors() }
    }

    /// Starts it and returns how it ended.
    pub fn ended(self) -> Ended {
        self.spawn_with(Stdio::null(), Stdio::null(), Stdio::inherit()).wait()
    }
}

/// A change of state as the parent sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Ended with this status.
    Exit(i32),
    /// Ended by this signal.
    Signal(i32),
    /// Stopped by this signal.
    Stopped(i32),
    /// Continued.
    Continued,
}

/// What a finished program left.
#[derive(Debug, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    /// Its standard output, by lines.
    pub out: Vec<String>,
    /// Its standard error, by lines.
    pub err: Vec<String>,
}

/// A started program: of a direct case, or envward with the program below it.
pub struct Job {
    child: Child,
    lines: Option<Receiver<String>>,
    errors: Option<Receiver<String>>,
    gone: bool,
    /// The secrets that it was given.
    pub secrets: Option<Secrets>,
}

impl Job {
    fn watch(mut child: Child, secrets: Option<Secrets>) -> Self {
        let lines = child.stdout.take().map(by_line);
        let errors = child.stderr.take().map(by_line);
        Self { child, lines, errors, gone: false, secrets }
    }

    /// The process that was started: the program in a direct case, else envward.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until the probe says that it is up, and which process it is.
    pub fn up(&mut self) -> Pid {
        let line = self.line();
        let pid = line.strip_prefix("up ").and_then(|pid| Pid::from_raw(pid.parse().ok()?));
        pid.unwrap_or_else(|| panic!("not up: {line:?}"))
    }

    /// Sends a signal to the started process.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("kill");
    }

    /// The next line of output.
    pub fn line(&mut self) -> String {
        match self.try_line(PATIENCE) {
            Some(line) => line,
            None => panic!("no further line; standard error: {:?}", self.errors()),
        }
    }

    /// The next line of output, if one comes within `patience`.
    pub fn try_line(&mut self, patience: Duration) -> Option<String> {
        next(self.lines.as_ref().expect("output is a pipe"), patience)
    }

    /// All lines up to and including the first that starts with `prefix`.
    pub fn until(&mut self, prefix: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.starts_with(prefix)) {
            lines.push(self.line());
        }
        lines
    }

    /// All lines up to the end of output.
    pub fn rest(&mut self) -> Vec<String> {
        drain(self.lines.as_ref())
    }

    /// All that is left on standard error.
    pub fn errors(&mut self) -> Vec<String> {
        drain(self.errors.as_ref())
    }

    /// Writes to the program's input.
    pub fn write(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().expect("input is a pipe");
        input.write_all(text.as_bytes()).expect("input");
    }

    /// Writes to the program's input, which may be closed.
    pub fn try_write(&mut self, text: &str) -> std::io::Result<()> {
        let input = self.child.stdin.as_mut().expect("input is a pipe");
        input.write_all(text.as_bytes())
    }

    /// Ends the program's input.
    pub fn close_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> Ended {
        let ended = self.change(WaitOptions::empty(), PATIENCE);
        ended.unwrap_or_else(|| panic!("still running; standard error: {:?}", self.errors()))
    }

    /// Waits for the end, a stop or a continuation.
    pub fn wait_change(&mut self) -> Ended {
        self.change(WaitOptions::UNTRACED | WaitOptions::CONTINUED, PATIENCE).expect("no change of state")
    }

    /// Waits for the end, up to `patience`.
    pub fn ends_within(&mut self, patience: Duration) -> Option<Ended> {
        self.change(WaitOptions::empty(), patience)
    }

    fn change(&mut self, flags: WaitOptions, patience: Duration) -> Option<Ended> {
        let start = Instant::now();
        loop {
            let changed = waitpid(Some(self.pid()), flags | WaitOptions::NOHANG).expect("waitpid");
            let Some((_, status)) = changed else {
                if start.elapsed() > patience {
                    return None;
                }
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            let ended = if let Some(status) = status.exit_status() {
                Ended::Exit(status)
            } else if let Some(signal) = status.terminating_signal() {
                Ended::Signal(signal)
            } else if let Some(signal) = status.stopping_signal() {
                Ended::Stopped(signal)
            } else {
                Ended::Continued
            };
            self.gone |= matches!(ended, Ended::Exit(_) | Ended::Signal(_));
            return Some(ended);
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.gone {
            return;
        }
        let tree = descendants(self.pid());
        // Gone already is as good as killed.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        for pid in tree.into_iter().chain([self.pid()]) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = waitpid(Some(self.pid()), WaitOptions::empty());
    }
}

/// The children of a process, by asking the kernel.
pub fn children(pid: Pid) -> Vec<Pid> {
    processes()
        .filter(|candidate| parent(*candidate) == Some(pid.as_raw_nonzero().get()))
        .filter_map(Pid::from_raw)
        .collect()
}

/// All processes below one.
pub fn descendants(pid: Pid) -> Vec<Pid> {
    below(pid, processes())
}

/// The processes below one that have a higher number, which are all unless the numbers have
/// started over meanwhile. Much quicker.
pub fn younger_descendants(pid: Pid) -> Vec<Pid> {
    let number = pid.as_raw_nonzero().get();
    below(pid, processes().filter(|other| *other > number))
}

fn below(pid: Pid, candidates: impl Iterator<Item = i32>) -> Vec<Pid> {
    let parents: Vec<(i32, i32)> = candidates.filter_map(|child| Some((child, parent(child)?))).collect();
    let mut all = vec![pid.as_raw_nonzero().get()];
    let mut next = 0;
    while let Some(above) = all.get(next).copied() {
        all.extend(parents.iter().filter(|(_, parent)| *parent == above).map(|(child, _)| *child));
        next += 1;
    }
    all.into_iter().skip(1).filter_map(Pid::from_raw).collect()
}

/// The parent of a process.
pub fn parent(pid: i32) -> Option<i32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// The fields of `/proc/PID/stat` from the state on.
pub fn stat(pid: i32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// Polls until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Reads a file that a program has written.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn by_line(source: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(source);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            if sender.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    receiver
}

fn next(lines: &Receiver<String>, patience: Duration) -> Option<String> {
    lines.recv_timeout(patience).ok()
}

fn drain(lines: Option<&Receiver<String>>) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(line) = lines.and_then(|lines| next(lines, Duration::from_secs(2))) {
        all.push(line);
    }
    all
}
