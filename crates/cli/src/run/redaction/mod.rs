//! `envward run --redact`: secrets in what the program writes are replaced by a marker.
//!
//! Relays, processes of ours, stand between the program and where its output goes. See
//! docs/redaction.md for what they find, and what they cannot.

mod front;
mod monitor;
mod relay;
mod streams;
mod terminal;

use envward_secret::Vault;

use crate::failure::Failure;
use crate::output;

pub(crate) use self::streams::Streams;

/// Runs `program`, which starts the program and ends as it did, with relays between it and
/// where its output goes.
pub(crate) fn run(
    mut vault: Vault,
    quiet: bool,
    program: impl FnOnce(Vault, Option<Streams>) -> Result<u8, Failure>,
) -> Result<u8, Failure> {
    if !quiet {
        announce(&vault);
    }
    vault.give_up_spare();
    if !terminal::is_interactive() {
        let streams = Streams::redirect(&vault)?;
        return program(vault, Some(streams));
    }
    terminal::run(vault, |vault| match program(vault, None) {
        Ok(code) => code,
        Err(failure) => {
            output::error(&failure);
            failure.code
        }
    })
}

/// Says which secrets will not be found.
fn announce(vault: &Vault) {
    for entry in vault.entries() {
        if let Some(reason) = vault.value(entry.name).and_then(envward_redact::unsuitable) {
            output::error(format_args!("the value of {} is not redacted: {reason}", entry.name));
        }
    }
}
