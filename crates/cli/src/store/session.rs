//! A store that is open: only in confined processes.

use std::path::Path;

use envward_store::file::{self, Locked};
use envward_store::{Document, Draft, Identities, Key, Recipient, StoreError, now};

use crate::failure::Failure;

use super::place::Located;
use super::{code, failure, prompt};

impl Located {
    /// The text, as it is now.
    pub(super) fn text(&self) -> Result<Vec<u8>, Failure> {
        file::read(&self.store).map_err(|error| match &error {
            StoreError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Failure::from(error).hint("make it with `envward init`, or name it with --store")
            }
            _ => error.into(),
        })
    }

    /// Parses a text, with its name before what is wrong.
    pub(super) fn document<'t>(&self, text: &'t [u8]) -> Result<Document<'t>, Failure> {
        Document::parse(text).map_err(|error| self.say(error))
    }

    /// An error with the store's name before it.
    pub(super) fn say(&self, error: StoreError) -> Failure {
        Failure::from(error).within(self.store.display())
    }

    /// What opens a store with these recipients: files are read, and a passphrase asked for.
    pub(super) fn identities(&self, recipients: &[&str]) -> Result<Identities, Failure> {
        if recipients == [Recipient::PASSPHRASE] {
            return Ok(Identities::passphrase(self.passphrase()?));
        }
        let mut identities = Identities::default();
        for path in &self.identities {
            let text = read_identity(path)?;
            identities.add(&text, path, prompt::secret)?;
        }
        Ok(identities)
    }

    /// The passphrase of the store.
    pub(super) fn passphrase(&self) -> Result<String, Failure> {
        match &self.passphrase_file {
            Some(path) => first_line(path),
            None => prompt::secret(&format!("Passphrase of {}: ", self.store.display())).ok_or_else(|| {
                Failure::from(StoreError::NoPassphrase).hint("run it at a terminal, or use --passphrase-file")
            }),
        }
    }

    /// Opens a document.
    pub(super) fn key(&self, document: &Document<'_>, identities: &Identities) -> Result<Key, Failure> {
        Key::unwrap(document, identities).map_err(|error| self.say(error))
    }

    /// Opens the store for reading.
    pub(super) fn with_key<T>(
        &self,
        read: impl FnOnce(&Document<'_>, &Key) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let text = self.text()?;
        let document = self.document(&text)?;
        let identities = self.identities(document.recipients())?;
        let key = self.key(&document, &identities)?;
        read(&document, &key)
    }

    /// Opens the store while no other process changes it, and replaces it by the text that
    /// `change` makes, if any.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&Document<'_>, &Key) -> Result<(T, Option<String>), Failure>,
    ) -> Result<T, Failure> {
        // Asking may take a while: before the lock.
        let text = self.text()?;
        let identities = self.identities(self.document(&text)?.recipients())?;
        let locked = Locked::acquire(&self.store)?;
        let text = locked.text().to_vec();
        let document = self.document(&text)?;
        let key = self.key(&document, &identities)?;
        self.check(&document, &key)?;
        let (result, text) = change(&document, &key)?;
        if let Some(text) = text {
            locked.replace(text.as_bytes())?;
        }
        Ok(result)
    }

    /// Opens every line: nothing is written on top of what somebody else has put there.
    pub(super) fn check(&self, document: &Document<'_>, key: &Key) -> Result<(), Failure> {
        document.records().iter().try_for_each(|record| record.open(key).map(drop).map_err(|error| self.say(error)))
    }

    /// Adds versions.
    pub(super) fn draft<T>(
        &self,
        add: impl FnOnce(&Document<'_>, &Key, &mut Draft<'_, '_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.change(|document, key| {
            let mut draft = Draft::new(document, key, now());
            let result = add(document, key, &mut draft)?;
            let text = (!draft.is_empty()).then(|| draft.text());
            Ok((result, text))
        })
    }
}

/// The text of a file with an identity.
pub(super) fn read_identity(path: &Path) -> Result<String, Failure> {
    let text = file::read(path).map_err(|error| {
        let missing =
            matches!(&error, StoreError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound);
        let failure = failure(code::LOCKED, &error);
        if missing {
            failure.hint("make an identity with `envward init`, or name yours with --identity")
        } else {
            failure
        }
    })?;
    String::from_utf8(text).map_err(|_| failure(code::LOCKED, format!("{}: not text", path.display())))
}

/// The first line of a file.
pub(super) fn first_line(path: &Path) -> Result<String, Failure> {
    let text = read_identity(path)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
