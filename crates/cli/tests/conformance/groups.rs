//! Stopping and continuing, as a shell's job control sees it.

use std::thread;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::equal;
use crate::stage::case::{ALL, Case};
use crate::stage::job::{Ended, Job, SETTLE, Start, eventually, stat};

fn started(case: &Case, what: &str) -> (Job, Pid) {
    let mut job = Start::probe(case, [what]).spawn();
    let program = job.up();
    (job, program)
}

fn state(pid: Pid) -> String {
    stat(pid.as_raw_nonzero().get()).map_or_else(|| "gone".into(), |fields| fields[0].clone())
}

fn finish(mut job: Job) -> (Vec<String>, Ended) {
    thread::sleep(SETTLE);
    job.write("q\n");
    let lines = job.rest();
    (lines, job.wait())
}

/// The parent sees the stop and the continuation, and the program was told once.
fn stops_and_continues(signal: Signal, to_group: bool) {
    let reported =
        if signal == Signal::TSTP { vec!["signal 20", "signal 18", "end"] } else { vec!["signal 18", "end"] };
    let reported: Vec<String> = reported.into_iter().map(str::to_owned).collect();
    let expected = (Ended::Stopped(signal.as_raw()), "T".to_owned(), Ended::Continued, (reported, Ended::Exit(0)));
    equal(&ALL, &expected, |case| {
        let (mut job, program) = started(case, "signals");
        let send = |signal| {
            if to_group {
                kill_process_group(job.pid(), signal).expect("killpg");
            } else if signal == Signal::STOP {
                // Nobody can pass on a stop that cannot be caught.
                kill_process(program, signal).expect("kill");
            } else {
                job.signal(signal);
            }
        };
        send(signal);
        let stopped = {
            let stopped = job.wait_change();
            let state = state(program);
            (stopped, state)
        };
        send_again(&job, to_group);
        let continued = job.wait_change();
        (stopped.0, stopped.1, continued, finish(job))
    });
}

/// SIGCONT, the way the stop went.
fn send_again(job: &Job, to_group: bool) {
    if to_group {
        kill_process_group(job.pid(), Signal::CONT).expect("killpg");
    } else {
        job.signal(Signal::CONT);
    }
}

#[test]
fn tstp_to_the_started_process_stops_both() {
    stops_and_continues(Signal::TSTP, false);
}

#[test]
fn tstp_to_the_group_stops_both() {
    stops_and_continues(Signal::TSTP, true);
}

#[test]
fn stop_of_the_program_stops_both() {
    stops_and_continues(Signal::STOP, false);
}

#[test]
fn stop_of_the_group_stops_both() {
    stops_and_continues(Signal::STOP, true);
}

#[test]
fn a_program_without_handler_stops_and_continues() {
    let expected = (Ended::Stopped(20), Ended::Continued, Ended::Exit(0));
    equal(&ALL, &expected, |case| {
        let (mut job, _) = started(case, "wait");
        job.signal(Signal::TSTP);
        let stopped = job.wait_change();
        job.signal(Signal::CONT);
        let continued = job.wait_change();
        (stopped, continued, finish(job).1)
    });
}

#[test]
fn stopping_again_works_as_the_first_time() {
    let expected = [Ended::Stopped(20), Ended::Continued].repeat(5);
    equal(&ALL, &expected, |case| {
        let (mut job, _) = started(case, "wait");
        let mut seen = Vec::new();
        for _ in 0..5 {
            job.signal(Signal::TSTP);
            seen.push(job.wait_change());
            job.signal(Signal::CONT);
            seen.push(job.wait_change());
        }
        assert_eq!(finish(job).1, Ended::Exit(0), "{}", case.name);
        seen
    });
}

#[test]
fn continuing_just_the_program_continues_both() {
    // As `kill -CONT` on the process that the user sees in ps.
    equal(&ALL, &(Ended::Continued, Ended::Exit(0)), |case| {
        let (mut job, program) = started(case, "wait");
        kill_process(program, Signal::STOP).expect("kill");
        assert_eq!(job.wait_change(), Ended::Stopped(19), "{}", case.name);
        kill_process(program, Signal::CONT).expect("kill");
        (job.wait_change(), finish(job).1)
    });
}

#[test]
fn a_stopped_program_can_be_killed() {
    equal(&ALL, &Ended::Signal(9), |case| {
        let (mut job, program) = started(case, "wait");
        kill_process(program, Signal::STOP).expect("kill");
        assert_eq!(job.wait_change(), Ended::Stopped(19), "{}", case.name);
        kill_process_group(job.pid(), Signal::KILL).expect("killpg");
        let ended = job.wait();
        eventually("end of the program", || state(program) == "gone");
        ended
    });
}

#[test]
fn a_stopped_program_gets_a_term_when_it_continues() {
    // A service manager's stop: SIGTERM, then SIGCONT.
    equal(&ALL, &Ended::Signal(15), |case| {
        let (mut job, _) = started(case, "wait");
        job.signal(Signal::TSTP);
        assert_eq!(job.wait_change(), Ended::Stopped(20), "{}", case.name);
        job.signal(Signal::TERM);
        job.signal(Signal::CONT);
        job.wait()
    });
}
