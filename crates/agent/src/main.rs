//! `envward-agent`: the agent, as a program of its own, so that the launcher stays small.
#![forbid(unsafe_code)]

mod arguments;
mod failure;
mod service;
mod show;
mod watch;

use std::process::ExitCode;

use clap::Parser;
use envward_agent::prove;

use crate::arguments::{Arguments, Subcommand};
use crate::failure::Failure;

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Subcommand::Run(arguments) => service::run(&arguments),
        Subcommand::Prove(arguments) => service::prove(&arguments),
        Subcommand::Unload => service::unload(),
        Subcommand::Recipes(arguments) => show::recipes(&arguments),
        Subcommand::Watch(arguments) => watch::run(&arguments),
        Subcommand::Watched { mask, command } => watch::become_command(mask, &command),
        Subcommand::ProofVictim => prove::be_victim().map(|()| 0).map_err(|error| Failure::new(2, error)),
        // What it says is its exit status: 0 got it, 1 was refused, 2 could not be made.
        Subcommand::ProofAttacker { proof, agent, victims } => arguments::proof(&proof)
            .and_then(|proof| prove::attack(proof, agent, &victims).ok())
            .map_or(Ok(2), |got| Ok(u8::from(!got))),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code)
        }
    }
}
