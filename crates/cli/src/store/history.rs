//! `envward history` and `envward revert`.

use clap::Args;
use envward_store::StoreError;
use serde_json::json;

use crate::failure::Failure;

use super::{Place, check_name, confined, print, print_json};

/// Show the versions of a secret, without the values
#[derive(Debug, Args)]
pub(crate) struct History {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The name of the secret
    #[arg(value_name = "NAME")]
    name: String,
}

/// Make an older version of a secret the newest again
///
/// That is a new version with the old value; nothing is lost by it.
#[derive(Debug, Args)]
pub(crate) struct Revert {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The name of the secret
    #[arg(value_name = "NAME")]
    name: String,
    /// The version: its number, or what `envward history` shows where two have that number
    #[arg(value_name = "VERSION")]
    version: String,
}

pub(super) fn run(arguments: &History) -> Result<u8, Failure> {
    let name = check_name(&arguments.name)?;
    let located = arguments.place.locate()?;
    confined(located.backing, || {
        let text = located.text()?;
        let document = located.document(&text)?;
        let versions: Vec<_> = document.versions(name).collect();
        if versions.is_empty() {
            return Err(located.say(StoreError::NoSecret(name.to_owned())));
        }
        let what = |removal| if removal { "removed" } else { "set" };
        if arguments.json {
            let versions: Vec<_> = versions
                .iter()
                .map(|record| {
                    json!({
                        "version": record.version,
                        "label": record.label(),
                        "time": record.time,
                        "state": what(record.is_removal),
                    })
                })
                .collect();
            print_json(&json!({"name": name, "versions": versions}))?;
            return Ok(0);
        }
        let mut out = String::new();
        for record in &versions {
            let twins = versions.iter().filter(|other| other.version == record.version).count();
            let label = if twins > 1 { record.label() } else { record.version.to_string() };
            out.push_str(&format!("{label:>3}  {}  {}\n", record.time, what(record.is_removal)));
        }
        print(out.as_bytes())?;
        Ok(0)
    })
}

pub(super) fn revert(arguments: &Revert) -> Result<u8, Failure> {
    let name = check_name(&arguments.name)?;
    let located = arguments.place.locate()?;
    confined(located.backing, || {
        let version = located.draft(|document, key, draft| {
            let record = document.version(name, &arguments.version).map_err(|error| located.say(error))?;
            let value = record.open(key).map_err(|error| located.say(error))?;
            Ok(if record.is_removal { draft.remove(name)? } else { draft.set(name, &value)? })
        })?;
        if arguments.json {
            print_json(&json!({"name": name, "version": version}))?;
        }
        Ok(0)
    })
}
