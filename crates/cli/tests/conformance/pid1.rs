//! As PID 1 of a container: reaping, signals and exit status.
//!
//! A direct start is no model here, because an ordinary program is a bad PID 1;
//! it serves to show that the checks see what is missing.

use std::fs;
use std::thread;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::stage::case::{ALL, Case, DIRECT, SUPERVISING};
use crate::stage::job::{Ended, Job, SETTLE, Start, children, descendants, eventually, stat};
use crate::stage::stage;

const NAMESPACE: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

fn contained(case: &Case, arguments: &[&str]) -> Start {
    Start::probe(case, arguments).around(NAMESPACE)
}

/// PID 1 of the namespace, by the number that it has outside.
fn first(job: &Job) -> Pid {
    let below = children(job.pid());
    assert_eq!(below.len(), 1, "unshare has one child");
    below[0]
}

fn zombies(job: &Job) -> usize {
    descendants(job.pid())
        .into_iter()
        .filter(|pid| stat(pid.as_raw_nonzero().get()).is_some_and(|fields| fields[0] == "Z"))
        .count()
}

#[test]
fn the_exit_status_comes_through() {
    for case in [DIRECT].iter().chain(&ALL) {
        for status in [0, 1, 42, 125, 255] {
            let ended = contained(case, &["exit", &status.to_string()]).ended();
            assert_eq!(ended, Ended::Exit(status), "{}", case.name);
        }
    }
}

#[test]
fn death_by_signal_is_an_exit_status() {
    for case in ALL {
        for signal in [1, 2, 6, 9, 11, 13, 15, 34] {
            let ended = contained(&case, &["die", &signal.to_string()]).ended();
            assert_eq!(ended, Ended::Exit(128 + signal), "{}", case.name);
        }
    }
}

#[test]
fn orphans_are_reaped() {
    let left = |case: &Case| {
        let mut job = contained(case, &["orphans", "20"]).spawn();
        job.until("up");
        // All twenty have ended when each is a zombie or gone.
        let program = if case.mode.is_some() { 2 } else { 1 };
        eventually("end of the orphans", || descendants(job.pid()).len() - zombies(&job) <= program);
        thread::sleep(SETTLE);
        let left = zombies(&job);
        job.write("q");
        assert_eq!(job.wait(), Ended::Exit(0), "{}", case.name);
        left
    };
    assert_eq!(left(&DIRECT), 20, "a program that does not reap keeps its zombies");
    for case in ALL {
        assert_eq!(left(&case), 0, "{}", case.name);
    }
}

#[test]
fn signals_reach_the_program_once() {
    for case in [DIRECT].iter().chain(&ALL) {
        for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT, Signal::USR1, Signal::WINCH] {
            let mut job = contained(case, &["signals"]).spawn();
            job.up();
            kill_process(first(&job), signal).expect("kill");
            assert_eq!(job.line(), format!("signal {}", signal.as_raw()), "{}", case.name);
            thread::sleep(SETTLE / 3);
            job.write("q");
            assert_eq!(job.line(), "end", "{}", case.name);
            assert_eq!(job.wait(), Ended::Exit(0), "{}", case.name);
        }
    }
}

#[test]
fn term_ends_a_program_without_handler() {
    // Directly as PID 1 it would be ignored: the classic container complaint.
    for case in ALL {
        let mut job = contained(&case, &["wait"]).spawn();
        job.up();
        kill_process(first(&job), Signal::TERM).expect("kill");
        assert_eq!(job.wait(), Ended::Exit(143), "{}", case.name);
    }
}

#[test]
fn later_programs_find_the_secrets() {
    for case in SUPERVISING {
        let secrets = crate::stage::Secrets::new(case.uid);
        let file = secrets.value_file("API_TOKEN");
        let script = "\"$@\"; exit $?";
        let probe = stage().program("probe");
        let command = [
            "sh".as_ref(),
            "-c".as_ref(),
            script.as_ref(),
            "sh".as_ref(),
            probe.as_os_str(),
            "holds".as_ref(),
            "API_TOKEN".as_ref(),
            file.as_os_str(),
        ];
        let ended = Start::new(&case, command).around(NAMESPACE).secrets(secrets).ended();
        assert_eq!(ended, Ended::Exit(0), "{}", case.name);
    }
}

#[test]
fn the_end_of_the_program_ends_the_container() {
    for case in SUPERVISING {
        let directory = stage().scratch(case.uid);
        let script = "sleep 61 & echo $! > sleeper; exit 6";
        let mut job = Start::new(&case, ["sh", "-c", script]).around(NAMESPACE).within(&directory).spawn();
        assert_eq!(job.wait(), Ended::Exit(6), "{}", case.name);
        assert!(fs::metadata(directory.join("sleeper")).is_ok(), "{}", case.name);
        // Nothing of the namespace is left: its PID 1 is gone.
        assert!(test_kill_process(job.pid()).is_err(), "{}", case.name);
    }
}
