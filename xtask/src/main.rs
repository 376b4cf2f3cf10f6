//! The project's chores: `cargo xtask ci` does what has to pass before a change lands,
//! `cargo xtask check` only the checks that are quick and start no program of ours.
#![forbid(unsafe_code)]

mod arrows;
mod bench;
mod bench_store;
mod ci;
mod closure;
mod deb;
mod debian;
mod env_file;
mod guest;
mod length;
mod library;
mod licences;
mod links;
mod man;
mod metadata;
mod redaction;
mod repository;
mod threats;
mod toolchain;
mod unsafety;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::metadata::Workspace;
use crate::repository::Repository;

const USAGE: &str = "usage: cargo xtask ci | check | bench [redact | env-file | store] | guest | man | deb
  ci      everything: format, lints, checks, release build, all tests
  check   the checks on sources, dependencies and documents alone
  bench   what envward run costs, side by side with the same work without it
  bench redact   how fast run --redact is
  guest   tests in guests with stock Debian kernels; options: cargo xtask guest --help
  man     the manual pages in man/, after a change of the command line
  deb     the Debian package, in target/debian, and a look at what is in it";

/// Why a chore ended early.
#[derive(Debug)]
pub(crate) struct Trouble(pub(crate) String);

impl Trouble {
    /// What could not be done, and why.
    pub(crate) fn new(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self(format!("{what}: {why}"))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One thing that a check objects to: where, and what.
pub(crate) type Finding = String;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ci"] => ci::run(),
        ["check"] => check(),
        ["bench"] => bench::run(),
        ["bench", "redact"] => redaction::run(),
        ["bench", "env-file"] => env_file::run(),
        ["guest", ref arguments @ ..] => guest::run(arguments),
        ["man"] => man::run(),
        ["deb"] => deb::run(),
        ["bench", "store"] => bench_store::run(),
        ["spin"] => {
            bench::spin();
            Ok(())
        }
        ref other => library::run(other).unwrap_or_else(|| Err(Trouble(format!("{USAGE}{}", library::USAGE)))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            say(&format!("xtask: {trouble}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs all checks and shows every finding.
pub(crate) fn check() -> Result<(), Trouble> {
    let repository = Repository::here()?;
    let workspace = Workspace::load(&repository)?;
    let checks = [
        ("dependency arrows", arrows::check(&workspace)),
        ("what the launcher reaches", closure::check(&workspace)),
        ("licences, bans and sources", licences::check(&repository, &workspace)?),
        ("unsafe code", unsafety::check(&repository)?),
        ("file length", length::check(&repository)?),
        ("toolchain", toolchain::check(&repository)),
        ("links", links::check(&repository)?),
        ("threat table", threats::check(&repository)?),
    ];
    let mut count = 0;
    for (name, findings) in checks {
        say(&format!("check: {name}: {}", if findings.is_empty() { "ok" } else { "FAILED" }));
        for finding in &findings {
            say(&format!("  {finding}"));
        }
        count += findings.len();
    }
    if count == 0 { Ok(()) } else { Err(Trouble(format!("{count} findings"))) }
}

/// A line on standard output, at once, so that it stands where it belongs among the output
/// of the programs that we start.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    // A reader that has gone away is no reason to stop.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
