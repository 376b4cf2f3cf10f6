//! The store as a source of `envward run`.

use std::path::PathBuf;

use envward_policy::config::StoreSection;
use envward_secret::confined::Exchange;
use envward_secret::{Backing, Vault};

use crate::failure::Failure;

use super::guarded;
use super::place::{Located, STORE_FILE, identities};

/// The store that a configuration file names.
fn configured(section: &StoreSection, backing: Backing) -> Located {
    let section = section.clone();
    let store = section.path.unwrap_or_else(|| PathBuf::from(STORE_FILE));
    Located { store, identities: identities(section.identity), passphrase_file: None, backing }
}

/// What the child says first.
const DONE: u8 = 1;
const FAILED: u8 = 2;
/// Room for a message where there are no values.
const MESSAGE: usize = 4000;

/// Puts the secrets of a store into the vault. A confined child opens the store and writes the
/// values to memory that it shares with this process; then it is gone.
pub(crate) fn load(section: Option<&StoreSection>, vault: &mut Vault) -> Result<(), Failure> {
    let Some(section) = section else { return Ok(()) };
    let located = configured(section, vault.backing());
    let own = |failure: Failure| failure.with_code(Failure::OWN);
    // Only what is encrypted; a line is longer than the entry that it becomes.
    let text = located.text().map_err(own)?;
    let mut exchange = Exchange::new(1 + MESSAGE + text.len(), located.backing)
        .map_err(|error| Failure::own(format!("no memory for the secrets of the store: {error}")))?;
    let shared = exchange.as_mut_slice();
    guarded(located.backing, &mut || {
        let (state, rest) = shared.split_at_mut(1);
        state[0] = match deliver(&located, &text, rest) {
            Ok(()) => DONE,
            Err(failure) => {
                // Messages hold names and places only.
                write(rest, 0, failure.to_string().as_bytes());
                FAILED
            }
        };
        0
    })
    .map_err(own)?;
    let mut entries = Entries(&exchange.as_slice()[1..]);
    match exchange.as_slice()[0] {
        DONE => {}
        FAILED => {
            let text = String::from_utf8_lossy(entries.field().unwrap_or_default());
            let (message, hint) = text.split_once("\n  hint: ").map_or((&*text, None), |(m, h)| (m, Some(h)));
            return Err(Failure::own(message).hint_if(hint));
        }
        _ => return Err(Failure::own("the process that opens the store said nothing")),
    }
    let origin = located.store.display().to_string();
    // A name, `=`, a value and NUL take less than the two with their lengths.
    vault.make_room(Entries(entries.0).len()).map_err(Failure::own)?;
    while let Some(name) = entries.field().filter(|name| !name.is_empty()) {
        let name = String::from_utf8_lossy(name);
        let value = entries.field().unwrap_or_default();
        vault.insert(&name, &origin, value).map_err(Failure::own)?;
    }
    Ok(())
}

/// Opens the store and writes names and values.
fn deliver(located: &Located, text: &[u8], mut to: &mut [u8]) -> Result<(), Failure> {
    let document = located.document(text)?;
    let key = located.key(&document, &located.identities(document.recipients())?)?;
    for record in document.all_current().map_err(|error| located.say(error))? {
        let value = record.open(&key).map_err(|error| located.say(error))?;
        let used = write(to, 0, record.name.as_bytes());
        let used = write(to, used, &value);
        to = &mut to[used..];
    }
    Ok(())
}

/// Writes a length and bytes at `at`; returns where they end. A name is never empty, so a length
/// of 0 where one would be is the end.
fn write(to: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let len = bytes.len().min(to.len().saturating_sub(at + 4));
    let end = at + 4 + len;
    if let (Some(place), Ok(number)) = (to.get_mut(at..end), u32::try_from(len)) {
        place[..4].copy_from_slice(&number.to_le_bytes());
        place[4..].copy_from_slice(&bytes[..len]);
    }
    end.min(to.len())
}

/// What `write` wrote.
struct Entries<'m>(&'m [u8]);

impl<'m> Entries<'m> {
    /// How long all of them are, with their lengths.
    fn len(mut self) -> usize {
        let before = self.0.len();
        while self.field().is_some_and(|name| !name.is_empty()) {
            self.field();
        }
        before - self.0.len()
    }

    fn field(&mut self) -> Option<&'m [u8]> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*number)).ok()?;
        let (field, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some(field)
    }
}
