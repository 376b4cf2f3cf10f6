//! Whether a boot has shown what it was to show. Everything has to be right: the exit status
//! that init alone sets, its closing record, and each packed test once, as passed.

use std::collections::BTreeMap;

use envward_guest::manifest::Manifest;
use envward_guest::record::Record;
use envward_guest::{FAILED, PASSED, exit_status};

use crate::guest::boot::{Ending, Report};

/// What is wrong; nothing if all is well.
pub(super) fn judge(manifest: &Manifest, report: &Report) -> Vec<String> {
    let mut problems = Vec::new();
    match report.ending {
        Ending::Exited(code) if code == exit_status(PASSED) => {}
        Ending::Exited(code) if code == exit_status(FAILED) => problems.push("init says that it failed".to_owned()),
        Ending::Exited(0) => problems.push("it was switched off, or the kernel panicked (QEMU's status 0)".to_owned()),
        Ending::Exited(code) => problems.push(format!("QEMU's exit status is {code}")),
        Ending::TimedOut(limit) => problems.push(format!("not done after {} s", limit.as_secs())),
        Ending::Killed => problems.push("QEMU was killed".to_owned()),
    }
    if manifest.tests.is_empty() {
        problems.push("no test was packed".to_owned());
    }
    if report.release().is_none() {
        problems.push("init never said that it runs".to_owned());
    }
    for line in &report.strange {
        problems.push(format!("a line that is no record: {line:?}"));
    }
    judge_facts(manifest, report, &mut problems);
    let (run, failed) = judge_tests(manifest, report, &mut problems);
    let mut ends = 0;
    for record in &report.records {
        match record {
            Record::Broken(what) => problems.push(format!("init gave up: {what}")),
            Record::End { run: said, failed: said_failed } => {
                ends += 1;
                if (*said, *said_failed) != (run, failed) {
                    problems.push(format!("init counts {said} tests, {said_failed} failed; we {run}, {failed}"));
                }
            }
            _ => {}
        }
    }
    if ends != 1 || !matches!(report.records.last(), Some(Record::End { .. })) {
        problems.push("the report does not end with a closing record".to_owned());
    }
    problems
}

fn judge_facts(manifest: &Manifest, report: &Report, problems: &mut Vec<String>) {
    for (fact, expected) in &manifest.expected {
        let found = report.records.iter().find_map(|record| match record {
            Record::Fact { fact: of, holds, .. } if of == fact => Some(*holds),
            _ => None,
        });
        let answer = |yes: bool| if yes { "there" } else { "not there" };
        match found {
            Some(holds) if holds == *expected => {}
            Some(holds) => {
                problems.push(format!("{} is {}, but has to be {}", fact.name(), answer(holds), answer(*expected)));
            }
            None => problems.push(format!("nothing was said about {}", fact.name())),
        }
    }
}

/// How many tests were run and how many failed.
fn judge_tests(manifest: &Manifest, report: &Report, problems: &mut Vec<String>) -> (usize, usize) {
    let mut open: BTreeMap<(&str, &str), usize> =
        manifest.tests.iter().map(|test| ((test.binary.as_str(), test.name.as_str()), 0)).collect();
    let (mut run, mut failed) = (0, 0);
    for record in &report.records {
        let Record::Done { binary, test, failure, .. } = record else { continue };
        run += 1;
        match open.get_mut(&(binary.as_str(), test.as_str())) {
            Some(times) => *times += 1,
            None => problems.push(format!("{binary} {test} was not packed")),
        }
        if let Some(reason) = failure {
            failed += 1;
            problems.push(format!("{binary} {test}: {reason}"));
        }
    }
    for ((binary, test), times) in open {
        match times {
            1 => {}
            0 => problems.push(format!("{binary} {test} was not reported")),
            _ => problems.push(format!("{binary} {test} was reported {times} times")),
        }
    }
    (run, failed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use envward_guest::Fact;
    use envward_guest::manifest::Test;

    use super::*;

    fn manifest() -> Manifest {
        let test = |name: &str| Test { binary: "guest_a".to_owned(), name: name.to_owned(), seconds: 60 };
        Manifest { expected: vec![(Fact::Yama, true)], tests: vec![test("one"), test("two")] }
    }

    fn done(name: &str, failure: Option<&str>) -> Record {
        Record::Done {
            binary: "guest_a".to_owned(),
            test: name.to_owned(),
            milliseconds: 1,
            failure: failure.map(str::to_owned),
        }
    }

    fn good() -> Report {
        let records = vec![
            Record::Begin { release: "6.1".to_owned(), modules: "yama".to_owned() },
            Record::Fact { fact: Fact::Yama, holds: true, expected: true },
            done("one", None),
            done("two", None),
            Record::End { run: 2, failed: 0 },
        ];
        Report { ending: Ending::Exited(33), records, strange: Vec::new() }
    }

    fn problems(change: impl FnOnce(&mut Manifest, &mut Report)) -> Vec<String> {
        let (mut manifest, mut report) = (manifest(), good());
        change(&mut manifest, &mut report);
        judge(&manifest, &report)
    }

    #[test]
    fn a_complete_report_passes() {
        assert_eq!(problems(|_, _| {}), [""; 0]);
    }

    #[test]
    fn no_other_exit_status_is_success() {
        for ending in [
            Ending::Exited(0),
            Ending::Exited(1),
            Ending::Exited(32),
            Ending::Exited(35),
            Ending::TimedOut(Duration::from_secs(1)),
            Ending::Killed,
        ] {
            assert_eq!(problems(|_, report| report.ending = ending).len(), 1, "{ending:?}");
        }
    }

    #[test]
    fn every_missing_record_is_missed() {
        for at in 0..good().records.len() {
            let found = problems(|_, report| drop(report.records.remove(at)));
            assert!(!found.is_empty(), "without {:?}", good().records[at]);
        }
        assert!(problems(|_, report| report.records.clear()).len() >= 4);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (change, expected) in [
            (
                Box::new(|_: &mut Manifest, report: &mut Report| {
                    report.records[3] = done("two", Some("exit status 101"));
                }) as Box<dyn FnOnce(&mut Manifest, &mut Report)>,
                "guest_a two: exit status 101",
            ),
            (
                Box::new(|_, report| {
                    report.records[1] = Record::Fact { fact: Fact::Yama, holds: false, expected: true }
                }),
                "yama is not there, but has to be there",
            ),
            (Box::new(|_, report| report.records[3] = done("one", None)), "guest_a one was reported 2 times"),
            (Box::new(|_, report| report.records[3] = done("six", None)), "guest_a six was not packed"),
            (Box::new(|_, report| report.records.push(done("one", None))), "does not end with a closing record"),
            (Box::new(|_, report| report.records[4] = Record::Broken("x".to_owned())), "init gave up: x"),
            (Box::new(|_, report| report.strange.push("x".to_owned())), "no record: \"x\""),
            (
                Box::new(|manifest, report| {
                    manifest.tests.clear();
                    report.records.drain(2..4);
                    report.records[2] = Record::End { run: 0, failed: 0 };
                }),
                "no test was packed",
            ),
        ] {
            let found = problems(change);
            assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}: {found:?}");
        }
    }
}
