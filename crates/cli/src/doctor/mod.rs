//! `envward doctor`: what this machine offers, found out by trying where that is possible.

mod check;
mod judgement;
mod machine;
mod table;
mod trials;

use clap::Args;

use envward_kernel::capability::{self, Capability};
use envward_kernel::process;

use crate::failure::Failure;
use crate::output::{self, Paint};

use self::check::{Check, Examination, Group, SCHEMA, State};
use self::machine::Machine;
use self::trials::Trials;

/// Show what this machine offers for every mode and mechanism, and how to get what is missing
///
/// Everything is really tried where that is possible, in processes of its own: programs are
/// started in every mode, secret memory is made, tracing and filters are tried. Nothing of the
/// machine is changed. Exit status: 0, or 1 when something that --require names is not there, 2
/// for a wrong command line, 3 when nothing could be tried.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Exit with 1 unless this is `ok`: a mode (full, supervised, sealed, preload), a mechanism, another
    /// line of the output, or `all` for all modes and mechanisms; may be given several times
    #[arg(long, value_name = "NAME")]
    require: Vec<String>,
}

/// The exit status when nothing could be tried.
const IMPOSSIBLE: u8 = 3;

/// Examines the machine.
pub(crate) fn run(arguments: &Doctor) -> Result<u8, Failure> {
    let machine = Machine::look();
    let privileged = process::is_privileged_executable();
    let failed = |error: std::io::Error| Failure::new(IMPOSSIBLE, format!("cannot try anything: {error}"));
    if privileged {
        // What is tried in children shall say what a user may; envward itself gets the
        // capability again when it is started.
        capability::set_effective(Capability::SysPtrace, false).map_err(failed)?;
    }
    let trials = Trials::run().map_err(failed)?;
    let checks = judgement::judge(&machine, &trials);
    let missing = missing(&checks, &arguments.require)?;
    let examination =
        Examination { schema: SCHEMA, version: env!("CARGO_PKG_VERSION"), kernel: machine.release, checks, missing };
    let text = if arguments.json {
        let mut text = serde_json::to_string(&examination).map_err(|error| Failure::new(IMPOSSIBLE, error))?;
        text.push('\n');
        text
    } else {
        table::render(&examination, Paint::of_results())
    };
    output::result(&text).map_err(|error| Failure::new(IMPOSSIBLE, format!("cannot write: {error}")))?;
    if examination.missing.is_empty() {
        return Ok(0);
    }
    output::error(format_args!("required and not there: {}", examination.missing.join(", ")));
    Ok(Failure::NEGATIVE)
}

/// What is required and not to be had without reserve.
fn missing(checks: &[Check], required: &[String]) -> Result<Vec<&'static str>, Failure> {
    for name in required {
        if name != "all" && !checks.iter().any(|check| check.name == name) {
            let names: Vec<&str> = checks.iter().map(|check| check.name).collect();
            return Err(Failure::new(Failure::USAGE, format!("--require {name}: there is no such check"))
                .hint(format!("the checks are {}, or all", names.join(", "))));
        }
    }
    let is_required = |check: &&Check| {
        required.iter().any(|name| name == check.name || (name == "all" && check.group != Group::Machine))
    };
    let is_there = |check: &Check| matches!(check.state, State::Ok | State::Told);
    Ok(checks.iter().filter(is_required).filter(|check| !is_there(check)).map(|check| check.name).collect())
}
