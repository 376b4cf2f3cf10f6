//! Victims, attackers, and what comes of it when they meet.

#![allow(dead_code, reason = "several test binaries share it and none uses all of it")]

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use envward_guest::Guest;
use rustix::process::Pid;

use crate::stage::case::Case;
use crate::stage::job::{Job, Start};
use crate::stage::{STRANGER, Secrets, USER, stage};

/// The secret that the attackers look for.
pub(super) const NAME: &str = "API_TOKEN";

/// Who attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attacker {
    /// Another process of the victim's user.
    SameUser,
    /// A process of another ordinary user.
    OtherUser,
    /// Root, with all capabilities.
    Root,
}

impl Attacker {
    pub(super) const ALL: [Self; 3] = [Self::SameUser, Self::OtherUser, Self::Root];

    fn uid(self) -> Option<u32> {
        match self {
            Self::SameUser => Some(USER),
            Self::OtherUser => Some(STRANGER),
            Self::Root => None,
        }
    }

    /// What starts a process of this attacker.
    fn words(self) -> Vec<OsString> {
        let user = self.uid().map(|uid| format!("uid={uid}").into());
        [stage().program("with").into_os_string()].into_iter().chain(user).chain(["--".into()]).collect()
    }
}

/// What an attacker finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Leaked,
    Denied,
    NotFound,
}

/// A program with a secret that waits to be attacked.
pub(super) struct Victim {
    pub(super) job: Job,
    pub(super) pid: Pid,
    /// An address in its data, hexadecimal.
    pub(super) address: String,
    /// Whether the data at that address is what was compiled in.
    pub(super) intact: bool,
    /// The secret, for comparison only.
    pub(super) secret: Vec<u8>,
    /// Where it runs.
    pub(super) directory: PathBuf,
}

impl Victim {
    /// The program that was asked for.
    pub(super) fn new(case: &Case, what: &str) -> Self {
        Self::launch(case, &[], what, |start| start)
    }

    /// A program that the one that was asked for has started.
    pub(super) fn second(case: &Case, what: &str) -> Self {
        let probe = stage().program("probe");
        Self::launch(case, &[probe.to_str().expect("UTF-8"), "spawn"], what, |start| start)
    }

    /// With a prefix to the command and changes to its start.
    pub(super) fn launch(case: &Case, before: &[&str], what: &str, change: impl FnOnce(Start) -> Start) -> Self {
        let directory = stage().scratch(case.uid);
        let secrets = Secrets::new(case.uid);
        let secret = secrets.value(NAME);
        let mut command: Vec<PathBuf> = before.iter().map(PathBuf::from).collect();
        command.push(program());
        command.push(what.into());
        let mut start = Start::new(case, &command).with("limit=core:unlimited:unlimited").within(&directory);
        start = match case.mode {
            Some(_) => start.secrets(secrets),
            None => {
                let value = String::from_utf8(secret.clone()).expect("hexadecimal");
                start.with(format!("env={NAME}={value}")).with("env=PATH=/usr/bin:/bin")
            }
        };
        let mut job = change(start).spawn();
        let ready = job.line();
        let words: Vec<&str> = ready.split(' ').collect();
        let ["ready", pid, address, state] = words[..] else {
            panic!("{}: {ready:?}", case.name);
        };
        Self {
            pid: pid.parse().ok().and_then(Pid::from_raw).expect("pid"),
            address: address.to_owned(),
            intact: state == "intact",
            job,
            secret,
            directory,
        }
    }

    /// What `attacker` finds out by `route`.
    pub(super) fn attacked(&self, route: &str, attacker: Attacker) -> Verdict {
        attack(route, self.pid, attacker, &self.secret, &self.directory)
    }

    /// What `attacker` finds out by each of `routes`, one after the other in one process.
    pub(super) fn attacked_by_each(&self, routes: &[&str], attacker: Attacker) -> Vec<Verdict> {
        self.attacked_below(&attacker.words(), routes)
    }

    /// The same, by a process that `words` have started.
    pub(super) fn attacked_below(&self, words: &[OsString], routes: &[&str]) -> Vec<Verdict> {
        attack_below(words, &routes.join(","), self.pid, &self.secret, &self.directory)
    }

    /// Ends it.
    pub(super) fn end(mut self) {
        self.job.write("q");
        self.job.wait();
    }
}

/// Makes one attack on `pid`, by a process of its own.
pub(super) fn attack(route: &str, pid: Pid, attacker: Attacker, needle: &[u8], directory: &PathBuf) -> Verdict {
    let verdicts = attack_below(&attacker.words(), route, pid, needle, directory);
    assert_eq!(verdicts.len(), 1, "{route}");
    verdicts[0]
}

fn attack_below(words: &[OsString], routes: &str, pid: Pid, needle: &[u8], directory: &PathBuf) -> Vec<Verdict> {
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .arg(attacker_program())
        .args([routes, &pid.as_raw_nonzero().to_string()])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("attacker");
    // The needle goes through a pipe and stays in memory; it is in no argument.
    child.stdin.take().expect("pipe").write_all(needle).expect("needle");
    let output = child.wait_with_output().expect("attacker");
    let answer = String::from_utf8_lossy(&output.stdout);
    let verdict = |line: &str| match line {
        "leaked" => Verdict::Leaked,
        "not found" => Verdict::NotFound,
        denied if denied.starts_with("denied ") => Verdict::Denied,
        other => panic!("{words:?} {routes}: {other:?}"),
    };
    let verdicts: Vec<Verdict> = answer.lines().map(verdict).collect();
    let complete = output.status.success() && verdicts.len() == routes.split(',').count();
    assert!(complete, "{words:?} {routes}: {verdicts:?}: {}", String::from_utf8_lossy(&output.stderr));
    verdicts
}

/// The victim's program.
pub(super) fn program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| stage().compile("victim", &["victim.c"], &["-static", "-no-pie"])).clone()
}

/// The same, with an interpreter.
pub(super) fn dynamic_program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| stage().compile("victim-dynamic", &["victim.c"], &[])).clone()
}

/// The runner of the attack crate, built by cargo and copied to where every user can run it.
pub(super) fn attacker_program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let copy = stage().program("envward-attack");
        if Guest::is_here() {
            std::fs::copy(Guest::here().program("envward-attack"), &copy).expect("copy of the attacks");
            return copy;
        }
        let envward = PathBuf::from(env!("CARGO_BIN_EXE_envward"));
        let directory = envward.parent().expect("target directory");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "envward-attack", "--bin", "envward-attack"]);
        if directory.ends_with("release") {
            cargo.arg("--release");
        }
        let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo");
        assert!(status.success(), "cargo build of the attacks");
        std::fs::copy(directory.join("envward-attack"), &copy).expect("copy of the attacks");
        copy
    };
    BUILT.get_or_init(build).clone()
}
