//! `envward-agent watch`: what a command does and what is done to it, and how that ends.

use std::process::{Command, Output};
use std::{fs, thread};

use envward_testkit::{require_root, tool};

use super::is_refused_here;

fn watch(options: &[&str], script: &str) -> Command {
    require_root("to load BPF programs");
    let mut command = Command::new(env!("CARGO_BIN_EXE_envward-agent"));
    command.args(["watch", "--tier", "detect"]).args(options).args(["--", "sh", "-c", script]);
    command.env_remove("GITHUB_STEP_SUMMARY");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Where it cannot watch, it runs nothing and says so by its own status.
fn is_refused(output: &Output) -> bool {
    if !is_refused_here() {
        return false;
    }
    let errors = text(&output.stderr);
    assert!(output.status.code() == Some(125) && errors.contains("not the first PID namespace"), "{errors}");
    assert_eq!(text(&output.stdout), "", "the command ran");
    true
}

/// A child with a value in its environment, and somebody who reads it.
const THEFT: &str = "MARKER=fake-value-of-a-test sleep 100 & p=$!; \
                     while [ \"$(cat /proc/$p/comm)\" != sleep ]; do :; done; \
                     head -c 1 /proc/$p/environ >/dev/null; kill $p; printf '%s' \"the end\"; exit 7";

#[test]
fn a_recipe_that_fires_fails_the_pipeline() {
    let room = tempfile::tempdir().unwrap();
    let summary = room.path().join("summary");
    fs::write(&summary, "before\n").unwrap();
    let output = watch(&["--ci"], THEFT).env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
    if is_refused(&output) {
        return;
    }
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(120), "{errors}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "the end", "what the command printed comes first, and ends");
    let title = "::error title=envward%3A Environment of another process read through procfs::observed: ";
    assert!(lines[1].starts_with(title) && lines[1].contains("took environ of"), "{out}");
    assert_eq!(lines.len(), 2, "one for all that is alike: {out}");
    assert!(errors.contains(" high     observed environ_read_from_procfs: "), "{errors}");
    let summary = fs::read_to_string(&summary).unwrap();
    assert!(summary.starts_with("before\n## envward watch\n"), "{summary}");
    assert!(summary.contains("ended with status 7."), "{summary}");
    assert!(summary.contains("| high | observed | `environ_read_from_procfs` | `"), "{summary}");
    assert!(!format!("{out}{errors}{summary}").replace(THEFT, "").contains("fake-value"), "a value is told");
}

#[test]
fn what_is_ignored_or_only_watched_does_not_fail() {
    let output = watch(&["--ci", "--ignore", "environ_read_from_procfs"], THEFT).output().unwrap();
    if is_refused(&output) {
        return;
    }
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "the end");
    let output = watch(&[], THEFT).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(text(&output.stdout), "the end");
    assert!(text(&output.stderr).contains("environ_read_from_procfs"), "{}", text(&output.stderr));
}

#[test]
fn a_quiet_command_ends_as_it_ends() {
    let output = watch(&["--ci"], "cat; cat /proc/self/environ >/dev/null; exit 3").output().unwrap();
    if is_refused(&output) {
        return;
    }
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(3), String::new()), "{}", text(&output.stderr));
    // Signals are as they were: none is blocked.
    let output = watch(&[], "grep '^SigBlk' /proc/self/status").output().unwrap();
    assert_eq!(text(&output.stdout), "SigBlk:\t0000000000000000\n");
    let killed = watch(&["--ci"], "kill -9 $$").output().unwrap();
    assert_eq!(killed.status.code(), Some(128 + 9));
    let options = ["watch", "--tier", "detect", "--ci", "--"];
    for (program, status) in [("/nonexistent/program", 127), ("/etc/passwd", 126)] {
        let output = Command::new(env!("CARGO_BIN_EXE_envward-agent")).args(options).arg(program).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{}", text(&output.stderr));
    }
    let output = watch(&["--ci", "--ignore", "nonesuch"], "echo ran").output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(125), String::new()));
}

#[test]
fn signals_are_passed_on() {
    let mut command = watch(&[], "trap 'echo told; exit 5' TERM; echo ready; while :; do sleep 0.05; done");
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    if is_refused_here() {
        assert!(is_refused(&child.wait_with_output().unwrap()));
        return;
    }
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "ready\n");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "ready\ntold\n");
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

/// A runner of pipelines above the command is protected with it: the copy of a shell that is
/// called like one.
#[test]
fn the_runner_above_is_protected() {
    let room = tempfile::tempdir().unwrap();
    let runner = room.path().join("Runner.Worker");
    fs::copy(tool("dash", "dash"), &runner).unwrap();
    let theft = "cat /proc/$PPID/comm >/dev/null; head -c 1 /proc/$RUNNER/environ >/dev/null";
    let script = format!(
        "RUNNER=$$ {} watch --tier detect --ci -- sh -c '{theft}'; exit $?",
        env!("CARGO_BIN_EXE_envward-agent")
    );
    let output = Command::new(&runner).args(["-c", &script]).env_remove("GITHUB_STEP_SUMMARY").output().unwrap();
    if is_refused(&output) {
        return;
    }
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(120), "{errors}");
    assert!(errors.contains("critical observed ci_runner_memory_read: "), "{errors}");
    assert!(text(&output.stdout).contains("::error title=envward%3A Memory of a CI runner read::"), "{errors}");
}

/// Two at a time do not see each other's.
#[test]
fn what_others_do_is_not_ours() {
    let other = thread::spawn(|| watch(&["--ci"], THEFT).output().unwrap());
    let output = watch(&["--ci"], "sleep 1").output().unwrap();
    let other = other.join().unwrap();
    if is_refused(&output) {
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(other.status.code(), Some(120), "{}", text(&other.stderr));
}
