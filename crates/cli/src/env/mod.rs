//! `envward env`: what there is to know about variables and env files.

mod convert;
mod explain;
mod json;
mod parse;

use std::path::Path;

use clap::{Args, Subcommand};
use envward_kernel::prctl;
use envward_secret::{Backing, Vault};
use envward_source::{Dialect, EnvFile, SourceError};

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
    Parse(parse::Parse),
    Convert(convert::Convert),
}

pub(crate) fn run(arguments: Env) -> Result<u8, Failure> {
    match arguments.command {
        Command::Explain(arguments) => explain::run(arguments),
        Command::Parse(arguments) => parse::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
    }
}

/// Closes our own memory, before anything secret can be in it.
fn protect() -> Result<(), Failure> {
    prctl::set_dumpable(false).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(Failure::NEGATIVE, error)
}

fn dialect(option: &str, name: Option<&str>) -> Result<Dialect, Failure> {
    let dialect = name.map(str::parse).transpose();
    dialect.map(Option::unwrap_or_default).map_err(|error| Failure::new(Failure::USAGE, format!("{option}: {error}")))
}

/// Protected memory, and locked memory where there is no better.
fn vault() -> Result<Vault, Failure> {
    Vault::new(Backing::MemfdSecret).or_else(|_| Vault::new(Backing::Locked)).map_err(failed)
}

/// A file's names in their order, each with whether it has a value, and the values.
struct Contents {
    names: Vec<(String, bool)>,
    vault: Vault,
}

impl Contents {
    fn read(path: &Path, dialect: Dialect, allow_commands: bool) -> Result<Self, Failure> {
        let mut vault = vault()?;
        let file = EnvFile::new(path).dialect(dialect).allow_commands(allow_commands);
        match file.load_names(&mut vault) {
            Ok(names) => Ok(Self { names, vault }),
            Err(error @ SourceError::Syntax { .. }) => Err(Failure::new(Failure::REJECTED, error)),
            Err(error) => Err(failed(error)),
        }
    }

    /// The value of a name of the file.
    fn value(&self, name: &str) -> &[u8] {
        self.vault.value(name).unwrap_or_default()
    }
}
