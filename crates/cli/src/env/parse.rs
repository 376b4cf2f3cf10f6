//! `envward env parse`.

use std::path::PathBuf;

use clap::Args;
use envward_secret::{ReadError, SecretBuf};

use super::{Contents, dialect, failed, json, protect};
use crate::failure::Failure;
use crate::output;

/// How much is written at most, in bytes.
const MAX_OUTPUT: usize = 64 * 1024 * 1024;

/// Show the variables of an env file, without their values unless --reveal
///
/// Names stand in the order of the file; of several lines with one name the last counts.
/// Exit status: 0, 1 when the file cannot be read, 2 for a wrong command line, 3 when the
/// dialect rejects the file.
#[derive(Debug, Args)]
pub(crate) struct Parse {
    /// The dialect: dotenvy (the default), dotenv, dotenv-expand, dotenvx, node, ruby, python,
    /// compose or shell
    #[arg(long, value_name = "DIALECT")]
    dialect: Option<String>,
    /// Print one JSON object, of names and values; a value is null without --reveal
    #[arg(long)]
    json: bool,
    /// Show the values
    #[arg(long)]
    reveal: bool,
    /// Run what stands in $(…), without a shell; it is an error otherwise
    #[arg(long)]
    allow_commands: bool,
    /// The env file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(crate) fn run(arguments: &Parse) -> Result<u8, Failure> {
    protect()?;
    let dialect = dialect("--dialect", arguments.dialect.as_deref())?;
    let contents = Contents::read(&arguments.file, dialect, arguments.allow_commands)?;
    let mut text = SecretBuf::new(contents.vault.backing(), MAX_OUTPUT).map_err(failed)?;
    let written = if arguments.json {
        object(&contents, arguments.reveal, &mut text)
    } else {
        table(&contents, arguments.reveal, &mut text)
    };
    written.map_err(failed)?;
    output::bytes(text.as_slice()).map_err(|error| failed(format!("cannot write: {error}")))?;
    Ok(0)
}

fn object(contents: &Contents, reveal: bool, out: &mut SecretBuf) -> Result<(), ReadError> {
    out.push(b"{")?;
    for (index, (name, has_value)) in contents.names.iter().enumerate() {
        if index > 0 {
            out.push(b",")?;
        }
        json::string(name.as_bytes(), out)?;
        out.push(b":")?;
        if reveal && *has_value {
            json::string(contents.value(name), out)?;
        } else {
            out.push(b"null")?;
        }
    }
    out.push(b"}\n")
}

fn table(contents: &Contents, reveal: bool, out: &mut SecretBuf) -> Result<(), ReadError> {
    let shown: Vec<_> = contents.names.iter().map(|(name, _)| name.escape_debug().to_string()).collect();
    let width = shown.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    for (name, (key, has_value)) in shown.iter().zip(&contents.names) {
        let pad = " ".repeat(width - name.chars().count());
        out.push(name.as_bytes())?;
        match (reveal, has_value) {
            (_, false) => {
                out.push(pad.as_bytes())?;
                out.push(b"  (no value)")?;
            }
            (true, true) => {
                out.push(pad.as_bytes())?;
                out.push(b"  ")?;
                json::string(contents.value(key), out)?;
            }
            (false, true) => {
                let origin = contents.vault.entries().find(|entry| entry.name == key).map(|entry| entry.origin);
                if let Some(origin) = origin {
                    out.push(pad.as_bytes())?;
                    out.push(b"  ")?;
                    out.push(origin.as_bytes())?;
                }
            }
        }
        out.push(b"\n")?;
    }
    Ok(())
}
