//! `envward doctor` on machines that were made worse, and after the commands that it names.
//!
//! Needs root, for other users, file capabilities and mounts, and gcc.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code: a failed expectation ends the test")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use envward_testkit::{Capability, Language, Room, Workshop, require_root, tool};
use serde_json::Value;

/// `memfd_secret`, `ptrace`, `seccomp`: numbers on x86-64.
const MEMFD_SECRET: &str = "447";
const PTRACE: &str = "101";
const SECCOMP: &str = "317";

/// A user without privileges of these tests' own.
const AS_USER: &[&str] = &["setpriv", "--reuid=64242", "--regid=64242", "--clear-groups"];

struct Stage {
    room: Room,
    envward: PathBuf,
}

impl Stage {
    fn new() -> Self {
        require_root("other users, file capabilities, mounts");
        for (name, package) in [("setpriv", "util-linux"), ("setcap", "libcap2-bin"), ("sysctl", "procps")] {
            let _ = tool(name, package);
        }
        let room = Room::new();
        let envward = room.place(Path::new(env!("CARGO_BIN_EXE_envward")));
        Self { room, envward }
    }

    /// Runs doctor below other programs.
    fn doctor(&self, below: &[&str], options: &[&str]) -> Output {
        let envward = self.envward.to_str().unwrap();
        let line: Vec<&str> = below.iter().copied().chain([envward, "doctor"]).chain(options.iter().copied()).collect();
        Command::new(line[0]).args(&line[1..]).current_dir("/").stdin(Stdio::null()).output().unwrap()
    }

    fn examine(&self, below: &[&str]) -> Examination {
        Examination::of(&self.doctor(below, &["--json"]))
    }

    /// A program that runs another with system calls refused.
    fn refuse(&self) -> String {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/programs");
        let program = Workshop::new(root, env!("CARGO_TARGET_TMPDIR")).build(Language::C, "refuse");
        self.room.place(&program).to_str().unwrap().to_owned()
    }
}

struct Examination(Value);

impl Examination {
    fn of(output: &Output) -> Self {
        let value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        Self(value)
    }

    fn check(&self, name: &str) -> &Value {
        let checks = self.0["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {:#}", self.0))
    }

    fn state(&self, name: &str) -> &str {
        self.check(name)["state"].as_str().unwrap()
    }

    /// The first command that is to be run as root.
    fn command(&self, name: &str) -> String {
        let remedies = self.check(name)["remedies"].as_array().unwrap();
        let command = remedies.iter().find(|remedy| remedy["as_root"] == true);
        command.unwrap_or_else(|| panic!("no command: {:#}", self.check(name)))["command"].as_str().unwrap().to_owned()
    }

    fn names_setting(&self, name: &str, text: &str) -> bool {
        let remedies = self.check(name)["remedies"].as_array().unwrap();
        remedies.iter().any(|remedy| remedy["setting"].as_str().is_some_and(|setting| setting.contains(text)))
    }
}

fn as_root(command: &str) {
    let status = Command::new("sh").args(["-c", command]).current_dir("/").status().unwrap();
    assert!(status.success(), "{command}");
}

#[test]
fn as_root_everything_of_ours_is_there() {
    let stage = Stage::new();
    let examination = stage.examine(&["env"]);
    assert_eq!(examination.0["schema"], "envward.doctor/1");
    let names = ["full", "supervised", "sealed", "memfd_secret", "non-dumpable", "supervision", "fork-away", "no-core"];
    for name in names.iter().chain(&["guard-pages", "ptrace", "seccomp-notifier", "kernel", "user-namespace"]) {
        assert_eq!(examination.state(name), "ok", "{:#}", examination.check(name));
    }
    // Nothing was put beside envward, and the preload tier is tried for real.
    assert_eq!(examination.state("preload"), "missing");
    let options = ["--require", "full", "--require", "memfd_secret"];
    assert_eq!(stage.doctor(&["env"], &options).status.code(), Some(0));
}

#[test]
fn without_privileges_the_full_mode_is_missing_and_the_named_command_gives_it() {
    let stage = Stage::new();
    let examination = stage.examine(AS_USER);
    assert_eq!((examination.state("full"), examination.state("executable")), ("missing", "open"));
    for name in ["supervised", "sealed", "memfd_secret"] {
        assert_eq!(examination.state(name), "ok", "{:#}", examination.check(name));
    }
    let refused = stage.doctor(AS_USER, &["--require", "full"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("required and not there: full"));
    as_root(&examination.command("full"));
    let mended = stage.examine(AS_USER);
    assert_eq!((mended.state("full"), mended.state("executable")), ("ok", "ok"), "{:#}", mended.0);
    assert_eq!(stage.doctor(AS_USER, &["--require", "full"]).status.code(), Some(0));
}

/// Most kernels ignore capabilities of files under `no_new_privs`, some do not: a program that is
/// not ours shows which kind this is, and doctor, which tries, has to say the same.
#[test]
fn under_no_new_privs_doctor_says_what_is_true_of_the_capability() {
    let stage = Stage::new();
    as_root(&stage.examine(AS_USER).command("full"));
    let control = stage.room.place(&tool("grep", "grep"));
    as_root(&format!("setcap cap_sys_ptrace=ep {}", control.display()));
    let below: Vec<&str> = AS_USER.iter().copied().chain(["--no-new-privs"]).collect();
    let shown = Command::new(below[0])
        .args(&below[1..])
        .args([control.to_str().unwrap(), "-c", "^CapEff:.*0000080000$", "/proc/self/status"])
        .output()
        .unwrap();
    let is_granted = shown.stdout == b"1\n";
    let examination = stage.examine(&below);
    assert_eq!(examination.state("full"), if is_granted { "ok" } else { "missing" }, "{:#}", examination.0);
    assert_eq!(examination.names_setting("full", "NoNewPrivileges=no"), !is_granted);
    let found = examination.check("new-privileges")["found"].as_str().unwrap();
    assert!(found.starts_with("not to be had") && found.contains("is ignored") != is_granted, "{found}");
}

#[test]
fn a_file_that_is_not_readable_is_closed_by_the_named_command() {
    let stage = Stage::new();
    let command = stage.examine(AS_USER).command("executable");
    assert!(!command.contains("setcap"), "{command}");
    as_root(&command);
    let mended = stage.examine(AS_USER);
    assert_eq!((mended.state("executable"), mended.state("full")), ("ok", "missing"));
    assert_eq!(mended.state("supervised"), "ok");
}

/// A shell of a user, with no locked memory, that does what it is told.
struct Shell {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Shell {
    fn without_locked_memory() -> Self {
        let mut line = vec!["--memlock=0:0"];
        line.extend(AS_USER);
        let mut child = Command::new(tool("prlimit", "util-linux"))
            .args(line)
            .arg("sh")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    fn examine(&mut self, stage: &Stage) -> Examination {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{} doctor --json", stage.envward.display()).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        Examination(serde_json::from_str(&line).unwrap())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[test]
fn without_locked_memory_nothing_is_protected_and_the_named_command_raises_the_limit() {
    let stage = Stage::new();
    let mut shell = Shell::without_locked_memory();
    let examination = shell.examine(&stage);
    for name in ["memfd_secret", "supervised", "sealed", "locked-memory", "guard-pages"] {
        assert_eq!(examination.state(name), "missing", "{:#}", examination.check(name));
        assert!(examination.names_setting(name, "LimitMEMLOCK="), "{name}");
    }
    assert_eq!(examination.state("ptrace"), "ok");
    let command = examination.command("memfd_secret");
    assert!(command.starts_with("prlimit --pid ") && command.ends_with(" --memlock=8388608:8388608"), "{command}");
    if !Capability::Resource.is_ours() {
        // Root of a container may not raise hard limits, and the command says so: all that is left to
        // try is what the next test tries, the soft limit.
        let status = Command::new("sh").args(["-c", &command]).stderr(Stdio::null()).status().unwrap();
        assert!(!status.success(), "without CAP_SYS_RESOURCE, a hard limit was raised");
        return;
    }
    as_root(&command);
    let mended = shell.examine(&stage);
    for name in ["memfd_secret", "supervised", "sealed"] {
        assert_eq!(mended.state(name), "ok", "{:#}", mended.check(name));
    }
}

#[test]
fn a_soft_limit_is_raised_by_the_shell_itself() {
    let stage = Stage::new();
    let doctor = format!("ulimit -Sl 0; {} doctor --json", stage.envward.display());
    let below = ["sh", "-c"];
    let line: Vec<&str> = AS_USER.iter().copied().chain(below).chain([doctor.as_str()]).collect();
    let output = Command::new(line[0]).args(&line[1..]).current_dir("/").output().unwrap();
    let examination = Examination::of(&output);
    let remedy = &examination.check("memfd_secret")["remedies"][0];
    assert_ne!(remedy["as_root"], true, "the hard limit of this machine is below 8 MiB: {remedy}");
    let mend = doctor.replace("; ", &format!("; {}; ", remedy["command"].as_str().unwrap()));
    let line: Vec<&str> = AS_USER.iter().copied().chain(below).chain([mend.as_str()]).collect();
    let output = Command::new(line[0]).args(&line[1..]).current_dir("/").output().unwrap();
    assert_eq!(Examination::of(&output).state("memfd_secret"), "ok");
}

#[test]
fn refused_system_calls_are_found_out_by_trying() {
    let stage = Stage::new();
    let refuse = stage.refuse();
    for (numbers, broken, intact, setting) in [
        (
            MEMFD_SECRET,
            &["memfd_secret", "supervised", "sealed", "full"][..],
            "ptrace",
            "SystemCallFilter=memfd_secret",
        ),
        (PTRACE, &["ptrace", "supervised", "sealed", "full"], "memfd_secret", "--tier preload"),
        (SECCOMP, &["seccomp-notifier", "supervised", "supervision"], "memfd_secret", "SystemCallFilter=seccomp"),
    ] {
        let examination = stage.examine(&[&refuse, numbers]);
        for name in broken {
            assert_eq!(examination.state(name), "missing", "{:#}", examination.check(name));
            assert!(examination.names_setting(name, setting), "{:#}", examination.check(name));
        }
        assert_eq!(examination.state(intact), "ok");
    }
}

#[test]
fn a_user_namespace_weakens_the_full_mode() {
    let stage = Stage::new();
    let below: Vec<&str> = AS_USER.iter().copied().chain(["unshare", "--user", "--map-root-user"]).collect();
    let examination = stage.examine(&below);
    assert_eq!((examination.state("full"), examination.state("user-namespace")), ("open", "open"));
    assert!(examination.check("full")["found"].as_str().unwrap().contains("uid 64242"));
    let refused = stage.doctor(&below, &["--require", "full"]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn the_preload_tier_is_there_with_its_library() {
    let stage = Stage::new();
    let library = stage.room.path().join("libenvward.so");
    assert_eq!(stage.examine(&["env"]).state("preload"), "missing");
    // A file of that name that delivers nothing is found out, too.
    fs::write(&library, "no library").unwrap();
    let examination = stage.examine(&["env"]);
    assert_eq!(examination.state("preload"), "missing");
    assert_eq!(examination.check("preload")["found"], "the program did not get its secret");
}

/// In a mount namespace of its own, where the file of the setting is an ordinary one.
#[test]
fn a_setting_of_the_machine_is_mended_by_the_named_command() {
    let stage = Stage::new();
    let fake = stage.room.write("level", "1\n", 0o644);
    let envward = stage.envward.display();
    let script = format!(
        "set -e; mount --bind {} /proc/sys/kernel/perf_event_paranoid; {envward} doctor --json; \
         sysctl -q -w kernel.perf_event_paranoid=3; {envward} doctor --json",
        fake.display()
    );
    let output = Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let texts: Vec<&str> = std::str::from_utf8(&output.stdout).unwrap().lines().collect();
    let before = Examination(serde_json::from_str(texts[0]).unwrap());
    assert_eq!(before.state("perf-paranoid"), "missing");
    assert_eq!(before.command("perf-paranoid"), "sysctl -w kernel.perf_event_paranoid=3");
    let after = Examination(serde_json::from_str(texts[1]).unwrap());
    // The kernel itself was not changed, and doctor tries: the number alone is not believed.
    let found = after.check("perf-paranoid")["found"].as_str().unwrap();
    assert!(found.starts_with("kernel.perf_event_paranoid is 3"), "{found}");
    let really = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap().trim().parse::<i32>().unwrap();
    if really < 3 {
        assert_eq!(after.state("perf-paranoid"), "missing");
    }
}

#[test]
fn an_unknown_requirement_is_a_wrong_command_line() {
    let stage = Stage::new();
    let output = stage.doctor(&["env"], &["--require", "everything"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the checks are full, supervised"));
}

#[test]
fn the_table_tells_the_same_and_colours_on_request_only() {
    let stage = Stage::new();
    let plain = stage.doctor(AS_USER, &[]);
    let text = String::from_utf8(plain.stdout).unwrap();
    assert!(text.contains("missing  full") && text.contains("as root: chown root:root"), "{text}");
    assert!(!text.contains('\u{1b}'));
    for (variable, coloured) in [("CLICOLOR_FORCE=1", true), ("NO_COLOR=1", false)] {
        let output = stage.doctor(&["env", variable], &[]);
        assert_eq!(output.stdout.contains(&0x1b), coloured, "{variable}");
    }
    let both = stage.doctor(&["env", "NO_COLOR=1", "CLICOLOR_FORCE=1"], &[]);
    assert!(!both.stdout.contains(&0x1b));
}
