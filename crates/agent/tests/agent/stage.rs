//! What the tests share: an agent, victims, attackers.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use envward_guest::Guest;
use serde_json::Value;

/// How long anything may take; the guest is emulated.
pub(crate) const PATIENCE: Duration = Duration::from_secs(70);

/// A running agent. This test is trusted to signal it.
pub(crate) struct Agent {
    child: Child,
    errors: PathBuf,
    events: PathBuf,
}

impl Agent {
    /// The usual one.
    pub(crate) fn start(guest: &Guest) -> Self {
        Self::with(guest, "", &[])
    }

    /// One with more in its configuration, and more arguments.
    pub(crate) fn with(guest: &Guest, config: &str, arguments: &[&str]) -> Self {
        let own = std::env::current_exe().unwrap();
        let directory = tempfile::tempdir().unwrap().keep();
        let file = directory.join("agent.toml");
        let trust = format!("[[trust]]\nexecutable = '{}'\nwith = ['signal']\n", own.display());
        // Every event is told: tests look for the one of theirs.
        fs::write(&file, format!("{config}\n[flood]\nevents = 0\n{trust}")).unwrap();
        let (events, errors) = (directory.join("events"), directory.join("errors"));
        let child = Command::new(guest.program("envward-agent"))
            .args(["run", "--every-event"])
            .arg("--config")
            .arg(&file)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(File::create(&events).unwrap())
            .stderr(File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let mut agent = Self { child, errors, events };
        agent.await_error("ready");
        assert!(agent.errors().contains("tier deny"), "{}", agent.errors());
        agent
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn file(&self) -> PathBuf {
        self.events.with_file_name("agent.toml")
    }

    pub(crate) fn configuration(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// Has it read another configuration, and waits until it says this.
    pub(crate) fn reconfigure(&self, text: &str, expected: &str) {
        fs::write(self.file(), text).unwrap();
        signal(self.pid(), "HUP");
        until(|| self.errors().contains(expected));
    }

    fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }

    fn await_error(&mut self, word: &str) {
        until(|| {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the agent ended: {status}: {}", self.errors());
            }
            self.errors().contains(word)
        });
    }

    /// All events so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.events).unwrap();
        // The last line may be under way.
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// Waits for an event of which this is true.
    pub(crate) fn await_event(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            if let Some(event) = self.events().into_iter().find(|event| is_it(event)) {
                return event;
            }
            assert!(start.elapsed() < PATIENCE, "no event: {what}; there are {}", summary(&self.events()));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it, as the service manager would; its events and its sums.
    pub(crate) fn stop(mut self) -> (Vec<Value>, String) {
        let sums = self.end();
        (self.events(), sums)
    }

    /// The same, with the numbers of the events alone.
    pub(crate) fn stop_and_count(mut self) -> (Vec<u64>, String) {
        let sums = self.end();
        let text = fs::read_to_string(&self.events).unwrap();
        let number = |line: &str| {
            let (_, rest) = line.split_once("\"sequence\":").unwrap_or_else(|| panic!("{line}"));
            rest.split(',').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line}"))
        };
        (text.lines().map(number).collect(), sums)
    }

    fn end(&mut self) -> String {
        signal(self.pid(), "TERM");
        until(|| self.child.try_wait().unwrap().is_some());
        let errors = self.errors();
        let sums = errors.lines().find(|line| line.contains("stopped:")).unwrap_or_else(|| panic!("{errors}"));
        sums.to_owned()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            signal(self.pid(), "KILL");
            let _ = self.child.wait();
        }
    }
}

/// One number of the sums.
pub(crate) fn sum(sums: &str, name: &str) -> u64 {
    let word = sums.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    word.unwrap_or_else(|| panic!("{sums}")).parse().unwrap()
}

/// Routes and verdicts, for messages.
pub(crate) fn summary(events: &[Value]) -> String {
    events.iter().map(|event| format!("{}:{}:{} ", event["route"], event["verdict"], event["reader"]["comm"])).collect()
}

/// Sends a signal from this process, which the agents of these tests trust.
pub(crate) fn signal(pid: u32, name: &str) {
    let number = match name {
        "TERM" => rustix::process::Signal::TERM,
        "KILL" => rustix::process::Signal::KILL,
        "HUP" => rustix::process::Signal::HUP,
        "STOP" => rustix::process::Signal::STOP,
        "CONT" => rustix::process::Signal::CONT,
        other => panic!("{other}"),
    };
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), number).unwrap();
}

pub(crate) fn until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "this took too long");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A sleeping process with a marker in its environment.
pub(crate) struct Victim {
    child: Child,
    pub(crate) marker: String,
}

impl Victim {
    pub(crate) fn start() -> Self {
        Self::of(None)
    }

    /// As this user.
    pub(crate) fn of(uid: Option<u32>) -> Self {
        Self::running("sleep", uid)
    }

    /// Of this program, a sleep(1) by whatever path.
    pub(crate) fn running(program: &str, uid: Option<u32>) -> Self {
        let mut bytes = [0; 16];
        File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
        let marker = bytes.iter().fold("no-secret-".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        let mut command = Command::new(program);
        command.arg("1000").env_clear().env("PATH", "/guest/bin:/bin:/usr/bin").env("MARKER", &marker);
        if let Some(uid) = uid {
            use std::os::unix::process::CommandExt as _;
            command.uid(uid).gid(uid);
        }
        let child = command.spawn().unwrap();
        let victim = Self { child, marker };
        until(|| fs::read_to_string(format!("/proc/{}/comm", victim.pid())).is_ok_and(|name| name == "sleep\n"));
        victim
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attacker {
    Root,
    /// Root with this capability alone.
    RootWith(&'static str),
    User(u32),
}

impl Attacker {
    /// What the attack program says: `leaked`, `denied ERRNO` or `not found`.
    pub(crate) fn walk(self, guest: &Guest, route: &str, victim: &Victim) -> String {
        let mut command = match self {
            Self::Root => Command::new(guest.program("envward-attack")),
            Self::RootWith(capability) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--bounding-set=-all,+{capability}")).arg("--inh-caps=-all");
                command.arg(guest.program("envward-attack"));
                command
            }
            Self::User(uid) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={uid}")).arg(format!("--regid={uid}")).arg("--clear-groups");
                command.arg(guest.program("envward-attack"));
                command
            }
        };
        let output = feed(command.arg(route).arg(victim.pid().to_string()), victim.marker.as_bytes());
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!said.is_empty(), "{self:?} {route}: {}", String::from_utf8_lossy(&output.stderr));
        said.trim().to_owned()
    }
}

/// Runs a command with this on its standard input.
pub(crate) fn feed(command: &mut Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("cannot start");
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// Runs a shell line as root; what it wrote to both streams.
pub(crate) fn shell(line: &str) -> (bool, String) {
    let output = feed(Command::new("sh").arg("-c").arg(line), b"");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}
