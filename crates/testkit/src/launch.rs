//! Starting a command with a watch on its tree, talking to it, and ending it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::PATIENCE;
use crate::room::Room;
use crate::secret::TestSecret;
use crate::sha256::{hex, sha256};
use crate::tool::{is_root, search_path};
use crate::tree::signal;
use crate::watch::{Report, Watch};

/// Who runs a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Whoever runs the tests.
    Caller,
    /// A user without any privilege: `nobody` when the tests run as root, else
    /// the caller, who is one.
    Unprivileged,
    /// The same user, with an envward that has the file capability of the full
    /// mode. Needs root, and a room on a file system that is not `nosuid`.
    Capable,
}

impl Identity {
    const NOBODY: u32 = 65534;

    /// The user to change to; `None` where nothing changes.
    #[must_use]
    pub fn uid(self) -> Option<u32> {
        (self != Self::Caller && is_root()).then_some(Self::NOBODY)
    }
}

/// A command to be started under watch.
pub struct Launch {
    argv: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
    identity: Identity,
    secrets: Vec<Arc<TestSecret>>,
    mark: String,
}

impl Launch {
    /// A command with an environment that holds nothing but the basics, run in
    /// a home of its own in `room`.
    #[must_use]
    pub fn new<I>(room: &Room, secrets: &[Arc<TestSecret>], identity: Identity, argv: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let directory = room.directory("home", identity);
        // Any text that is in no other environment will do.
        let mark = hex(&sha256(room.path().as_os_str().as_encoded_bytes()));
        let environment = [
            ("PATH", search_path()),
            ("HOME", directory.clone().into_os_string()),
            ("LANG", "C.UTF-8".into()),
            ("ENVWARD_TEST_MARK", OsString::from(&mark)),
        ];
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            environment: environment.map(|(name, value)| (name.into(), value)).to_vec(),
            directory,
            identity,
            secrets: secrets.to_vec(),
            mark: format!("ENVWARD_TEST_MARK={mark}"),
        }
    }

    /// Adds an ordinary variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it. The watch runs from before the start.
    #[must_use]
    pub fn start(self) -> Running {
        let (program, arguments) = self.argv.split_first().expect("a command has a program");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment)
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(uid) = self.identity.uid() {
            command.uid(uid).gid(uid);
        }
        let watch = Watch::new(&self.secrets, &self.mark);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        watch.plant(child.id());
        let lines = read_lines(child.stdout.take().expect("stdout is piped"));
        let (complaints, complained) = read_all(child.stderr.take().expect("stderr is piped"));
        Running {
            argv: self.argv,
            stdin: child.stdin.take(),
            child,
            lines,
            said: Vec::new(),
            complaints,
            complained,
            secrets: self.secrets,
            watch: Some(watch),
        }
    }
}

/// A started command. Dropping it kills the whole tree.
pub struct Running {
    argv: Vec<OsString>,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Vec<String>,
    complaints: Arc<Mutex<Vec<u8>>>,
    /// Hangs up when standard error has ended.
    complained: Receiver<()>,
    secrets: Vec<Arc<TestSecret>>,
    watch: Option<Watch>,
}

/// How a command ended.
pub struct Ended {
    /// Its wait status.
    pub status: ExitStatus,
    /// All lines of its standard output.
    pub lines: Vec<String>,
    /// Its standard error, secrets blotted out.
    pub stderr: String,
    /// What the watch saw over its whole life.
    pub report: Report,
}

impl Running {
    /// The process that was started.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The watch on its tree.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        self.watch.as_ref().expect("the watch lasts as long as the command")
    }

    /// The next line of its standard output; fails the test if none comes.
    pub fn line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.said.push(line.clone());
                line
            }
            Err(RecvTimeoutError::Timeout) => self.fail("no further line came"),
            Err(RecvTimeoutError::Disconnected) => {
                // Its complaint may still be on the way.
                let _ = self.complained.recv_timeout(Duration::from_millis(500));
                self.fail("its output ended")
            }
        }
    }

    /// Expects exactly these lines next.
    pub fn expect(&mut self, lines: &[String]) {
        for expected in lines {
            let line = self.line();
            if line != *expected {
                self.fail(&format!("expected the line `{expected}`, got `{line}`"));
            }
        }
    }

    /// Waits until the environ of each of these executables was read `times`
    /// more often than now.
    pub fn expect_reads(&self, executables: &[PathBuf], times: u64) {
        let before = self.watch().report();
        for exe in executables {
            let goal = before.of(exe) + times;
            if !self.watch().wait(PATIENCE, |report| report.of(exe) >= goal) {
                let count = self.watch().report().of(exe);
                self.fail(&format!("the environ of {} was read {count} times, {goal} are needed", exe.display()));
            }
        }
    }

    /// Sends it bytes on its standard input.
    pub fn send(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("standard input is still open");
        if let Err(error) = stdin.write_all(bytes) {
            self.fail(&format!("it takes no input: {error}"));
        }
    }

    /// Closes its standard input, the sign for test programs to end.
    pub fn release(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end, after [`Running::release`].
    #[must_use]
    pub fn finish(mut self) -> Ended {
        self.release();
        let status = self.wait();
        // What its tree wrote before the end is in the pipe by now; a daemon
        // may hold the pipe open, so the end of file is not waited for long.
        while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(500)) {
            self.said.push(line);
        }
        let _ = self.complained.recv_timeout(Duration::from_millis(500));
        Ended {
            status,
            lines: std::mem::take(&mut self.said),
            stderr: self.complaint(),
            report: self.watch.take().map(Watch::end).unwrap_or_default(),
        }
    }

    /// Waits for the end of the started process itself, its standard input as
    /// it is; the watch goes on.
    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) if Instant::now() > end => self.fail("it did not end"),
                Ok(None) => thread::sleep(Duration::from_millis(1)),
                Err(error) => self.fail(&format!("it cannot be waited for: {error}")),
            }
        }
    }

    /// Fails the test with what is known about the command.
    pub fn fail(&self, why: &str) -> ! {
        let mut text = format!("{why}\n  command:");
        for argument in &self.argv {
            let _ = write!(text, " {}", argument.display());
        }
        let _ = write!(text, "\n  said: {:?}", self.said);
        let _ = write!(text, "\n  complained: {}", self.complaint());
        panic!("{}", self.redact(&text));
    }

    fn complaint(&self) -> String {
        let complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        self.redact(String::from_utf8_lossy(&complaints).trim_end())
    }

    fn redact(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The descendants before the supervisor, twice, for what they start
        // meanwhile.
        for _ in 0..2 {
            let Some(watch) = &self.watch else { break };
            let pids = watch.processes();
            signal("KILL", &pids.into_iter().filter(|&pid| pid != self.pid()).collect::<Vec<_>>());
            thread::sleep(Duration::from_millis(5));
        }
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Ended {
    /// Fails the test unless the command ended with exit status 0.
    pub fn expect_success(&self) {
        self.expect_code(0);
    }

    /// Fails the test unless the command ended with this exit status.
    pub fn expect_code(&self, code: i32) {
        assert_eq!(
            self.status.code(),
            Some(code),
            "exit status (signal {:?}); said {:?}; complained: {}",
            self.status.signal(),
            self.lines,
            self.stderr
        );
    }

    /// Fails the test if any environ of the tree held a secret, or if the
    /// environ of `executables` was not read at all.
    pub fn expect_clean(&self, executables: &[&Path]) {
        assert!(
            self.report.hit_count == 0,
            "{} environs held the secret, among them {:#?}",
            self.report.hit_count,
            self.report.hits
        );
        for exe in executables {
            assert!(self.report.of(exe) > 0, "the environ of {} was never read: {:?}", exe.display(), self.report);
        }
    }
}

fn read_lines(stdout: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn read_all(mut stderr: impl Read + Send + 'static) -> (Arc<Mutex<Vec<u8>>>, Receiver<()>) {
    let all = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&all);
    let (ended, complained) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut buffer) {
            sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
        }
        drop::<Sender<()>>(ended);
    });
    (all, complained)
}
