//! `envward env`: what there is to know about variables and env files.

mod explain;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// Look at variables and env files
#[derive(Debug, Args)]
pub(crate) struct Env {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Explain(explain::Explain),
}

pub(crate) fn run(arguments: Env) -> Result<u8, Failure> {
    match arguments.command {
        Command::Explain(arguments) => explain::run(arguments),
    }
}
