//! `envward-agent`: the agent, as a program of its own, so that the launcher stays small.
#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use envward_agent::guard::{Guard, GuardError};
use envward_agent::layout::{Action, Settings};
use envward_agent::socket::{Registrar, SOCKET};
use envward_kernel::poll;

/// Deny and report who reads another process's environment or memory
#[derive(Debug, Parser)]
#[command(name = "envward-agent", version)]
struct Arguments {
    /// Protect this process and everything that it starts
    #[arg(long, value_name = "PID")]
    protect: Vec<u32>,
    /// Refuse what is only reported otherwise: modules, signals, sweeps
    #[arg(long)]
    strict: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "envward-agent: {error}");
            if let Some(hint) = error.hint() {
                let _ = writeln!(io::stderr(), "  hint: {hint}");
            }
            ExitCode::from(1)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), GuardError> {
    let mut guard = Guard::deny(if arguments.strict { Settings::all(Action::Deny) } else { Settings::usual() })?;
    for pid in &arguments.protect {
        guard.protect(*pid, false)?;
    }
    let registrar = Registrar::open(Path::new(SOCKET));
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "ready");
    loop {
        while let Some(event) = guard.next_event() {
            let _ = writeln!(out, "{event:?}");
        }
        let _ = out.flush();
        let _ = poll::wait([Some(guard.descriptor()), registrar.as_ref().ok().map(Registrar::descriptor)], None);
        if let Ok(registrar) = &registrar {
            registrar.serve(&mut guard);
        }
    }
}
