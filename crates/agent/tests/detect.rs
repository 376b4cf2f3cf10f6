//! The tier that only sees, on the machine that runs the tests: raw tracepoints load where
//! security modules of BPF do not. Needs root. Nobody is refused anything or killed here.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test says what went wrong by ending")]

#[path = "detect/outputs.rs"]
mod outputs;
#[path = "detect/watch.rs"]
mod watch;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use envward_agent::process;
use envward_testkit::{PATIENCE, require_root};
use serde_json::Value;

struct Agent {
    child: Child,
    room: tempfile::TempDir,
}

impl Agent {
    fn start(victim: u32) -> Self {
        Self::with(victim, &[])
    }

    fn with(victim: u32, options: &[&str]) -> Self {
        require_root("to load BPF programs");
        let room = tempfile::tempdir().unwrap();
        let create = |name: &str| File::create(room.path().join(name)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_envward-agent"))
            .args(["run", "--tier", "detect", "--protect", &victim.to_string(), "--socket"])
            .arg(room.path().join("agent.sock"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(create("events"))
            .stderr(create("errors"))
            .spawn()
            .unwrap();
        let mut agent = Self { child, room };
        agent.wait(|agent| agent.errors().contains("ready"));
        assert!(agent.errors().contains("tier detect"), "{}", agent.errors());
        agent
    }

    /// Ends it; what it said last.
    fn stop(&mut self) -> String {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)
            .unwrap();
        assert!(self.child.wait().unwrap().success(), "{}", self.errors());
        self.errors()
    }

    fn output(&self) -> String {
        fs::read_to_string(self.room.path().join("events")).unwrap()
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.room.path().join("errors")).unwrap()
    }

    fn wait(&mut self, done: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(self.child.try_wait().unwrap().is_none(), "the agent ended: {}", self.errors());
            assert!(start.elapsed() < PATIENCE, "nothing came: {}", self.errors());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The event about this reader.
    fn event(&mut self, reader: u32) -> Value {
        let find = |agent: &Self| {
            let text = agent.output();
            let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let events = whole.map(|line| serde_json::from_str::<Value>(line).unwrap());
            events.into_iter().find(|event| event["reader"]["pid"] == reader)
        };
        self.wait(|agent| find(agent).is_some());
        find(self).unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In a container the agent cannot know whom the kernel means, and says so; the other tests are
/// for where it can.
fn is_refused_here() -> bool {
    if process::is_in_first_namespace().unwrap() {
        return false;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_envward-agent")).args(["run", "--tier", "detect"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && errors.contains("not the first PID namespace"), "{errors}");
    true
}

struct Victim(Child);

impl Victim {
    fn start() -> Self {
        let child =
            Command::new("sleep").arg("1000").env_clear().env("MARKER", "fake-value-of-a-test").spawn().unwrap();
        let victim = Self(child);
        let start = Instant::now();
        while fs::read_to_string(format!("/proc/{}/comm", victim.pid())).unwrap() != "sleep\n" {
            assert!(start.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(5));
        }
        victim
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command that reads something; its number.
fn reader(command: &mut Command) -> u32 {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    child.wait_with_output().unwrap();
    pid
}

#[test]
fn reads_of_a_protected_process_are_seen() {
    if is_refused_here() {
        return;
    }
    let victim = Victim::start();
    let pid = victim.pid();
    let mut kept = File::open(format!("/proc/{pid}/environ")).unwrap();
    let mut agent = Agent::start(pid);
    for (path, route) in [
        (format!("/proc/{pid}/environ"), "environ"),
        (format!("/proc/{pid}/task/{pid}/environ"), "environ"),
        (format!("/proc/self/root/proc/{pid}/./environ"), "environ"),
        (format!("/proc/{pid}/maps"), "maps"),
        (format!("/proc/{pid}/auxv"), "auxv"),
    ] {
        let reader = reader(Command::new("cat").arg(&path));
        let event = agent.event(reader);
        assert_eq!((&event["route"], &event["verdict"]), (&route.into(), &"observed".into()), "{path}");
        assert_eq!((&event["hook"], &event["target"]["pid"]), (&"syscall".into(), &pid.into()), "{path}");
        assert_eq!(event["reader"]["argv"][1], path.as_str());
        assert!(!event.to_string().contains("fake-value-of-a-test"), "an event holds a value");
    }
    // A descriptor from before, in the hands of somebody who opened nothing.
    let reader = reader(Command::new("head").args(["-c", "1"]).stdin(kept.try_clone().unwrap()));
    assert_eq!(agent.event(reader)["route"], "environ");
    // This process reads, and so is seen; the same of another victim is not.
    let other = Victim::start();
    let mut byte = [0; 1];
    let own = std::process::id();
    File::open(format!("/proc/{}/environ", other.pid())).unwrap().read_exact(&mut byte).unwrap();
    kept.read_exact(&mut byte).unwrap();
    assert_eq!(agent.event(own)["target"]["pid"], pid);
}

#[test]
fn memory_and_tracers_are_seen() {
    if is_refused_here() {
        return;
    }
    let victim = Victim::start();
    let mut agent = Agent::start(victim.pid());
    for (proof, routes) in [("memory", ["maps", "mem"]), ("trace", ["maps", "ptrace"])] {
        let event = agent.event(attack(proof, victim.pid()));
        assert!(routes.iter().any(|route| event["route"] == *route), "{proof}: {event}");
    }
}

/// Makes one of the agent's own attacks; the attacker's number.
fn attack(proof: &str, victim: u32) -> u32 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_envward-agent"))
        .args(["proof-attacker", proof, "0", &victim.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"fake-value-of-a-test").unwrap();
    child.wait().unwrap();
    child.id()
}
