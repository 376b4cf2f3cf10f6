//! Process 1 of a guest: mounts what tests need, runs them one by one, reports on the second
//! serial port, and switches the machine off by the exit port, which alone can say that all is
//! well. Nothing but this program in a guest may do any of that, so it refuses to be anything
//! but process 1 of one.
#![forbid(unsafe_code)]

mod report;
mod run;
mod setup;

use std::fs;
use std::io;
use std::process::ExitCode;

use envward_guest::manifest::{self, Manifest};
use envward_guest::record::Record;
use envward_guest::{FAILED, Fact, Guest, PASSED, fact};

use crate::report::Report;

fn main() -> ExitCode {
    if std::process::id() != 1 {
        return ExitCode::from(2);
    }
    let mounted = setup::mount_all();
    if !Guest::is_here() {
        return ExitCode::from(2);
    }
    // Without a port there is nobody to tell; the kernel panics and QEMU ends with 0.
    let Ok(mut report) = Report::open() else { return ExitCode::from(3) };
    let all_passed = match mounted.and_then(|()| work(&mut report)) {
        Ok(all_passed) => all_passed,
        Err(error) => {
            let what = error.to_string().replace('\n', " ");
            // If this does not get through, the missing end of the report tells.
            let _ = report.write(&Record::Broken(what));
            false
        }
    };
    report.finish(if all_passed { PASSED } else { FAILED });
    ExitCode::from(4)
}

/// Whether every expectation was met and every test passed.
fn work(report: &mut Report) -> io::Result<bool> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let modules = fact::security_modules();
    report.write(&Record::Begin { release, modules: if modules.is_empty() { "-".to_owned() } else { modules } })?;
    let manifest = fs::read_to_string(manifest::PLACE)?;
    let manifest = Manifest::parse(&manifest).map_err(|line| io::Error::other(format!("manifest: {line}")))?;
    let mut as_expected = true;
    for (fact, expected) in &manifest.expected {
        let holds = Fact::holds(*fact);
        as_expected &= holds == *expected;
        report.write(&Record::Fact { fact: *fact, holds, expected: *expected })?;
    }
    let mut failed = 0;
    for test in &manifest.tests {
        report.write(&Record::Start { binary: test.binary.clone(), test: test.name.clone() })?;
        let outcome = run::run(test)?;
        for line in &outcome.lines {
            report.write(&Record::Output(line.clone()))?;
        }
        failed += usize::from(outcome.failure.is_some());
        report.write(&Record::Done {
            binary: test.binary.clone(),
            test: test.name.clone(),
            milliseconds: outcome.milliseconds,
            failure: outcome.failure,
        })?;
    }
    report.write(&Record::End { run: manifest.tests.len(), failed })?;
    Ok(as_expected && failed == 0 && !manifest.tests.is_empty())
}
