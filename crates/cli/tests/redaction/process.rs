//! Being a process with `--redact`: what a direct start does, a redacted one does too.

use std::process::Stdio;

use rustix::process::{Signal, kill_process};

use crate::stage::case::{Case, DIRECT, DIRECT_USER, FULL, FULL_REDACTING, REDACTING, SUPERVISED_REDACTING};
use crate::stage::job::{Ended, Start, children, eventually};

/// Observes both users directly and redacted.
fn same<T: PartialEq + std::fmt::Debug>(expected: &T, observe: impl Fn(&Case) -> T) {
    for case in [DIRECT, DIRECT_USER].iter().chain(&REDACTING) {
        assert_eq!(&observe(case), expected, "{}", case.name);
    }
}

#[test]
fn exit_statuses_and_deaths() {
    same(&Ended::Exit(3), |case| Start::new(case, ["sh", "-c", "exit 3"]).ended());
    same(&Ended::Signal(15), |case| Start::new(case, ["sh", "-c", "kill -TERM $$"]).ended());
    same(&Ended::Signal(9), |case| Start::new(case, ["sh", "-c", "kill -KILL $$"]).ended());
}

#[test]
fn a_program_whose_reader_is_gone_is_told() {
    same(&Ended::Signal(13), |case| {
        let (reader, writer) = std::io::pipe().expect("pipe");
        let mut job = Start::new(case, ["yes"]).spawn_with(Stdio::null(), writer.into(), Stdio::null());
        let mut seen = [0; 2];
        std::io::Read::read_exact(&mut &reader, &mut seen).expect("output");
        drop(reader);
        job.wait()
    });
    // It may handle that, and go on.
    same(&Ended::Exit(5), |case| {
        let (reader, writer) = std::io::pipe().expect("pipe");
        drop(reader);
        let text = "trap '' PIPE; while echo x 2> /dev/null; do sleep 0.01; done; exit 5";
        Start::new(case, ["sh", "-c", text]).spawn_with(Stdio::null(), writer.into(), Stdio::null()).wait()
    });
}

#[test]
fn streams_are_no_terminals_where_they_were_none() {
    let text = "test -t 0 || echo 0; test -t 1 || echo 1; test -t 2 || echo 2";
    same(&vec!["0".to_owned(), "1".to_owned(), "2".to_owned()], |case| {
        Start::new(case, ["sh", "-c", text]).output().out
    });
}

#[test]
fn input_is_not_touched() {
    same(&vec!["line".to_owned(), "end".to_owned()], |case| {
        let mut job = Start::new(case, ["sh", "-c", "cat; echo end"]).spawn();
        job.write("line\n");
        job.close_input();
        assert_eq!(job.wait(), Ended::Exit(0));
        job.rest()
    });
}

#[test]
fn signals_arrive_once() {
    for case in REDACTING {
        let mut job = Start::probe(&case, ["signals"]).spawn();
        let program = job.up();
        job.signal(Signal::USR1);
        assert_eq!(job.line(), "signal 10", "{}", case.name);
        kill_process(program, Signal::USR2).expect("kill");
        assert_eq!(job.line(), "signal 12", "{}", case.name);
        job.write("q");
        assert_eq!(job.wait(), Ended::Exit(0), "{}", case.name);
        assert_eq!(job.rest(), ["end"], "{}", case.name);
    }
}

#[test]
fn without_the_flag_there_is_no_further_process() {
    let count = |case: &Case| {
        let mut job = Start::probe(case, ["wait"]).spawn();
        job.up();
        // Helpers of the start may still be on their way out.
        let expected = if case.redact { 3 } else { 1 };
        eventually("children", || children(job.pid()).len() == expected);
        let count = children(job.pid()).len();
        job.write("q");
        assert_eq!(job.wait(), Ended::Exit(0));
        count
    };
    assert_eq!(count(&FULL), 1);
    // One for standard output and one for standard error.
    assert_eq!(count(&FULL_REDACTING), 3);
}

#[test]
fn nothing_is_left_of_many_launches() {
    for case in [FULL_REDACTING, SUPERVISED_REDACTING] {
        for _ in 0..40 {
            let output = Start::new(&case, ["sh", "-c", "echo \"$API_TOKEN\""]).output();
            assert_eq!(output.ended, Ended::Exit(0), "{}", case.name);
            assert_eq!(output.out, ["[redacted API_TOKEN]"], "{}", case.name);
            assert_eq!(output.err, [""; 0], "{}", case.name);
        }
    }
}

#[test]
fn little_locked_memory_is_enough() {
    // What a user had before Linux 5.16.
    let start =
        Start::new(&SUPERVISED_REDACTING, ["sh", "-c", "echo \"$API_TOKEN\""]).with("limit=memlock:65536:65536");
    let output = start.output();
    assert_eq!(
        (output.ended, output.out, output.err),
        (Ended::Exit(0), vec!["[redacted API_TOKEN]".to_owned()], vec![])
    );
}

#[test]
fn inherited_ignored_child_signals_change_nothing() {
    for case in REDACTING {
        let ended = Start::new(&case, ["sh", "-c", "exit 4"]).with("ignore=17").ended();
        assert_eq!(ended, Ended::Exit(4), "{}", case.name);
    }
}
