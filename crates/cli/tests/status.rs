//! `envward status` on real processes, in every mode, and with every kind of refusal.
//!
//! Needs root: only root can have the full mode, and start processes as somebody else.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code: a failed expectation ends the test")]

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use envward_kernel::memory;
use envward_secret::{Backing, Region};
use envward_testkit::{Identity, Room, TestSecret, require_root};
use serde_json::{Value, json};

/// Somebody without privileges.
const NOBODY: u32 = 65534;
const ROOT: u32 = 0;

/// Tells its number, then waits for the end of its input.
const WAIT: &str = "echo $$; read line";

/// A directory with a copy of envward that everybody may run, and an env file for one user.
struct Stage {
    _room: Room,
    envward: PathBuf,
    env_file: OsString,
    secret: TestSecret,
}

impl Stage {
    fn new(owner: Identity) -> Self {
        require_root("the full mode, and processes of other users");
        let room = Room::new();
        let secret = TestSecret::new("STATUS_TOKEN");
        let envward = room.place(Path::new(env!("CARGO_BIN_EXE_envward")));
        let env_file = room.env_file(&[&secret], owner);
        Self { _room: room, envward, env_file, secret }
    }

    /// Starts a shell that waits under `envward run`.
    fn run(&self, uid: u32, mode: &str) -> Started {
        self.run_command(uid, mode, &["sh", "-c", WAIT])
    }

    fn run_command(&self, uid: u32, mode: &str, program: &[&str]) -> Started {
        let mut command = Command::new(&self.envward);
        command.args(["run", "--no-config", "--quiet", "--no-core", "--mode", mode]);
        Started::new(command.arg("--env-file").arg(&self.env_file).arg("--").args(program), uid)
    }

    /// Lets `uid` ask.
    fn status(&self, uid: u32, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.envward);
        become_user(&mut command, uid);
        command.arg("status").args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Lets `uid` ask about a process; returns the exit status and the facts.
    fn facts(&self, uid: u32, pid: u32) -> (i32, Value) {
        let output = self.status(uid, &["--json", &pid.to_string()]);
        let facts = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap(), facts)
    }
}

fn become_user(command: &mut Command, uid: u32) {
    command.current_dir("/");
    if uid != ROOT {
        command.uid(uid).gid(uid);
    }
}

/// A process that was started, and the program that told its number. Ends with its input.
struct Started {
    child: Child,
    program: u32,
}

impl Started {
    fn new(command: &mut Command, uid: u32) -> Self {
        become_user(command, uid);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let program = line.trim().parse().unwrap_or_else(|_| panic!("the program did not start"));
        Self { child, program }
    }

    fn plain(uid: u32) -> Self {
        Self::new(Command::new("sh").args(["-c", WAIT]), uid)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What a fact looks like when it is known.
fn known(value: impl Into<Value>) -> Value {
    json!({ "value": value.into() })
}

fn refused() -> Value {
    known(json!({"environ": "refused", "memory": "refused"}))
}

/// Secret memory as every program under envward has it.
fn assert_secret_memory(facts: &Value) {
    let mappings = facts["secret_memory"]["value"].as_array().unwrap();
    assert_eq!(mappings.len(), 1, "{facts:#}");
    assert_eq!(mappings[0]["kind"], "memfd_secret");
    assert_eq!(mappings[0]["permissions"], "rw-s");
    assert_eq!(mappings[0]["locked"], true);
    assert_eq!(mappings[0]["dont_dump"], true);
    assert!(mappings[0]["size_bytes"].as_u64().unwrap() >= 4096);
    assert_eq!(facts["secret_descriptors"], known(json!([])));
}

fn assert_unknown(facts: &Value, names: &[&str]) {
    for name in names {
        let reason = facts[name]["unknown"].as_str().unwrap_or_else(|| panic!("{name} is known: {facts:#}"));
        assert!(reason.ends_with("run as root"), "{name}: {reason}");
    }
}

#[test]
fn a_plain_process_has_nothing() {
    let stage = Stage::new(Identity::Unprivileged);
    let plain = Started::plain(NOBODY);
    for asking in [ROOT, NOBODY] {
        let (code, facts) = stage.facts(asking, plain.program);
        assert_eq!(code, 1);
        assert_eq!(facts["schema"], "envward.status/1");
        assert_eq!(facts["pid"], plain.program);
        assert_eq!(facts["uid"], NOBODY);
        assert_eq!(facts["mode"], known("none"));
        assert_eq!(facts["secret_memory"], known(json!([])));
        assert_eq!(facts["dumpable"], known(true), "{facts:#}");
        assert_eq!(facts["same_user_access"]["value"]["environ"], "granted");
        assert_eq!(facts["seccomp"], known("none"));
        assert_eq!(facts["supervisor"], known(Value::Null));
        assert_eq!(facts["tracer"], known(Value::Null));
    }
}

#[test]
fn a_plain_process_of_root_is_dumpable_though_weaker_processes_are_refused() {
    let stage = Stage::new(Identity::Caller);
    let plain = Started::plain(ROOT);
    let (_, facts) = stage.facts(ROOT, plain.program);
    assert_eq!(facts["dumpable"], known(true), "{facts:#}");
    assert_eq!(facts["mode"], known("none"));
}

#[test]
fn the_full_mode_is_seen() {
    let stage = Stage::new(Identity::Caller);
    let started = stage.run(ROOT, "full");
    let (code, facts) = stage.facts(ROOT, started.program);
    assert_eq!((code, &facts["mode"]), (0, &known("full")), "{facts:#}");
    assert_secret_memory(&facts);
    assert_eq!(facts["dumpable"], known(false));
    assert_eq!(facts["same_user_access"], refused());
    assert_eq!(facts["seccomp"], known("filter"));
    assert_eq!(facts["core_limit_bytes"], known(0));
    assert_eq!(facts["supervisor"]["value"]["pid"], started.child.id());
    assert_eq!(facts["supervisor"]["value"]["has_cap_sys_ptrace"], true);
}

#[test]
fn a_program_of_another_user_in_the_full_mode_is_refused_to_its_user() {
    let stage = Stage::new(Identity::Caller);
    let become_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", WAIT];
    let started = stage.run_command(ROOT, "full", &become_nobody);
    let (code, facts) = stage.facts(ROOT, started.program);
    assert_eq!((code, &facts["mode"]), (0, &known("full")), "{facts:#}");
    assert_eq!(facts["uid"], NOBODY);
    assert_eq!(facts["dumpable"], known(false));
    assert_eq!(facts["same_user_access"], refused());
    // The same, asked by the program's own user: nothing is guessed.
    let (code, facts) = stage.facts(NOBODY, started.program);
    assert_eq!((code, &facts["dumpable"]), (1, &known(false)));
    assert_unknown(&facts, &["mode", "secret_memory", "secret_descriptors", "supervisor", "executable"]);
}

#[test]
fn the_supervised_mode_is_seen() {
    let stage = Stage::new(Identity::Unprivileged);
    let started = stage.run(NOBODY, "supervised");
    let (code, facts) = stage.facts(ROOT, started.program);
    assert_eq!((code, &facts["mode"]), (0, &known("supervised")), "{facts:#}");
    assert_secret_memory(&facts);
    assert_eq!(facts["dumpable"], known(true));
    assert_eq!(facts["no_new_privs"], known(true));
    assert_eq!(facts["supervisor"]["value"]["pid"], started.child.id());
    assert_eq!(facts["supervisor"]["value"]["uid"], NOBODY);
    assert_eq!(facts["supervisor"]["value"]["has_cap_sys_ptrace"], false);
    // Its own user may look into it, and not into its supervisor.
    let (code, facts) = stage.facts(NOBODY, started.program);
    assert_eq!((code, &facts["dumpable"]), (0, &known(true)));
    assert_secret_memory(&facts);
    assert_unknown(&facts, &["mode", "supervisor"]);
    let reason = facts["supervisor"]["unknown"].as_str().unwrap();
    assert!(reason.contains(&format!("{} (envward)", started.child.id())), "{reason}");
}

#[test]
fn the_sealed_mode_is_seen() {
    let stage = Stage::new(Identity::Unprivileged);
    let started = stage.run(NOBODY, "sealed");
    let (code, facts) = stage.facts(ROOT, started.program);
    assert_eq!((code, &facts["mode"]), (0, &known("sealed")), "{facts:#}");
    assert_secret_memory(&facts);
    assert_eq!(facts["dumpable"], known(false));
    assert_eq!(facts["same_user_access"], refused());
    assert_eq!(facts["supervisor"]["value"]["pid"], started.child.id());
}

#[test]
fn a_supervisor_is_known_as_one() {
    let stage = Stage::new(Identity::Caller);
    let started = stage.run(ROOT, "full");
    let (code, facts) = stage.facts(ROOT, started.child.id());
    assert_eq!((code, &facts["mode"]), (0, &known("supervisor")), "{facts:#}");
    assert_eq!(facts["dumpable"], known(false));
    assert_eq!(facts["secret_descriptors"], known(json!([])));
    for mapping in facts["secret_memory"]["value"].as_array().unwrap() {
        assert_eq!(mapping["dont_fork"], true);
    }
}

#[test]
fn an_open_secret_descriptor_is_found() {
    let stage = Stage::new(Identity::Caller);
    let descriptor = memory::memfd_secret().unwrap();
    let (_, facts) = stage.facts(ROOT, std::process::id());
    let found = facts["secret_descriptors"]["value"].as_array().unwrap();
    assert!(found.contains(&descriptor.as_raw_fd().into()), "{facts:#}");
}

#[test]
fn the_fallback_is_told_from_secret_memory() {
    let stage = Stage::new(Identity::Caller);
    let region = Region::new(5000, Backing::Locked).unwrap();
    let (code, facts) = stage.facts(ROOT, std::process::id());
    let mappings = facts["secret_memory"]["value"].as_array().unwrap();
    let found: Vec<_> = mappings.iter().filter(|mapping| mapping["kind"] == "locked_memory").collect();
    assert_eq!((code, found.len()), (0, 1), "{facts:#}");
    assert_eq!(found[0]["size_bytes"], 8192);
    for flag in ["locked", "dont_dump", "dont_fork"] {
        assert_eq!(found[0][flag], true, "{flag}");
    }
    drop(region);
}

/// The capability on the executable is for its user's own processes.
#[test]
fn with_the_file_capability_a_user_sees_its_own_and_nothing_of_others() {
    let stage = Stage::new(Identity::Unprivileged);
    let setcap = Command::new("setcap").arg("cap_sys_ptrace=ep").arg(&stage.envward).status();
    assert!(setcap.unwrap_or_else(|error| panic!("setcap: {error}: apt-get install libcap2-bin")).success());
    let started = stage.run(NOBODY, "full");
    let (code, facts) = stage.facts(NOBODY, started.program);
    assert_eq!((code, &facts["dumpable"]), (0, &known(false)), "{facts:#}");
    assert_eq!(facts["secret_memory"]["value"][0]["kind"], "memfd_secret");
    assert_unknown(&facts, &["secret_descriptors", "supervisor"]);
    assert_eq!(stage.facts(ROOT, started.program).1["mode"], known("full"));
    let roots = Started::plain(ROOT);
    let (code, facts) = stage.facts(NOBODY, roots.program);
    assert_eq!(code, 1);
    assert_unknown(&facts, &["mode", "secret_memory", "secret_descriptors", "dumpable", "executable"]);
}

#[test]
fn somebody_elses_process_is_not_guessed_at() {
    let stage = Stage::new(Identity::Caller);
    let started = stage.run(ROOT, "full");
    let (code, facts) = stage.facts(NOBODY, started.program);
    assert_eq!(code, 1);
    let facts_of_others = ["mode", "secret_memory", "secret_descriptors", "dumpable", "same_user_access", "supervisor"];
    assert_unknown(&facts, &facts_of_others);
}

#[test]
fn the_table_tells_the_same_and_neither_value_nor_address() {
    let stage = Stage::new(Identity::Unprivileged);
    let started = stage.run(NOBODY, "sealed");
    let output = stage.status(ROOT, &[&started.program.to_string()]);
    assert_eq!(output.status.code(), Some(0));
    let table = String::from_utf8(output.stdout).unwrap();
    for line in [
        "ok    mode            sealed",
        "ok    secret memory",
        "ok    descriptors     none refers to secret memory",
        "ok    dumpable        no",
        "ok    same user       environ refused, mem refused",
    ] {
        assert!(table.contains(line), "{line}:\n{table}");
    }
    assert!(!stage.secret.is_in(table.as_bytes()));
    let maps = fs::read_to_string(format!("/proc/{}/maps", started.program)).unwrap();
    let secret = maps.lines().find(|line| line.ends_with("/secretmem (deleted)")).unwrap();
    assert!(!table.contains(secret.split('-').next().unwrap()));
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let stage = Stage::new(Identity::Caller);
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let mut ended = Command::new("true").spawn().unwrap();
    while !fs::read_to_string(format!("/proc/{}/stat", ended.id())).unwrap().contains(") Z ") {
        thread::sleep(Duration::from_millis(5));
    }
    for (pid, code, message) in [
        (gone.id().to_string(), 1, format!("there is no process {}", gone.id())),
        (ended.id().to_string(), 1, format!("process {} has ended", ended.id())),
        ("0".to_owned(), 2, "0 is not the number of a process".to_owned()),
        ("x".to_owned(), 2, "invalid value 'x'".to_owned()),
    ] {
        let output = stage.status(ROOT, &[&pid]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(&message), "{stderr}");
        assert!(output.stdout.is_empty());
    }
    ended.wait().unwrap();
}

#[test]
fn a_thread_is_named_as_one_of_its_process() {
    let stage = Stage::new(Identity::Caller);
    let (tell, told) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let own = fs::read_link("/proc/thread-self").unwrap();
        tell.send(own.file_name().unwrap().to_str().unwrap().to_owned()).unwrap();
        let _ = held.recv();
    });
    let output = stage.status(ROOT, &[&told.recv().unwrap()]);
    drop(release);
    thread.join().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains(&format!("is a thread of process {}", std::process::id())), "{stderr}");
}
