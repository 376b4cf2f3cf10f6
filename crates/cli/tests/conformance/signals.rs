//! Every signal sent to the started process reaches the program, once.

use std::thread;
use std::time::Duration;

use rustix::process::{Signal, kill_process, kill_process_group, test_kill_process};

use super::equal;
use crate::stage::case::{ALL, Case, SUPERVISING};
use crate::stage::job::{Ended, Job, SETTLE, Start, eventually};
use crate::stage::stage;

/// The signals that programs are commonly sent, real-time ones apart.
const COMMON: [Signal; 13] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::PIPE,
    Signal::ALARM,
    Signal::TERM,
    Signal::CONT,
    Signal::URG,
    Signal::VTALARM,
    Signal::WINCH,
    Signal::IO,
];

/// A program that reports signals, once it is ready for them.
fn listener(case: &Case, operations: &[&str]) -> Job {
    let mut start = Start::probe(case, ["signals"]);
    for operation in operations {
        start = start.with(*operation);
    }
    let mut job = start.spawn();
    job.up();
    job
}

/// Ends the program and returns what it has reported since.
fn report(mut job: Job) -> (Vec<String>, Ended) {
    thread::sleep(SETTLE / 2);
    job.write("q");
    let mut lines = job.until("end");
    lines.pop();
    (lines, job.wait())
}

/// Sends all the common signals, one after the other, and returns what arrived.
fn all_common(case: &Case, send: impl Fn(&Job, Signal)) -> (Vec<String>, Ended) {
    let mut job = listener(case, &[]);
    let mut lines = Vec::new();
    for signal in COMMON {
        send(&job, signal);
        lines.push(job.line());
        // A second one would come in the meantime, before the next.
        thread::sleep(SETTLE / 8);
    }
    let (more, ended) = report(job);
    lines.extend(more);
    (lines, ended)
}

fn each_once() -> (Vec<String>, Ended) {
    (COMMON.iter().map(|signal| format!("signal {}", signal.as_raw())).collect(), Ended::Exit(0))
}

#[test]
fn a_signal_to_the_started_process_arrives_once() {
    equal(&ALL, &each_once(), |case| all_common(case, |job, signal| job.signal(signal)));
}

#[test]
fn a_signal_to_the_process_group_arrives_once() {
    for _ in 0..3 {
        equal(&ALL, &each_once(), |case| {
            all_common(case, |job, signal| kill_process_group(job.pid(), signal).expect("killpg"))
        });
    }
}

#[test]
fn a_signal_to_the_process_group_right_after_the_start_arrives_once() {
    for signal in [Signal::INT, Signal::TERM, Signal::USR1] {
        let expected = (vec![format!("signal {}", signal.as_raw())], Ended::Exit(0));
        for _ in 0..4 {
            equal(&ALL, &expected, |case| {
                let job = listener(case, &[]);
                kill_process_group(job.pid(), signal).expect("killpg");
                report(job)
            });
        }
    }
}

#[test]
fn a_signal_to_a_session_leader_arrives_once() {
    // The started process leads the session: what setsid(1) and sshd make.
    let expected = (vec!["signal 15".to_owned(), "signal 1".to_owned()], Ended::Exit(0));
    equal(&ALL, &expected, |case| {
        let mut job = Start::probe(case, ["signals"]).with("session").same_group().spawn();
        job.up();
        job.signal(Signal::TERM);
        let first = job.line();
        job.signal(Signal::HUP);
        let (more, ended) = report(job);
        ([vec![first], more].concat(), ended)
    });
}

#[test]
fn many_signals_in_a_row_all_arrive() {
    let expected: Vec<String> = (0..100).map(|i| format!("signal {}", if i % 2 == 0 { 10 } else { 12 })).collect();
    equal(&ALL, &expected, |case| {
        let mut job = listener(case, &[]);
        let mut lines = Vec::new();
        for i in 0..100 {
            job.signal(if i % 2 == 0 { Signal::USR1 } else { Signal::USR2 });
            lines.push(job.line());
        }
        let (late, ended) = report(job);
        assert_eq!((late, ended), (Vec::new(), Ended::Exit(0)));
        lines
    });
}

#[test]
fn real_time_signals_keep_their_value_and_order() {
    for number in [34, 50, 64] {
        let values: Vec<String> = (1..=20).map(|i| format!("signal {number} value {i}")).collect();
        equal(&ALL, &(values, Ended::Exit(0)), |case| {
            let job = listener(case, &[]);
            queue(case, &job, number, 20);
            report(job)
        });
    }
}

#[test]
fn a_queued_ordinary_signal_keeps_its_value() {
    let expected = (vec!["signal 10 value 1".to_owned()], Ended::Exit(0));
    equal(&ALL, &expected, |case| {
        let job = listener(case, &[]);
        queue(case, &job, 10, 1);
        report(job)
    });
}

/// sigqueue(3) to the started process, by the same user.
fn queue(case: &Case, job: &Job, number: i32, count: i32) {
    let pid = job.pid().as_raw_nonzero().to_string();
    let sender = Start::probe(&case.reference(), ["queue", &pid, &number.to_string(), &count.to_string()]);
    assert_eq!(sender.ended(), Ended::Exit(0), "sigqueue");
}

#[test]
fn a_signal_with_default_action_ends_the_program() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::ALARM] {
        equal(&ALL, &Ended::Signal(signal.as_raw()), |case| {
            let mut job = Start::probe(case, ["wait"]).with("limit=core:0:0").spawn();
            job.up();
            job.signal(signal);
            job.wait()
        });
    }
}

#[test]
fn a_signal_during_the_start_is_not_lost() {
    // No waiting for the program to be up: it must end, whenever the signal hits.
    for delay in [0, 200, 500, 1_000, 2_000, 3_000, 5_000, 8_000] {
        for case in ALL {
            let mut job = Start::new(&case, ["sleep", "60"]).spawn();
            thread::sleep(Duration::from_micros(delay));
            job.signal(Signal::TERM);
            assert_eq!(job.wait(), Ended::Signal(15), "{} after {delay} µs", case.name);
        }
    }
}

#[test]
fn a_signal_that_the_program_ignores_does_nothing() {
    let expected = (Vec::new(), Ended::Exit(0));
    equal(&ALL, &expected, |case| {
        let mut job = Start::probe(case, ["signals", "1", "15"]).with("ignore=1").with("ignore=15").spawn();
        job.up();
        job.signal(Signal::HUP);
        job.signal(Signal::TERM);
        report(job)
    });
}

#[test]
fn a_blocked_signal_stays_pending_in_the_program() {
    // Blocked and raised before the start: pending across execve.
    equal(&ALL, &(1u64 << 9), |case| {
        let file = stage().scratch(case.uid).join("report");
        let start = Start::probe(case, ["report".as_ref(), file.as_os_str()]).with("block=10").with("raise=10");
        assert_eq!(start.ended(), Ended::Exit(0), "{}", case.name);
        pending(&crate::stage::job::read(file))
    });
}

fn pending(report: &str) -> u64 {
    report
        .lines()
        .filter(|line| line.starts_with("SigPnd") || line.starts_with("ShdPnd"))
        .filter_map(|line| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok())
        .fold(0, |all, bits| all | bits)
}

#[test]
fn an_alarm_set_before_the_start_rings_in_the_program() {
    let expected = (vec!["signal 14".to_owned()], Ended::Exit(0));
    equal(&ALL, &expected, |case| {
        let mut job = listener(case, &["alarm=1"]);
        let rung = vec![job.line()];
        let (more, ended) = report(job);
        ([rung, more].concat(), ended)
    });
}

#[test]
fn killing_the_launcher_ends_the_program() {
    for case in ALL {
        let mut job = Start::probe(&case, ["signals"]).spawn();
        let program = job.up();
        job.signal(Signal::KILL);
        assert_eq!(job.wait(), Ended::Signal(9), "{}", case.name);
        eventually(&format!("{}: end of the program", case.name), || test_kill_process(program).is_err());
    }
}

#[test]
fn killing_the_program_is_seen() {
    equal(&ALL, &Ended::Signal(9), |case| {
        let mut job = Start::probe(case, ["signals"]).spawn();
        kill_process(job.up(), Signal::KILL).expect("kill");
        job.wait()
    });
}

#[test]
fn signals_reach_a_program_that_has_replaced_itself() {
    let expected = (vec!["signal 15".to_owned()], Ended::Exit(0));
    equal(&SUPERVISING, &expected, |case| {
        let probe = stage().program("probe");
        let mut job = Start::new(
            case,
            [
                "sh".as_ref(),
                "-c".as_ref(),
                "exec \"$@\"".as_ref(),
                "sh".as_ref(),
                probe.as_os_str(),
                "signals".as_ref(),
            ],
        )
        .spawn();
        job.up();
        job.signal(Signal::TERM);
        report(job)
    });
}
