//! `envward set`.

use std::ffi::OsString;
use std::io::{IsTerminal, Read};

use clap::Args;
use envward_store::generate::Rule;
use envward_store::record::{self, MAX_VALUE};
use serde_json::json;

use crate::failure::Failure;
use crate::output;

use super::{Place, code, confined, failure, print_json, prompt};

/// Set a secret: from a prompt, from standard input, or generated
///
/// The value is asked for at the terminal, or read from standard input when that is none (one
/// line break at its end is not part of it). It is never an argument: everybody who lists
/// processes sees those.
#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(flatten)]
    place: Place,
    /// Make up the value: hex:32, base64:32, base64url:32, uuid, digits:6, letters:24, alnum:24,
    /// ascii:24 or chars:24:CHARACTERS
    #[arg(long, value_name = "RULE", conflicts_with = "stdin")]
    generate: Option<String>,
    /// Read the value from standard input even if that is a terminal
    #[arg(long)]
    stdin: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The name of the secret
    #[arg(value_name = "NAME")]
    name: OsString,
    /// Anything more is refused
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

pub(super) fn run(arguments: &Set) -> Result<u8, Failure> {
    let name = name(arguments)?;
    let rule = match &arguments.generate {
        None => None,
        Some(rule) => {
            let rule: Rule = rule.parse().map_err(|error| failure(code::USAGE, format!("--generate: {error}")))?;
            Some(rule)
        }
    };
    let located = arguments.place.locate()?;
    confined(located.backing, || {
        let value = match &rule {
            Some(rule) => rule.make()?.into_bytes(),
            None if arguments.stdin || !std::io::stdin().is_terminal() => read_value()?,
            None => prompt::secret(&format!("Value of {name}: "))
                .ok_or_else(|| failure(code::INPUT, "no value was given").hint("give it on standard input"))?
                .into_bytes(),
        };
        record::check(name, &value)?;
        let version = located.draft(|_, _, draft| Ok(draft.set(name, &value)?))?;
        if arguments.json {
            print_json(&json!({"name": name, "version": version}))?;
        } else if std::io::stderr().is_terminal() {
            output::error(format_args!("{name} is set (version {version})"));
        }
        Ok(0)
    })
}

/// The name, if it is one; nothing of what may be a value is ever shown.
fn name(arguments: &Set) -> Result<&str, Failure> {
    let name = arguments.name.to_str().unwrap_or("=");
    if name.contains('=') || !arguments.rest.is_empty() {
        return Err(failure(
            code::USAGE,
            "a value is no argument: everybody who lists processes can see it, and the shell's history keeps it",
        )
        .hint("change it where it comes from, and write `envward set NAME`: it asks, or reads standard input"));
    }
    super::check_name(name)
}

/// Standard input to its end, without one line break there.
fn read_value() -> Result<Vec<u8>, Failure> {
    let mut value = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_VALUE as u64 + 3)
        .read_to_end(&mut value)
        .map_err(|error| failure(code::INPUT, format!("cannot read standard input: {error}")))?;
    if value.last() == Some(&b'\n') {
        value.pop();
        if value.last() == Some(&b'\r') {
            value.pop();
        }
    }
    Ok(value)
}
