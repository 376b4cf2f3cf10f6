//! `envward run --redact`: secrets in what the program writes are replaced by a marker.
//!
//! Relays, processes of ours, stand between the program and where its output goes. See
//! docs/redaction.md for what they find, and what they cannot.

mod relay;
mod streams;

use envward_secret::Vault;

use crate::failure::Failure;
use crate::output;

pub(crate) use self::streams::Streams;

/// Puts relays between the program that is to be started and where its output goes.
pub(crate) fn begin(vault: &Vault, quiet: bool) -> Result<Streams, Failure> {
    if !quiet {
        announce(vault);
    }
    Streams::redirect(vault)
}

/// Says which secrets will not be found.
fn announce(vault: &Vault) {
    for entry in vault.entries() {
        if let Some(reason) = vault.value(entry.name).and_then(envward_redact::unsuitable) {
            output::error(format_args!("the value of {} is not redacted: {reason}", entry.name));
        }
    }
}
