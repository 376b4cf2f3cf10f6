//! Open files: those that a direct start would leave, and none besides.

use std::fs;
use std::process::Stdio;

use super::{equal, same};
use crate::stage::case::{ALL, Case, SUPERVISING};
use crate::stage::job::{Ended, Start, read};
use crate::stage::stage;

/// The descriptor lines of the probe's report, first or second generation.
fn descriptors(case: &Case, second: bool, operations: &[&str]) -> Vec<String> {
    let scratch = stage().scratch(case.uid);
    fs::write(scratch.join("kept"), "kept").expect("file");
    std::os::unix::fs::chown(scratch.join("kept"), case.uid, case.uid).expect("chown");
    let probe = stage().program("probe");
    let shell = ["sh", "-c", "\"$@\"; exit $?", "sh"];
    let mut command: Vec<&std::ffi::OsStr> = Vec::new();
    if second {
        command.extend(shell.map(std::ffi::OsStr::new));
    }
    command.extend([probe.as_os_str(), "report".as_ref(), "report".as_ref()]);
    let mut start = Start::new(case, command).within(&scratch);
    for operation in operations {
        start = start.with(operation.replace("SCRATCH", &scratch.display().to_string()));
    }
    let ended = start.spawn_with(Stdio::null(), Stdio::null(), Stdio::null()).wait();
    assert_eq!(ended, Ended::Exit(0), "{} {operations:?}", case.name);
    read(scratch.join("report"))
        .replace(&scratch.display().to_string(), "SCRATCH")
        .lines()
        .filter(|line| line.starts_with("fd "))
        .map(str::to_owned)
        .collect()
}

fn both_generations(operations: &[&str], plausible: impl Fn(&[String])) {
    same(&ALL, |case| descriptors(case, false, operations), |seen| plausible(seen));
    same(&SUPERVISING, |case| descriptors(case, true, operations), |seen| plausible(seen));
}

fn open(seen: &[String], fd: u32) -> bool {
    seen.iter().any(|line| line.starts_with(&format!("fd {fd} ")))
}

#[test]
fn the_usual_three() {
    both_generations(&[], |seen| assert!(open(seen, 0) && open(seen, 1) && open(seen, 2), "{seen:?}"));
}

#[test]
fn a_closed_standard_input_stays_closed() {
    both_generations(&["close=0"], |seen| assert!(!open(seen, 0) && open(seen, 1), "{seen:?}"));
}

#[test]
fn closed_standard_output_and_error_stay_closed() {
    both_generations(&["close=1"], |seen| assert!(open(seen, 0) && !open(seen, 1), "{seen:?}"));
    both_generations(&["close=2"], |seen| assert!(open(seen, 0) && !open(seen, 2), "{seen:?}"));
    both_generations(&["close=1", "close=2"], |seen| assert!(!open(seen, 1) && !open(seen, 2), "{seen:?}"));
}

#[test]
fn all_three_closed() {
    both_generations(&["close=0", "close=1", "close=2"], |seen| {
        assert!(!open(seen, 0) && !open(seen, 1) && !open(seen, 2), "{seen:?}");
    });
}

#[test]
fn inherited_files_are_passed_on() {
    both_generations(&["open=7:SCRATCH/kept"], |seen| {
        assert!(seen.iter().any(|line| line.starts_with("fd 7 SCRATCH/kept")), "{seen:?}");
    });
}

#[test]
fn inherited_files_keep_their_numbers_whatever_they_are() {
    let many: Vec<String> = (3..120).map(|fd| format!("open={fd}:SCRATCH/kept")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    both_generations(&many, |seen| assert!((0..120).all(|fd| open(seen, fd)), "{seen:?}"));
    both_generations(&["open=1000:SCRATCH/kept", "open=3:SCRATCH/kept"], |seen| {
        assert!(open(seen, 3) && open(seen, 1000), "{seen:?}");
    });
}

#[test]
fn the_launcher_lets_go_of_inherited_pipes() {
    // The reader of a pipe sees its end when the program closes it, although
    // the launcher is still there.
    equal(&ALL, &(vec!["first".to_owned()], Ended::Exit(0)), |case| {
        let mut job = Start::new(case, ["sh", "-c", "echo first; exec >&-; read line; exit 0"]).spawn();
        let lines = job.rest();
        let early = job.ends_within(std::time::Duration::ZERO);
        assert_eq!(early, None, "{}: ended too early to show anything", case.name);
        job.close_input();
        (lines, job.wait())
    });
}

#[test]
fn the_launcher_does_not_hold_the_standard_input() {
    // A writer sees the broken pipe when the program has closed its input.
    equal(&SUPERVISING, &Ended::Exit(0), |case| {
        let script = "exec 0<&-; echo closed; exec sleep 1";
        let mut job = Start::new(case, ["sh", "-c", script]).spawn();
        assert_eq!(job.line(), "closed", "{}", case.name);
        crate::stage::job::eventually("broken pipe", || job.try_write("x").is_err());
        job.wait()
    });
}

#[test]
fn no_descriptor_leaks_into_later_programs() {
    // The fortieth program started in the tree has what the first has.
    same(
        &SUPERVISING,
        |case| {
            let script = "i=0; while [ $i -lt 40 ]; do /bin/true; i=$((i+1)); done; ls /proc/self/fd";
            Start::new(case, ["sh", "-c", script]).output().out.len()
        },
        |count| assert!((3..10).contains(count), "{count}"),
    );
}
