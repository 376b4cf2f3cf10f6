//! `envward import`.

use std::path::PathBuf;

use clap::Args;
use envward_secret::{Backing, Vault};
use envward_source::{Dialect, EnvFile, Source};
use serde_json::json;

use crate::failure::Failure;

use super::{Place, code, confined, failure, print_json};

/// Set the secrets that an env file holds
///
/// A secret that has that value already gets no new version. The file stays as it is: remove it
/// when you no longer need it.
#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The dialect of the file: dotenvy (the default), dotenv, dotenv-expand, dotenvx, node, ruby,
    /// python, compose or shell
    #[arg(long, value_name = "D")]
    dialect: Option<String>,
    /// The file; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(arguments: &Import) -> Result<u8, Failure> {
    let dialect = arguments.dialect.as_deref().map(str::parse::<Dialect>).transpose();
    let dialect = dialect.map_err(|error| failure(code::USAGE, format!("--dialect: {error}")))?.unwrap_or_default();
    let located = arguments.place.locate()?;
    confined(located.backing, || {
        let path = if arguments.file.as_os_str() == "-" { "/dev/stdin".into() } else { arguments.file.clone() };
        let vault = parse(path, dialect, located.backing)?;
        let (mut set, mut same) = (Vec::new(), Vec::new());
        located.draft(|document, key, draft| {
            for entry in vault.entries() {
                let value = vault.value(entry.name).unwrap_or_default();
                match document.current(entry.name) {
                    Ok(record) if record.open(key).map_err(|error| located.say(error))? == value => {
                        same.push(entry.name);
                    }
                    _ => {
                        draft.set(entry.name, value)?;
                        set.push(entry.name);
                    }
                }
            }
            Ok(())
        })?;
        if arguments.json {
            print_json(&json!({"set": set, "unchanged": same}))?;
        } else {
            crate::output::error(format_args!("{} set, {} unchanged", set.len(), same.len()));
        }
        Ok(0)
    })
}

/// Parses an env file into protected memory.
pub(super) fn parse(path: PathBuf, dialect: Dialect, backing: Backing) -> Result<Vault, Failure> {
    let mut vault = Vault::new(backing).map_err(|error| failure(code::FILE, error))?;
    EnvFile::new(path).dialect(dialect).load(&mut vault).map_err(|error| match error {
        envward_source::SourceError::Open { .. } => failure(code::FILE, error),
        error => failure(code::INPUT, error),
    })?;
    Ok(vault)
}
