//! The next text of a store.

use std::collections::BTreeMap;

use crate::document::END;
use crate::record::{Id, New, Record, check, seal};
use crate::{Document, Key, Recipient, StoreError};

/// Versions to be added to a store; everything that is there stays as it is, byte by byte.
#[derive(Debug)]
pub struct Draft<'d, 't> {
    document: &'d Document<'t>,
    key: &'d Key,
    time: String,
    heads: Vec<Id>,
    /// By name and version.
    added: BTreeMap<(String, u32), String>,
}

impl<'d, 't> Draft<'d, 't> {
    /// No change yet; `time` is what new versions are dated with.
    #[must_use]
    pub fn new(document: &'d Document<'t>, key: &'d Key, time: String) -> Self {
        Self { document, key, time, heads: document.heads(), added: BTreeMap::new() }
    }

    /// Adds a version with a value; returns its number.
    ///
    /// # Errors
    /// [`StoreError::Name`], [`StoreError::Value`], [`StoreError::Random`].
    pub fn set(&mut self, name: &str, value: &[u8]) -> Result<u32, StoreError> {
        check(name, value)?;
        self.add(name, Some(value))
    }

    /// Adds a version that says that the secret was removed; returns its number.
    ///
    /// # Errors
    /// [`StoreError::Random`].
    pub fn remove(&mut self, name: &str) -> Result<u32, StoreError> {
        self.add(name, None)
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
    }

    fn add(&mut self, name: &str, value: Option<&[u8]>) -> Result<u32, StoreError> {
        let newest = self.document.versions(name).last().map_or(0, |record| record.version);
        let added = self.added.range((name.to_owned(), 0)..=(name.to_owned(), u32::MAX)).next_back();
        let version = added.map_or(newest, |((_, version), _)| *version) + 1;
        let new = New { name, version, time: &self.time, value };
        let (line, id) = seal(self.key, new, &self.heads)?;
        self.heads = vec![id];
        self.added.insert((name.to_owned(), version), line);
        Ok(version)
    }

    /// The whole text, and the same recipients.
    #[must_use]
    pub fn text(&self) -> String {
        self.text_behind(&[self.document.header, self.document.block].concat())
    }

    /// The whole text, with the key wrapped to other recipients.
    ///
    /// # Errors
    /// [`StoreError::Recipient`].
    pub fn text_for(&self, recipients: &[Recipient]) -> Result<String, StoreError> {
        Ok(self.text_behind(&self.key.wrap(recipients)?))
    }

    fn text_behind(&self, head: &str) -> String {
        let old = self.document.records.iter().map(|record| ((record.name, record.version), record.line));
        let new = self.added.iter().map(|((name, version), line)| ((name.as_str(), *version), line.as_str()));
        let mut lines: Vec<_> = old.chain(new).collect();
        lines.sort_unstable();
        assemble(head, lines.into_iter().map(|(_, line)| line))
    }
}

/// The text of a new store without secrets.
///
/// # Errors
/// [`StoreError::Recipient`].
pub fn empty(key: &Key, recipients: &[Recipient]) -> Result<String, StoreError> {
    Ok(assemble(&key.wrap(recipients)?, []))
}

/// The text of a store in which everything that `keep` accepts is sealed with a new key.
///
/// # Errors
/// [`StoreError::Forged`], [`StoreError::Recipient`], [`StoreError::Random`].
pub fn reseal(
    document: &Document<'_>,
    old: &Key,
    new: &Key,
    recipients: &[Recipient],
    keep: impl Fn(&Record<'_>) -> bool,
) -> Result<String, StoreError> {
    let mut lines = Vec::new();
    let mut parents = Vec::new();
    for record in document.records.iter().filter(|record| keep(record)) {
        let value = record.open(old)?;
        let value = (!record.is_removal).then_some(value.as_slice());
        let (line, id) =
            seal(new, New { name: record.name, version: record.version, time: record.time, value }, &parents)?;
        parents = vec![id];
        lines.push(line);
    }
    Ok(assemble(&new.wrap(recipients)?, lines.iter().map(String::as_str)))
}

fn assemble<'l>(head: &str, lines: impl IntoIterator<Item = &'l str>) -> String {
    let mut text = head.to_owned();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(END);
    text.push('\n');
    text
}
