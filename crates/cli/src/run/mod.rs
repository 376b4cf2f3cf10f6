//! `envward run`.

mod command;
pub(crate) mod configuration;
pub(crate) mod declared;
pub(crate) mod finding;
pub(crate) mod plan;
mod preload;
mod redaction;
mod report;

use std::ffi::CString;

use envward_kernel::process::{self, Ending};
use envward_kernel::{capability, prctl, signal};
use envward_launch::{agent, start};
use envward_secret::Vault;

use crate::arguments;
use crate::failure::Failure;
use crate::output;

use self::command::Found;
use self::plan::{Loaded, Plan};

/// Runs the program and ends as it ended.
pub(crate) fn run(arguments: arguments::Run) -> Result<u8, Failure> {
    let privileged = close_own_memory()?;
    let (quiet, verbose) = (arguments.quiet, arguments.verbose);
    let plan = Plan::new(arguments)?;
    let loaded = plan.load()?;
    if plan.preload {
        return preload::exec(&plan, &loaded);
    }
    if privileged {
        set_trace_capability(true)?;
    }
    let protection = plan.protection()?;
    if !quiet {
        protection.announce();
    }
    let Loaded { vault, plain } = loaded;
    let program = |vault, streams| supervise(&plan, &protection, vault, &plain, quiet, verbose, streams);
    if plan.redact { redaction::run(vault, quiet, program) } else { program(vault, None) }
}

/// Closes our own memory, before anything secret can be in it. Says whether the executable has
/// privileges of its own.
pub(crate) fn close_own_memory() -> Result<bool, Failure> {
    prctl::set_dumpable(false).map_err(|error| Failure::own(format!("cannot close our own memory: {error}")))?;
    let privileged = process::is_privileged_executable();
    if privileged {
        // The capability is for tracing our own tree. With it in effect, opening a file below
        // /proc would be allowed where it is not allowed to whoever started us.
        set_trace_capability(false)?;
    }
    Ok(privileged)
}

fn set_trace_capability(effective: bool) -> Result<(), Failure> {
    match capability::set_effective(capability::Capability::SysPtrace, effective) {
        // Another capability on the file, or another reason to be privileged.
        Err(error) if effective && error.raw_os_error() == Some(1) => Ok(()),
        other => other.map_err(|error| Failure::own(format!("cannot change our capabilities: {error}"))),
    }
}

fn supervise(
    plan: &Plan,
    protection: &plan::Protection,
    vault: Vault,
    plain: &[CString],
    quiet: bool,
    verbose: bool,
    mut streams: Option<redaction::Streams>,
) -> Result<u8, Failure> {
    let environment = command::Environment::acquire()?;
    let Found { paths, arguments } = command::find(&plan.command, &environment)?;
    let strings = environment.strings(&vault, plain, &plan.declared);
    // Before anything is started: what is started is protected by inheritance.
    report::agent(&agent::register(), quiet, verbose);
    let mut tell = report::tell;
    let started = start::start(
        &start::Command {
            paths: &paths,
            arguments: &arguments,
            environment: &strings,
            protection: protection.for_launch(),
        },
        vault,
        &plan.permit,
        &mut tell,
    );
    if let Some(streams) = &mut streams {
        streams.restore();
    }
    let started = started.map_err(|error| report::start_failure(&error, &plan.command[0]))?;
    if verbose {
        report::level(&started.level());
    }
    let ended = started.run().map_err(|error| Failure::own(format!("the supervision failed: {error}")))?;
    if let Some(remaining) = ended.remaining
        && let Err(error) = remaining.go_on_in_background()
    {
        output::error(format_args!("what the program left running can start no more programs: {error}"));
    }
    if let Some(streams) = streams {
        streams.drain();
    }
    Ok(end_like(ended.ending))
}

/// Ends as the program did: by the same signal, if it was one.
fn end_like(ending: Ending) -> u8 {
    if let Ending::Killed(number) = ending {
        // Our own core would be of no use to anybody.
        let _ = process::forbid_core_files();
        let _ = signal::set_default(number);
        let _ = signal::set_mask(signal::SignalSet::EMPTY);
        let _ = signal::send(process::id(), number);
        // Still here: the signal does not kill us, as it does not kill process 1.
    }
    envward_launch::supervise::exit_status(ending)
}
