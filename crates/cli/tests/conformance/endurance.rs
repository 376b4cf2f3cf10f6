//! Again and again, at once, and after the terminal is gone.

use std::fs;
use std::process::Stdio;
use std::thread;

use rustix::process::{Signal, kill_process, test_kill_process};

use super::terminal::Screen;
use crate::stage::case::{ALL, Case, FULL, SUPERVISED, SUPERVISING};
use crate::stage::job::{Ended, Start, children, eventually};
use crate::stage::{Secrets, processes, stage};

#[test]
fn a_thousand_short_programs() {
    for (case, times) in [(FULL, 600), (SUPERVISED, 400)] {
        // One set of secrets: the launcher is looked at, not the making of files.
        let secrets = Secrets::new(case.uid);
        let option = format!("--env-file={}", secrets.file.display());
        for round in 0..times {
            let ended = Start::new(&case, ["true"])
                .no_secrets()
                .option(&option)
                .spawn_with(Stdio::null(), Stdio::null(), Stdio::inherit())
                .wait();
            assert_eq!(ended, Ended::Exit(0), "{}, round {round}", case.name);
        }
        // Every process of these launches has the name of their env file in its arguments.
        let own = secrets.file.display().to_string();
        eventually(&format!("{}: end of every process", case.name), || {
            !processes()
                .any(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|all| all.contains(&own)))
        });
    }
}

#[test]
fn many_at_once() {
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..6 {
                    for case in ALL {
                        let ended = Start::probe(&case, ["exit", "9"]).ended();
                        assert_eq!(ended, Ended::Exit(9), "{}", case.name);
                    }
                }
            });
        }
    });
}

#[test]
fn nothing_is_left_behind() {
    for case in ALL {
        let directory = stage().scratch(case.uid);
        let before = shared_memory();
        for arguments in [["exit", "0"], ["die", "15"]] {
            let mut job = Start::probe(&case, arguments).within(&directory).variable("TMPDIR", &directory).spawn();
            let pid = job.pid();
            job.wait();
            eventually("end of all processes", || children(pid).is_empty());
        }
        let files: Vec<_> = fs::read_dir(&directory).expect("directory").collect();
        assert!(files.is_empty(), "{}: {files:?}", case.name);
        let fresh: Vec<String> = shared_memory().into_iter().filter(|name| !before.contains(name)).collect();
        assert!(!fresh.iter().any(|name| name.contains("envward")), "{}: {fresh:?}", case.name);
    }
}

fn shared_memory() -> Vec<String> {
    fs::read_dir("/dev/shm")
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default()
}

#[test]
fn no_process_outlives_the_program() {
    // Helpers, a killed original: whatever the start needed is gone at the end.
    for case in ALL {
        let mut job = Start::probe(&case, ["wait"]).spawn();
        let program = job.up();
        eventually(&format!("{}: one child and no zombie", case.name), || children(job.pid()) == [program]);
        job.write("q");
        assert_eq!(job.wait(), Ended::Exit(0), "{}", case.name);
        assert!(test_kill_process(program).is_err(), "{}", case.name);
    }
}

#[test]
fn a_busy_supervisor_does_not_grow() {
    for case in SUPERVISING {
        let script = "round() { i=0; while [ $i -lt 100 ]; do /bin/true; i=$((i+1)); done; }
            round; echo warm; read line; round; round; round; echo done; read line; exit 0";
        let mut job = Start::new(&case, ["sh", "-c", script]).spawn();
        assert_eq!(job.line(), "warm", "{}", case.name);
        let before = footprint(&job);
        job.write("\n");
        assert_eq!(job.line(), "done", "{}", case.name);
        let after = footprint(&job);
        assert_eq!(after.0, before.0, "{}: open descriptors", case.name);
        assert!(after.1 <= before.1 + 8, "{}: mappings {before:?} {after:?}", case.name);
        assert!(after.2 <= before.2 + 256, "{}: resident KiB {before:?} {after:?}", case.name);
        job.write("\n");
        assert_eq!(job.wait(), Ended::Exit(0), "{}", case.name);
    }
}

/// Open descriptors, mappings and resident KiB of the supervisor.
fn footprint(job: &crate::stage::job::Job) -> (usize, usize, usize) {
    let proc = format!("/proc/{}", job.pid().as_raw_nonzero());
    let status = fs::read_to_string(format!("{proc}/status")).expect("status");
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok())
        .expect("VmRSS");
    (
        fs::read_dir(format!("{proc}/fd")).expect("fd").count(),
        fs::read_to_string(format!("{proc}/maps")).expect("maps").lines().count(),
        resident,
    )
}

/// The program ignores SIGHUP, the terminal goes away, and much later it starts
/// another program with secrets, which says so in a file.
fn survives(case: &Case, leader: bool) -> String {
    let scratch = stage().scratch(case.uid);
    let secrets = Secrets::new(case.uid);
    let value = secrets.value_file("SIGNING_KEY");
    let script = format!(
        "trap '' HUP; echo ready; while [ ! -e go ]; do sleep 0.02; done
         '{}' holds SIGNING_KEY '{}' && echo found > verdict || echo lost > verdict",
        stage().program("probe").display(),
        value.display(),
    );
    let mut start = Start::new(case, ["sh", "-c", &script]).within(&scratch);
    start = if case.mode.is_some() {
        start.secrets(secrets)
    } else {
        let plain = String::from_utf8(secrets.value("SIGNING_KEY")).expect("hexadecimal");
        start.variable("SIGNING_KEY", plain)
    };
    let mut screen = Screen::open();
    if !leader {
        // A shell that leads the session and dies of the hang-up.
        start = start.before(["bash", "-c", "\"$@\"; exit $?", "bash"]);
    }
    let mut job = screen.start(start);
    screen.expect("ready");
    drop(screen);
    if !leader {
        job.wait();
    }
    fs::write(scratch.join("go"), "").expect("go");
    eventually("verdict", || fs::read_to_string(scratch.join("verdict")).is_ok_and(|text| text.ends_with('\n')));
    fs::read_to_string(scratch.join("verdict")).expect("verdict")
}

#[test]
fn the_supervisor_survives_its_terminal() {
    super::equal(&SUPERVISING, &"found\n".to_owned(), |case| survives(case, false));
}

#[test]
fn the_supervisor_survives_its_terminal_as_session_leader() {
    super::equal(&SUPERVISING, &"found\n".to_owned(), |case| survives(case, true));
}

#[test]
fn a_supervisor_without_standard_files_serves_its_program() {
    super::equal(&SUPERVISING, &Ended::Exit(0), |case| {
        Start::new(case, ["sh", "-c", "for i in 1 2 3; do /bin/true || exit 1; done; exit 0"])
            .with("close=0")
            .with("close=1")
            .with("close=2")
            .ended()
    });
}

#[test]
fn signals_and_execs_at_once() {
    // Handlers run while the program is in the middle of supervised execs.
    for case in SUPERVISING {
        let script = "n=0; trap 'n=$((n+1))' USR1; echo up; i=0
            while [ $i -lt 150 ]; do /bin/true || exit 9; i=$((i+1)); done; echo \"seen $n\"; exit 0";
        let mut job = Start::new(&case, ["sh", "-c", script]).spawn();
        assert_eq!(job.line(), "up", "{}", case.name);
        let mut ended = None;
        while ended.is_none() {
            // The program may end between looking and sending.
            let _ = kill_process(job.pid(), Signal::USR1);
            ended = job.ends_within(std::time::Duration::from_micros(500));
        }
        assert_eq!(ended, Some(Ended::Exit(0)), "{}", case.name);
        let seen: usize = job.line().trim_start_matches("seen ").parse().expect("count");
        assert!(seen > 0, "{}", case.name);
    }
}
