//! `envward scan` on processes with made-up credentials. No test prints a value: they look for it
//! in what is said.
//!
//! Needs root, for processes of other users and the file capability.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code: a failed expectation ends the test")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use envward_testkit::{Identity, Room, TestSecret, require_root};
use serde_json::Value;

/// Users of these tests' own.
const USER: u32 = 64243;
const OTHER: u32 = 64244;
/// Has no processes but those that ask.
const NOBODY_ELSE: u32 = 64246;
const ROOT: u32 = 0;

struct Stage {
    room: Room,
    envward: PathBuf,
}

impl Stage {
    fn new() -> Self {
        require_root("processes of other users");
        let room = Room::new();
        let envward = room.place(Path::new(env!("CARGO_BIN_EXE_envward")));
        Self { room, envward }
    }

    fn scan(&self, uid: u32, options: &[&str]) -> Output {
        let mut command = Command::new(&self.envward);
        become_user(&mut command, uid);
        command.arg("scan").args(options).env_clear().stdin(Stdio::null()).output().unwrap()
    }

    /// The findings of a scan of one process, with the exit status.
    fn findings(&self, uid: u32, pid: u32, options: &[&str]) -> (i32, Vec<Value>) {
        let pid = pid.to_string();
        let options: Vec<&str> = ["--json", "--pid", &pid].iter().chain(options).copied().collect();
        let output = self.scan(uid, &options);
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap(), value["findings"].as_array().unwrap().clone())
    }
}

fn become_user(command: &mut Command, uid: u32) {
    command.current_dir("/");
    if uid != ROOT {
        command.uid(uid).gid(uid);
    }
}

/// A process that waits for the end of its input.
struct Waiting(Child);

impl Waiting {
    fn start(uid: u32, program: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program[0]);
        become_user(&mut command, uid);
        command.args(&program[1..]).env_clear().envs(variables.iter().copied()).stdin(Stdio::piped());
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Random letters and digits.
fn random(length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789A";
    let mut bytes = vec![0; length];
    File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}

fn said(output: &Output) -> Vec<u8> {
    [&output.stdout[..], &output.stderr].concat()
}

#[test]
fn environments_are_looked_at_and_values_are_not_shown() {
    let stage = Stage::new();
    let secret = TestSecret::new("APP_PASSWORD");
    let variables = [(secret.name(), secret.value()), ("LANG", "C.UTF-8"), ("HOME", "/"), ("PASSWORD_FILE", "/run/x")];
    let process = Waiting::start(USER, &["/bin/cat"], &variables);
    for asking in [USER, ROOT] {
        let (code, findings) = stage.findings(asking, process.id(), &[]);
        assert_eq!((code, findings.len()), (1, 1), "{findings:#?}");
        let finding = &findings[0];
        assert_eq!(finding["where"], "environ");
        assert_eq!(finding["pid"], process.id());
        assert_eq!(finding["process"], "cat");
        assert_eq!(finding["uid"], USER);
        assert_eq!((&finding["name"], &finding["kind"]), (&"APP_PASSWORD".into(), &"password".into()));
        assert_eq!((&finding["length"], &finding["confidence"]), (&48.into(), &"high".into()));
    }
    let pid = process.id().to_string();
    for options in [&["--pid", &pid][..], &["--json", "--pid", &pid], &[], &["--json"]] {
        let output = stage.scan(USER, options);
        assert_eq!(output.status.code(), Some(1));
        let said = said(&output);
        assert!(!secret.is_in(&said) && said.windows(12).any(|window| window == b"APP_PASSWORD"), "{options:?}");
    }
}

#[test]
fn arguments_are_looked_at() {
    let stage = Stage::new();
    let token = random(40);
    let header = format!("Authorization: Bearer {token}");
    let script = "read line";
    let process = Waiting::start(USER, &["/bin/sh", "-c", script, "sh", "--password", &token, &header], &[]);
    let (code, findings) = stage.findings(USER, process.id(), &[]);
    assert_eq!(code, 1);
    let places: Vec<_> =
        findings.iter().map(|found| (found["argument"].as_u64().unwrap(), found["kind"].as_str().unwrap())).collect();
    assert_eq!(places, [(5, "password"), (6, "bearer-token")]);
    assert_eq!(findings[0]["name"], "password");
    let said = said(&stage.scan(USER, &["--pid", &process.id().to_string()]));
    assert!(!said.windows(20).any(|window| window == &token.as_bytes()[..20]));
}

#[test]
fn what_stands_in_the_place_of_a_name_is_not_shown() {
    let stage = Stage::new();
    let value = ["gl", "pat-", &random(24)].concat();
    let process = Waiting::start(USER, &["/bin/cat"], &[(&value, "x")]);
    let output = stage.scan(USER, &["--json", "--pid", &process.id().to_string()]);
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(findings["findings"][0]["kind"], "gitlab-token");
    assert_eq!(findings["findings"][0]["name"], Value::Null);
    assert!(!said(&output).windows(20).any(|window| window == &value.as_bytes()[6..26]));
    // What has a value, and no name.
    let process = Waiting::start(USER, &["/bin/cat"], &[("opensesame now PASSWORD", "swordfish-4711")]);
    let output = stage.scan(USER, &["--json", "--pid", &process.id().to_string()]);
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&findings["findings"][0]["kind"], &findings["findings"][0]["name"]),
        (&"password".into(), &Value::Null)
    );
    assert!(!said(&output).windows(10).any(|window| window == b"opensesame"));
}

#[test]
fn a_program_under_envward_shows_nothing() {
    let stage = Stage::new();
    let secret = TestSecret::new("APP_PASSWORD");
    let env_file = stage.room.env_file(&[&secret], Identity::Caller);
    let envward = stage.envward.to_str().unwrap();
    let run = [envward, "run", "--no-config", "--quiet", "--env-file", env_file.to_str().unwrap(), "--", "/bin/cat"];
    let mut command = Command::new(run[0]);
    command.args(&run[1..]).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut started = Waiting(command.spawn().unwrap());
    // What has answered is the program, after everything that happens at a start.
    started.0.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    started.0.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let path = format!("/proc/{0}/task/{0}/children", started.id());
    // The process that the program was started in may not be reaped yet; the program is the last.
    let children = std::fs::read_to_string(path).unwrap();
    let program = children.split_whitespace().last().unwrap().parse().unwrap();
    for pid in [started.id(), program] {
        assert_eq!(stage.findings(ROOT, pid, &[]), (0, Vec::new()));
    }
    // The same program without envward shows it.
    let plain = Waiting::start(ROOT, &["/bin/cat"], &[(secret.name(), secret.value())]);
    assert_eq!(stage.findings(ROOT, plain.id(), &[]).0, 1);
}

#[test]
fn other_peoples_processes_are_left_alone_and_counted() {
    let stage = Stage::new();
    let secret = TestSecret::new("APP_PASSWORD");
    let others = Waiting::start(OTHER, &["/bin/cat"], &[(secret.name(), secret.value())]);
    let others_argument =
        Waiting::start(OTHER, &["/bin/sh", "-c", "read line", "sh", "--password=swordfish-4711"], &[]);
    let output = stage.scan(NOBODY_ELSE, &["--json"]);
    let scan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{scan:#}");
    assert!(scan["processes"]["of_others"].as_u64().unwrap() >= 2);
    // Named ones, too.
    for pid in [others.id(), others_argument.id()] {
        assert_eq!(stage.findings(NOBODY_ELSE, pid, &[]), (0, Vec::new()));
    }
    // The capability on the file is for launching, not for looking at other people's processes.
    let setcap = Command::new("setcap").arg("cap_sys_ptrace=ep").arg(&stage.envward).status();
    assert!(setcap.unwrap_or_else(|error| panic!("setcap: {error}: apt-get install libcap2-bin")).success());
    let output = stage.scan(NOBODY_ELSE, &["--json"]);
    let scan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(scan["findings"], Value::Array(Vec::new()));
    assert_eq!(stage.findings(ROOT, others.id(), &[]).0, 1);
}

#[test]
fn a_process_that_may_not_be_looked_at_is_counted() {
    let stage = Stage::new();
    let secret = TestSecret::new("APP_PASSWORD");
    // Of the same user, and not dumpable: its file may not be read.
    let closed = stage.room.place_as(Path::new("/bin/cat"), "closed");
    let mode = Command::new("chmod").arg("0711").arg(&closed).status().unwrap();
    assert!(mode.success());
    let closed = Waiting::start(USER, &[closed.to_str().unwrap()], &[(secret.name(), secret.value())]);
    let output = stage.scan(USER, &["--json", "--pid", &closed.id().to_string()]);
    let scan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    assert_eq!(scan["processes"]["unreadable"], 1);
    assert_eq!(stage.findings(ROOT, closed.id(), &[]).0, 1);
    // Nor with the capability on the file of envward, which is for launching.
    let setcap = Command::new("setcap").arg("cap_sys_ptrace=ep").arg(&stage.envward).status();
    assert!(setcap.unwrap_or_else(|error| panic!("setcap: {error}: apt-get install libcap2-bin")).success());
    let output = stage.scan(USER, &["--json", "--pid", &closed.id().to_string()]);
    let scan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &scan["processes"]["unreadable"]), (Some(0), &1.into()));
}

#[test]
fn accepted_findings_do_not_count() {
    let stage = Stage::new();
    let process = Waiting::start(USER, &["/bin/cat"], &[("CI_PASSWORD", "swordfish-4711")]);
    assert_eq!(stage.findings(USER, process.id(), &[]).0, 1);
    assert_eq!(stage.findings(USER, process.id(), &["--allow", "name=CI_* program=*/cat"]), (0, Vec::new()));
    assert_eq!(stage.findings(USER, process.id(), &["--allow", "name=CI_* program=*/dog"]).0, 1);
    let file = stage.room.write("accepted", "# reviewed\nkind=password name=CI_PASSWORD\n", 0o644);
    assert_eq!(stage.findings(USER, process.id(), &["--allow-file", file.to_str().unwrap()]).0, 0);
    for (level, code) in [("high", 0), ("medium", 1), ("low", 1), ("never", 0)] {
        assert_eq!(stage.findings(USER, process.id(), &["--fail-on", level]).0, code, "{level}");
    }
}

#[test]
fn wrong_command_lines_and_impossible_scans_have_their_numbers() {
    let stage = Stage::new();
    let bad = stage.room.write("bad", "swordfish-4711\n", 0o644);
    for (options, code) in [
        (&["--fail-on", "sometimes"][..], 2),
        (&["--allow", "swordfish-4711"], 2),
        (&["--allow-file", bad.to_str().unwrap()], 2),
        (&["--allow-file", "/nonexistent"], 2),
        (&["--pid", "2147483646"], 3),
        (&["--staged", "--pid", "1"], 2),
    ] {
        let output = stage.scan(USER, options);
        assert_eq!(output.status.code(), Some(code), "{options:?}");
        assert!(!said(&output).windows(9).any(|window| window == b"swordfish"), "{options:?}");
    }
}

/// Nothing of what was read is in ordinary memory: the scan stops at a full pipe, with the
/// findings made, and root looks.
#[test]
fn values_are_not_kept_in_ordinary_memory() {
    let stage = Stage::new();
    let secret = TestSecret::new("APP_PASSWORD");
    // Many findings, so that the table does not fit into a pipe.
    let names: Vec<String> =
        (0..900).map(|index| format!("APP_PASSWORD_OF_SOMETHING_WITH_A_LONG_NAME_{index}X")).collect();
    let variables: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), secret.value())).collect();
    let process = Waiting::start(ROOT, &["/bin/cat"], &variables);
    let mut scan = Command::new(&stage.envward)
        .args(["scan", "--json", "--pid", &process.id().to_string()])
        .env_clear()
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let path = format!("/proc/{}/wchan", scan.id());
    while !std::fs::read_to_string(&path).unwrap().contains("pipe") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let (seen, leaked) = memory_holds(scan.id(), &secret);
    let mut output = Vec::new();
    scan.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    assert_eq!(scan.wait().unwrap().code(), Some(1));
    assert!(seen > 100_000 && !leaked, "{seen} bytes looked at");
    // The look finds what is there: the process that was scanned has it.
    assert!(memory_holds(process.id(), &secret).1);
}

/// How many bytes of a process's memory could be read, and whether the secret is in them.
fn memory_holds(pid: u32, secret: &TestSecret) -> (usize, bool) {
    use std::os::unix::fs::FileExt;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let (mut seen, mut found) = (0, false);
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with('r'))) {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            seen += bytes.len();
            found |= secret.is_in(&bytes);
        }
    }
    (seen, found)
}
