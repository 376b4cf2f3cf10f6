//! What the processes that redact have in their memory, and who can look at it.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::Pid;

use crate::stage::case::{ALL, Case, FULL};
use crate::stage::job::{Job, Start, descendants, eventually};
use crate::stage::{USER, stage};

const NAME: &str = "API_TOKEN";

/// A program that has written its secret in many ways, and a part of it at the end.
fn written(case: &Case) -> (Job, Vec<u8>) {
    let text = "copy=x$API_TOKEN; i=0; while [ $i -lt 50 ]; do
            echo \"$API_TOKEN\"; printf '%s' \"$API_TOKEN\" | base64 -w0; echo; i=$((i+1));
        done; echo up; printf '%s' \"${API_TOKEN%?}\"; read line";
    let text = if case.mode == Some("sealed") {
        // Its programs may not start others.
        "i=0; while [ $i -lt 50 ]; do echo \"$API_TOKEN\"; i=$((i+1)); done; echo up; printf '%s' \"${API_TOKEN%?}\"; read line"
    } else {
        text
    };
    let case = Case { redact: true, ..*case };
    let start = Start::new(&case, ["sh", "-c", text]);
    let secret = start.given().expect("secrets").value(NAME);
    let mut job = start.spawn();
    job.until("up");
    (job, secret)
}

/// Whose executable is envward.
fn ours(job: &Job) -> Vec<Pid> {
    let is_ours = |pid: &Pid| {
        let exe = std::fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero())).unwrap_or_default();
        exe.file_name().is_some_and(|name| name.to_string_lossy().starts_with("envward"))
    };
    let mut all = descendants(job.pid());
    all.push(job.pid());
    all.retain(is_ours);
    all
}

/// What comes of an attack on `pid` by `uid`, or by root.
fn attacked(route: &str, pid: Pid, uid: Option<u32>, needle: &[u8]) -> String {
    let mut command = Command::new(stage().program("with"));
    if let Some(uid) = uid {
        command.arg(format!("uid={uid}"));
    }
    let mut child = command
        .arg("--")
        .arg(attacker())
        .args([route, &pid.as_raw_nonzero().to_string()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("attacker");
    let mut input = child.stdin.take().expect("pipe");
    std::io::Write::write_all(&mut input, needle).expect("needle");
    drop(input);
    let output = child.wait_with_output().expect("attacker");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn attacker() -> PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let build = || {
        let directory = PathBuf::from(env!("CARGO_BIN_EXE_envward")).parent().expect("directory").to_owned();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "envward-attack", "--bin", "envward-attack"]);
        if directory.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo").success());
        let copy = stage().program("envward-attack");
        std::fs::copy(directory.join("envward-attack"), &copy).expect("copy of the attacks");
        copy
    };
    BUILT.get_or_init(build).clone()
}

#[test]
fn ordinary_memory_holds_no_value_and_no_output() {
    // The control: the shell, which is the program, has a copy; the same search finds it.
    let (job, secret) = written(&FULL);
    let shell = descendants(job.pid()).into_iter().find(|pid| !ours(&job).contains(pid)).expect("shell");
    assert_eq!(attacked("memory", shell, None, &secret), "leaked");
    drop(job);
    for case in ALL {
        let (job, secret) = written(&case);
        eventually("supervisor and two relays", || ours(&job).len() == 3);
        // The last piece is held back: all of the value but one byte.
        let part = &secret[..secret.len() - 1];
        let needles = [part.to_vec(), secret[..12].to_vec(), base64(&secret[..24])];
        for pid in ours(&job) {
            for (number, needle) in needles.iter().enumerate() {
                let seen = attacked("memory", pid, None, needle);
                assert_eq!(seen, "not found", "{}: needle {number} in {pid:?}", case.name);
            }
        }
    }
}

#[test]
fn the_same_user_cannot_look_at_a_relay() {
    for case in ALL.iter().filter(|case| case.uid.is_some()) {
        let (job, secret) = written(case);
        for pid in ours(&job) {
            for route in ["memory", "remote-read", "trace-peek", "environ"] {
                let seen = attacked(route, pid, Some(USER), &secret);
                assert!(seen.starts_with("denied"), "{}: {route} of {pid:?}: {seen}", case.name);
            }
        }
    }
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks_exact(3).flat_map(|group| {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift & 63) as usize])
    });
    groups.collect()
}
