//! `envward rotate-keys`.

use clap::Args;
use envward_store::recipient::WORK_FACTOR;
use envward_store::{Key, Recipient, draft};
use serde_json::json;

use crate::failure::Failure;
use crate::output;

use super::recipients::same;
use super::{Place, confined, print_json, prompt};

/// Encrypt everything anew, with a new key, to the same recipients
///
/// Older copies of the file stay readable with the old key: where somebody may have it, change
/// the values too.
#[derive(Debug, Args)]
pub(crate) struct RotateKeys {
    #[command(flatten)]
    place: Place,
    /// Ask for a new passphrase, for a store that has one
    #[arg(long)]
    new_passphrase: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &RotateKeys) -> Result<u8, Failure> {
    let located = arguments.place.locate()?;
    confined(located.backing, || {
        let versions = located.change(|document, key| {
            let recipients = if arguments.new_passphrase && document.recipients() == [Recipient::PASSPHRASE] {
                vec![Recipient::passphrase(prompt::new_passphrase()?, WORK_FACTOR)]
            } else {
                same(&located, document)?
            };
            let text = draft::reseal(document, key, &Key::generate()?, &recipients, |_| true)
                .map_err(|error| located.say(error))?;
            Ok((document.records().len(), Some(text)))
        })?;
        output::error("copies of the file that were made before (git history, backups) can be opened with the old key");
        if arguments.json {
            print_json(&json!({"versions": versions}))?;
        }
        Ok(0)
    })
}
