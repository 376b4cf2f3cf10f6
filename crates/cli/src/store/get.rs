//! `envward get`.

use clap::Args;
use serde_json::json;

use crate::failure::Failure;

use super::{Place, check_name, confined, print, print_json, require_reveal};

/// Print the value of a secret, and a line break
///
/// At a terminal only with --reveal.
#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    place: Place,
    /// Print it even if standard output is a terminal
    #[arg(long)]
    reveal: bool,
    /// An older version, as `envward history` shows it
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Print the value without the line break
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The name of the secret
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) fn run(arguments: &Get) -> Result<u8, Failure> {
    let name = check_name(&arguments.name)?;
    require_reveal(arguments.reveal, "the value")?;
    let located = arguments.place.locate()?;
    confined(located.backing, || {
        located.with_key(|document, key| {
            let record = match &arguments.version {
                Some(version) => document.version(name, version),
                None => document.current(name),
            }
            .map_err(|error| located.say(error))?;
            let mut value = record.open(key).map_err(|error| located.say(error))?;
            if arguments.json {
                let text = String::from_utf8_lossy(&value);
                return print_json(&json!({"name": name, "version": record.version, "value": text}));
            }
            if !arguments.raw {
                value.push(b'\n');
            }
            print(&value)
        })?;
        Ok(0)
    })
}
