//! Programs that overwrite their arguments, and what lies behind them, to set
//! the title that `ps` shows. Many find the end of that room by walking over
//! the environment's strings.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use envward_testkit::{Identity, Language, Running, Stage, interpreter, stage, tool};

const TITLE: &str = "a title longer than the arguments and the environment of the program were when it began";

/// Sets a title, then does what `check` does.
fn titled(name: &str, package: &str, script: &str, set: &str) {
    let stage = stage!();
    let exe = interpreter(name, package);
    let check = fs::read_to_string(stage.script(script)).expect("the script can be read");
    let titled = stage.room.write(&format!("titled-{script}"), format!("{set}\n{check}"), 0o644);
    prove(&stage, stage.asked([&exe, &titled]), &exe);
}

fn prove(stage: &Stage, mut command: Vec<OsString>, exe: &Path) {
    let leaf = stage.program(Language::C, "check");
    command.extend(stage.asked([&leaf]));
    for identity in [Identity::Caller, Identity::Unprivileged] {
        let trial = stage.trial(command.clone()).identity(identity).says(&["seen", "seen"]).holders(&[&leaf]);
        trial.run_plainly();
        let mut running = trial.start_under_envward();
        running.expect(&["seen", "seen"].map(String::from));
        running.expect_reads(std::slice::from_ref(&leaf), 50);
        let process = process_of(&running, exe);
        let line = fs::read(process.join("cmdline")).expect("the process holds still");
        assert!(line.starts_with(&TITLE.as_bytes()[..16]), "{identity:?}: it has the title");
        assert!(!stage.secret.is_in(&line), "{identity:?}: the secret is in the title");
        let ended = running.finish();
        ended.expect_success();
        ended.expect_clean(&[&leaf]);
    }
}

fn process_of(running: &Running, exe: &Path) -> PathBuf {
    let mut processes = running.watch().processes().into_iter().map(|pid| PathBuf::from(format!("/proc/{pid}")));
    processes
        .find(|process| process.join("exe").read_link().is_ok_and(|link| link == exe))
        .expect("the program is running")
}

/// Waits for so many more reads of any environ of the tree: a title may have
/// been written over the text by which reads of one program are counted.
fn expect_reads_of_any(running: &Running, count: u64) {
    let goal = running.watch().report().reads + count;
    assert!(running.watch().wait(envward_testkit::PATIENCE, |report| report.reads >= goal), "the watch reads on");
}

#[test]
fn perl() {
    titled("perl", "perl", "check.pl", &format!("BEGIN {{ $0 = '{TITLE}'; }}"));
}

#[test]
fn ruby() {
    titled("ruby", "ruby", "check.rb", &format!("Process.setproctitle('{TITLE}')"));
}

#[test]
fn node() {
    titled("node", "nodejs", "check.js", &format!("process.title = '{TITLE}';"));
}

/// A server that moves its environment out of the way of its title.
#[test]
fn redis_server() {
    let stage = stage!();
    let server = tool("redis-server", "redis-server");
    let client = tool("redis-cli", "redis-tools");
    for identity in [Identity::Caller, Identity::Unprivileged] {
        for plain in [true, false] {
            let socket = stage.room.directory("home", identity).join("socket");
            let mut command: Vec<OsString> = vec![server.clone().into()];
            command.extend(["--port", "0", "--save", "", "--set-proc-title", "yes", "--unixsocket"].map(Into::into));
            command.push(socket.clone().into());
            let trial = stage.trial(command).identity(identity);
            let running = if plain { trial.start_plainly() } else { trial.start_under_envward() };
            let exe = fs::canonicalize(&server).expect("the server is there");
            let ask = |question: &[&str]| {
                let output = std::process::Command::new(&client).arg("-s").arg(&socket).args(question).output();
                String::from_utf8_lossy(&output.expect("the client can be started").stdout).trim().to_owned()
            };
            let end = std::time::Instant::now() + envward_testkit::PATIENCE;
            while ask(&["ping"]) != "PONG" {
                assert!(std::time::Instant::now() < end, "the server does not answer");
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            expect_reads_of_any(&running, 200);
            let line = fs::read(process_of(&running, &exe).join("cmdline")).expect("the server runs");
            assert!(!stage.secret.is_in(&line), "{identity:?}: the secret is in the title");
            ask(&["shutdown", "nosave"]);
            let ended = running.finish();
            ended.expect_success();
            if plain {
                assert!(ended.report.leaked.contains_key(&exe), "{:?}", ended.report);
            } else {
                ended.expect_clean(&[&exe]);
            }
        }
    }
}
