//! `envward list`.

use clap::Args;
use envward_store::State;
use serde_json::json;

use crate::failure::Failure;

use super::{Place, confined, print, print_json};

/// List the secrets: names, versions and when they were set, never values
///
/// Takes no identity: names are not secret.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    place: Place,
    /// Removed secrets too
    #[arg(long)]
    all: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &List) -> Result<u8, Failure> {
    let located = arguments.place.locate()?;
    confined(located.backing, || {
        let text = located.text()?;
        let document = located.document(&text)?;
        let mut rows = Vec::new();
        for (name, state) in document.states() {
            let (record, what) = match state {
                State::Present(record) => (record, "set"),
                State::Removed(record) => (record, "removed"),
                State::Conflict(_, record) => (record, "conflict"),
            };
            if what != "removed" || arguments.all {
                rows.push((name, record, what));
            }
        }
        if arguments.json {
            let secrets: Vec<_> = rows
                .iter()
                .map(|(name, record, what)| {
                    json!({"name": name, "version": record.version, "time": record.time, "state": what})
                })
                .collect();
            print_json(&json!({"secrets": secrets}))?;
            return Ok(0);
        }
        let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        let mut out = String::new();
        for (name, record, what) in rows {
            out.push_str(&format!("{name:width$}  {:>3}  {}", record.version, record.time));
            if what != "set" {
                out.push_str(&format!("  {what}"));
            }
            out.push('\n');
        }
        print(out.as_bytes())?;
        Ok(0)
    })
}
