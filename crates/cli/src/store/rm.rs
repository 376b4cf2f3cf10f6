//! `envward rm`.

use clap::Args;
use envward_store::{Key, draft};
use serde_json::json;

use crate::failure::Failure;
use crate::output;

use super::recipients::same;
use super::{Place, check_name, confined, print_json};

/// Remove secrets
///
/// The removal is a new version: older ones stay in the store and can be brought back with
/// `envward revert`. With --purge all versions are taken out of the file, which is encrypted anew;
/// git history and other copies still have them.
#[derive(Debug, Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    place: Place,
    /// Take all versions out of the file
    #[arg(long)]
    purge: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The names of the secrets
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

pub(super) fn run(arguments: &Rm) -> Result<u8, Failure> {
    for name in &arguments.names {
        check_name(name)?;
    }
    let located = arguments.place.locate()?;
    confined(located.backing, || {
        located.change(|document, key| {
            let names = &arguments.names;
            if arguments.purge {
                for name in names {
                    if document.versions(name).next().is_none() {
                        return Err(located.say(envward_store::StoreError::NoSecret(name.clone())));
                    }
                }
                let recipients = same(&located, document)?;
                let keep = |record: &envward_store::record::Record<'_>| !names.iter().any(|name| name == record.name);
                let text = draft::reseal(document, key, &Key::generate()?, &recipients, keep)
                    .map_err(|error| located.say(error))?;
                return Ok(((), Some(text)));
            }
            let mut draft = envward_store::Draft::new(document, key, envward_store::now());
            for name in names {
                document.current(name).map_err(|error| located.say(error))?;
                draft.remove(name)?;
            }
            Ok(((), Some(draft.text())))
        })?;
        if arguments.purge {
            output::error("copies of the file that were made before (git history, backups) still have the values");
        }
        if arguments.json {
            print_json(&json!({"removed": arguments.names, "purged": arguments.purge}))?;
        }
        Ok(0)
    })
}
