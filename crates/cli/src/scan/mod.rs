//! `envward scan`: credentials in plain sight. What is read goes into protected memory and is
//! wiped; what is shown is where it was and what it is, never any of it.

mod finding;
mod processes;
mod staged;
mod table;

use std::fs;
use std::path::PathBuf;

use clap::Args;
use envward_detect::Confidence;
use envward_detect::allow::{self, Rule};
use envward_kernel::{capability, prctl, process};
use envward_secret::{Backing, SecretBuf};

use crate::failure::Failure;
use crate::output::{self, Paint};

/// Find credentials in the environments and arguments of running processes, or in what is staged
///
/// Looks at your own processes (as root at all), at what /proc/PID/environ and /proc/PID/cmdline
/// show of them. Shows what each credential is called, what it is, how long it is and where; never
/// a value. Exit status: 0 when nothing was found, 1 when something was, 2 for a wrong command
/// line, 3 when the scan could not be done.
#[derive(Debug, Args)]
pub(crate) struct Scan {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Look at this process only; may be given several times
    #[arg(long, value_name = "PID")]
    pid: Vec<i32>,
    /// Look at the lines that the next git commit adds, and at no process
    #[arg(long, conflicts_with = "pid")]
    staged: bool,
    /// Exit with 1 from this confidence on: high, medium (the default), low, or never
    #[arg(long, value_name = "CONFIDENCE")]
    fail_on: Option<String>,
    /// Show nothing below this confidence: high, medium, or low (the default)
    #[arg(long, value_name = "CONFIDENCE")]
    show: Option<String>,
    /// Accept what matches: words name=, kind=, program= and path= with a pattern, all of which must match
    #[arg(long, value_name = "RULE")]
    allow: Vec<String>,
    /// Accept what matches a line of this file
    #[arg(long, value_name = "FILE")]
    allow_file: Vec<PathBuf>,
    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
}

/// The exit status when the scan could not be done.
const IMPOSSIBLE: u8 = 3;
/// The most of an environment that is looked at, in bytes. The kernel's own limit is 6 MiB.
const MOST: usize = 8 * 1024 * 1024;

/// Scans.
pub(crate) fn run(arguments: &Scan) -> Result<u8, Failure> {
    let failed = |error: std::io::Error| Failure::new(IMPOSSIBLE, format!("cannot scan: {error}"));
    prctl::set_dumpable(false).map_err(failed)?;
    if process::is_privileged_executable() {
        // Nothing is read that whoever started us could not read without us.
        capability::set_all(0, 0).map_err(failed)?;
    }
    let fail_on = match arguments.fail_on.as_deref() {
        Some("never") => None,
        Some(name) => Some(confidence("--fail-on", name)?),
        None => Some(Confidence::Medium),
    };
    let show = arguments.show.as_deref().map_or(Ok(Confidence::Low), |name| confidence("--show", name))?;
    let rules = rules(arguments)?;
    let backing = backing()?;
    let mut scan = if arguments.staged {
        staged::scan(&rules, backing)?
    } else {
        for pid in &arguments.pid {
            crate::status::process::Process::find(*pid).map_err(|failure| failure.with_code(IMPOSSIBLE))?;
        }
        let mut buffer = SecretBuf::new(backing, MOST).map_err(|error| Failure::new(IMPOSSIBLE, error.to_string()))?;
        processes::scan(&arguments.pid, &rules, &mut buffer).map_err(failed)?
    };
    let fails = fail_on.is_some_and(|confidence| scan.reaches(confidence));
    scan.findings.retain(|finding| finding.confidence >= show);
    if !arguments.quiet {
        let text = if arguments.json {
            serde_json::to_string(&scan).map(|text| text + "\n").map_err(|error| Failure::new(IMPOSSIBLE, error))?
        } else {
            table::render(&scan, Paint::of_results())
        };
        output::result(&text).map_err(|error| Failure::new(IMPOSSIBLE, format!("cannot write: {error}")))?;
    }
    Ok(if fails { Failure::NEGATIVE } else { 0 })
}

/// The strongest memory that can be had. In neither do the bytes outlive the scan.
fn backing() -> Result<Backing, Failure> {
    let mut last = None;
    for backing in [Backing::MemfdSecret, Backing::Locked] {
        match backing.probe() {
            Ok(()) => return Ok(backing),
            Err(error) => last = Some(error),
        }
    }
    let reason = last.map_or_else(String::new, |error| error.to_string());
    Err(Failure::new(IMPOSSIBLE, reason).hint("`envward doctor` says what mends it"))
}

fn confidence(option: &str, name: &str) -> Result<Confidence, Failure> {
    name.parse().map_err(|error| Failure::new(Failure::USAGE, format!("{option}: {error}")))
}

fn rules(arguments: &Scan) -> Result<Vec<Rule>, Failure> {
    let mut rules = Vec::new();
    for text in &arguments.allow {
        rules.push(text.parse().map_err(|error| Failure::new(Failure::USAGE, format!("--allow: {error}")))?);
    }
    for path in &arguments.allow_file {
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::new(Failure::USAGE, format!("cannot read {}: {error}", path.display())))?;
        rules
            .extend(allow::parse(&text).map_err(|(line, error)| {
                Failure::new(Failure::USAGE, format!("{}:{line}: {error}", path.display()))
            })?);
    }
    Ok(rules)
}
