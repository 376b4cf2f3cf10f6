//! `envward recipients`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use envward_store::recipient::{WORK_FACTOR, key_of};
use envward_store::{Document, Draft, Key, Recipient, draft, now};
use serde_json::json;

use crate::failure::Failure;
use crate::output;

use super::place::Located;
use super::{Place, code, confined, failure, print, print_json};

/// Show, add or remove who can open the store
#[derive(Debug, Args)]
pub(crate) struct Recipients {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    change: Option<Change>,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Add recipients: age1…, ssh-ed25519 … or ssh-rsa …; they can read everything, old versions too
    Add {
        /// The keys, each in quotes with its comment if it has one
        #[arg(value_name = "KEY", required_unless_present = "file")]
        keys: Vec<String>,
        /// A file with one key in each line, such as ~/.ssh/id_ed25519.pub
        #[arg(long, value_name = "FILE")]
        file: Vec<PathBuf>,
    },
    /// Remove recipients, and encrypt everything anew with a new key
    Remove {
        /// The keys, as `envward recipients` shows them; the comment may be left out
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
}

pub(super) fn run(arguments: &Recipients) -> Result<u8, Failure> {
    let located = arguments.place.locate()?;
    confined(located.backing, || {
        match &arguments.change {
            None => {}
            Some(Change::Add { keys, file }) => add(&located, &given(keys, file)?)?,
            Some(Change::Remove { keys }) => {
                remove(&located, keys)?;
                output::error(
                    "who was removed can still open older copies of the file (git history, backups): change the values \
                     that they must not know",
                );
            }
        }
        let text = located.text()?;
        let document = located.document(&text)?;
        if arguments.json {
            print_json(&json!({"recipients": document.recipients()}))?;
        } else {
            print(document.recipients().iter().map(|text| format!("{text}\n")).collect::<String>().as_bytes())?;
        }
        Ok(0)
    })
}

fn given(keys: &[String], files: &[PathBuf]) -> Result<Vec<Recipient>, Failure> {
    let mut recipients = Vec::new();
    for key in keys {
        recipients.push(Recipient::parse(key)?);
    }
    for path in files {
        let text = std::fs::read_to_string(path)
            .map_err(|error| failure(code::FILE, format!("cannot read {}: {error}", path.display())))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            recipients.push(Recipient::parse(line).map_err(|error| Failure::from(error).within(path.display()))?);
        }
    }
    Ok(recipients)
}

/// The recipients of a store, to encrypt to them again.
pub(super) fn same(located: &Located, document: &Document<'_>) -> Result<Vec<Recipient>, Failure> {
    if document.recipients() == [Recipient::PASSPHRASE] {
        return Ok(vec![Recipient::passphrase(located.passphrase()?, WORK_FACTOR)]);
    }
    document.recipients().iter().map(|text| Recipient::parse(text).map_err(|error| located.say(error))).collect()
}

fn add(located: &Located, new: &[Recipient]) -> Result<(), Failure> {
    located.change(|document, key| {
        if document.recipients() == [Recipient::PASSPHRASE] {
            return Err(failure(code::INPUT, "a store with a passphrase has no other recipients")
                .hint("make one with an identity, and `envward import` what `envward export` gives"));
        }
        let mut recipients = same(located, document)?;
        for recipient in new {
            if !recipients.iter().any(|known| known.key() == recipient.key()) {
                recipients.push(Recipient::parse(recipient.text())?);
            }
        }
        Ok(((), Some(Draft::new(document, key, now()).text_for(&recipients)?)))
    })
}

fn remove(located: &Located, keys: &[String]) -> Result<(), Failure> {
    located.change(|document, key| {
        for key in keys {
            if !document.recipients().iter().any(|known| key_of(known) == key_of(key.trim())) {
                return Err(failure(code::ABSENT, "there is no such recipient").hint("`envward recipients` shows them"));
            }
        }
        let mut recipients = same(located, document)?;
        recipients.retain(|known| !keys.iter().any(|key| key_of(key.trim()) == known.key()));
        if recipients.is_empty() {
            return Err(failure(code::INPUT, "nobody could open the store any more"));
        }
        let text = draft::reseal(document, key, &Key::generate()?, &recipients, |_| true)
            .map_err(|error| located.say(error))?;
        Ok(((), Some(text)))
    })
}
