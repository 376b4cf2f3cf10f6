//! The text of a store, parsed and checked as far as that is possible without its key.
//!
//! ```text
//! envward-store 1
//! recipient age1…
//! -----BEGIN AGE ENCRYPTED FILE-----
//! …
//! -----END AGE ENCRYPTED FILE-----
//! secret NAME VERSION TIME PARENTS SEALED
//! end
//! ```

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use crate::StoreError;
use crate::record::{Id, Record};

pub(crate) const MAGIC: &str = "envward-store 1";
pub(crate) const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
pub(crate) const FINISH: &str = "-----END AGE ENCRYPTED FILE-----";
pub(crate) const END: &str = "end";
/// Characters in a line of the key block.
pub(crate) const COLUMNS: usize = 64;

/// A store whose lines are well-formed and complete. Nothing says yet who wrote them.
#[derive(Debug)]
pub struct Document<'t> {
    /// From the first line to the last recipient, with its line break.
    pub(crate) header: &'t str,
    /// What follows `recipient ` on each such line.
    pub(crate) recipients: Vec<&'t str>,
    /// The key block with its line breaks.
    pub(crate) block: &'t str,
    /// The same, decoded: an age file.
    pub(crate) wrapped: Vec<u8>,
    /// By name and version.
    pub(crate) records: Vec<Record<'t>>,
}

/// What a secret's newest version says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State<'d, 't> {
    /// It has a value.
    Present(&'d Record<'t>),
    /// It was removed.
    Removed(&'d Record<'t>),
    /// Two branches that were merged have each set it.
    Conflict(&'d Record<'t>, &'d Record<'t>),
}

impl<'t> Document<'t> {
    /// Parses a text and checks that no line is missing that others refer to.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Missing`], [`StoreError::Gap`].
    pub fn parse(text: &'t [u8]) -> Result<Self, StoreError> {
        let mut reader = Reader::new(text)?;
        if reader.next()? != MAGIC {
            return reader.fail("not a store of this version; it begins with `envward-store 1`");
        }
        let mut recipients = Vec::new();
        let mut line = reader.next()?;
        while let Some(recipient) = line.strip_prefix("recipient ") {
            recipients.push(recipient);
            line = reader.next()?;
        }
        if recipients.is_empty() {
            return reader.fail("`recipient` was expected");
        }
        if line != BEGIN {
            return reader.fail("`recipient` or the beginning of the key block was expected");
        }
        let header = &reader.text[..reader.start];
        let mut encoded = String::new();
        let mut is_last = false;
        loop {
            line = reader.next()?;
            if line == FINISH {
                break;
            }
            if is_last || line.len() > COLUMNS {
                return reader.fail("a line of the key block has the wrong length");
            }
            is_last = line.len() < COLUMNS;
            encoded.push_str(line);
        }
        let Ok(wrapped) = STANDARD.decode(&encoded) else {
            return reader.fail("the key block is not base64");
        };
        let block = &reader.text[header.len()..reader.next];
        // Grown step by step, it would touch twice as much memory, which is dear where it is
        // protected.
        let rest = &reader.text[reader.next..];
        let mut records = Vec::with_capacity(rest.bytes().filter(|byte| *byte == b'\n').count());
        loop {
            line = reader.next()?;
            if line == END {
                break;
            }
            match Record::parse(line) {
                Ok(record) => records.push(record),
                Err(problem) => return reader.fail(problem),
            }
        }
        if reader.next != reader.text.len() {
            reader.line += 1;
            return reader.fail("there is something behind the end");
        }
        // A line that both sides of a merge have added is one line.
        records.sort_unstable_by(|a, b| (a.name, a.version, a.line).cmp(&(b.name, b.version, b.line)));
        records.dedup_by(|a, b| a.line == b.line);
        let document = Self { header, recipients, block, wrapped, records };
        document.check_versions()?;
        document.check_parents()?;
        Ok(document)
    }

    /// Versions of a name go from 1 up without a gap.
    fn check_versions(&self) -> Result<(), StoreError> {
        let mut before: Option<&Record<'_>> = None;
        for record in &self.records {
            let known = before.filter(|before| before.name == record.name).map_or(0, |before| before.version);
            if record.version > known + 1 {
                return Err(StoreError::Gap { name: record.name.to_owned(), version: known + 1 });
            }
            before = Some(record);
        }
        Ok(())
    }

    fn check_parents(&self) -> Result<(), StoreError> {
        let mut ids: Vec<Id> = self.records.iter().map(|record| record.id).collect();
        ids.sort_unstable();
        for record in &self.records {
            for parent in record.parents() {
                if parent.is_none_or(|parent| ids.binary_search(&parent).is_err()) {
                    return Err(StoreError::Missing { name: record.name.to_owned(), version: record.version });
                }
            }
        }
        Ok(())
    }

    /// The lines that no other line refers to: what the next one has to refer to.
    pub(crate) fn heads(&self) -> Vec<Id> {
        let mut referred: Vec<Id> = self.records.iter().flat_map(|record| record.parents().flatten()).collect();
        referred.sort_unstable();
        let mut heads: Vec<Id> = self.records.iter().map(|record| record.id).collect();
        heads.retain(|id| referred.binary_search(id).is_err());
        heads.sort_unstable();
        heads
    }

    /// What the key block is bound to.
    pub(crate) fn header_digest(&self) -> [u8; 32] {
        Sha256::digest(self.header.as_bytes()).into()
    }

    /// The recipients, as they are written.
    #[must_use]
    pub fn recipients(&self) -> &[&'t str] {
        &self.recipients
    }

    /// All versions of all secrets, by name and version.
    #[must_use]
    pub fn records(&self) -> &[Record<'t>] {
        &self.records
    }

    /// All versions of one secret, oldest first.
    pub fn versions<'d>(&'d self, name: &str) -> impl Iterator<Item = &'d Record<'t>> {
        let from = self.records.partition_point(|record| record.name < name);
        let count = self.records[from..].partition_point(|record| record.name == name);
        self.records[from..from + count].iter()
    }

    /// Every name that there ever was, with what its newest version says.
    #[must_use]
    pub fn states(&self) -> BTreeMap<&'t str, State<'_, 't>> {
        self.records
            .chunk_by(|a, b| a.name == b.name)
            .filter_map(|versions| Some((versions[0].name, state(versions)?)))
            .collect()
    }

    /// The newest version of a secret that has a value.
    ///
    /// # Errors
    /// [`StoreError::NoSecret`], also for one that was removed; [`StoreError::Conflict`].
    pub fn current(&self, name: &str) -> Result<&Record<'t>, StoreError> {
        let from = self.records.partition_point(|record| record.name < name);
        let count = self.records[from..].partition_point(|record| record.name == name);
        match state(&self.records[from..from + count]) {
            Some(State::Present(record)) => Ok(record),
            Some(State::Conflict(first, second)) => Err(conflict(first, second)),
            Some(State::Removed(_)) | None => Err(StoreError::NoSecret(name.to_owned())),
        }
    }

    /// The newest versions of all secrets that have a value, by name.
    ///
    /// # Errors
    /// [`StoreError::Conflict`].
    pub fn all_current(&self) -> Result<Vec<&Record<'t>>, StoreError> {
        let mut current = Vec::new();
        for versions in self.records.chunk_by(|a, b| a.name == b.name) {
            match state(versions) {
                Some(State::Present(record)) => current.push(record),
                Some(State::Conflict(first, second)) => return Err(conflict(first, second)),
                Some(State::Removed(_)) | None => {}
            }
        }
        Ok(current)
    }

    /// One version of a secret: `3`, or `3@` and the beginning of its id where merged branches
    /// have two of that number.
    ///
    /// # Errors
    /// [`StoreError::NoSecret`], [`StoreError::NoVersion`], [`StoreError::Conflict`].
    pub fn version(&self, name: &str, wanted: &str) -> Result<&Record<'t>, StoreError> {
        let none = || StoreError::NoVersion { name: name.to_owned(), version: wanted.to_owned() };
        if self.versions(name).next().is_none() {
            return Err(StoreError::NoSecret(name.to_owned()));
        }
        let (number, id) = wanted.split_once('@').unwrap_or((wanted, ""));
        let number: u32 = number.parse().map_err(|_| none())?;
        let mut found =
            self.versions(name).filter(|record| record.version == number && record.id.to_string().starts_with(id));
        match (found.next(), found.next()) {
            (Some(record), None) => Ok(record),
            (Some(first), Some(second)) => Err(conflict(first, second)),
            _ => Err(none()),
        }
    }
}

fn state<'d, 't>(versions: &'d [Record<'t>]) -> Option<State<'d, 't>> {
    let last = versions.last()?;
    match versions.len().checked_sub(2).map(|index| &versions[index]) {
        Some(other) if other.version == last.version => Some(State::Conflict(other, last)),
        _ if last.is_removal => Some(State::Removed(last)),
        _ => Some(State::Present(last)),
    }
}

fn conflict(first: &Record<'_>, second: &Record<'_>) -> StoreError {
    StoreError::Conflict { name: first.name.to_owned(), first: first.label(), second: second.label() }
}

/// A text of ASCII lines that all end with a line break.
struct Reader<'t> {
    text: &'t str,
    /// Where the line that was read last starts, and what follows it.
    start: usize,
    next: usize,
    line: usize,
}

impl<'t> Reader<'t> {
    fn new(text: &'t [u8]) -> Result<Self, StoreError> {
        let is_text = |byte: &u8| matches!(byte, b'\n' | b' '..=b'~');
        match std::str::from_utf8(text) {
            Ok(text) if text.bytes().all(|byte| is_text(&byte)) => Ok(Self { text, start: 0, next: 0, line: 0 }),
            _ => {
                let before = text.iter().take_while(|byte| is_text(byte));
                let line = before.filter(|byte| **byte == b'\n').count() + 1;
                Err(StoreError::Damaged { line, problem: "a character that no store has" })
            }
        }
    }

    fn next(&mut self) -> Result<&'t str, StoreError> {
        self.line += 1;
        let rest = &self.text[self.next..];
        let Some(end) = rest.find('\n') else {
            return self.fail("the store is cut off here; the last line is `end`");
        };
        self.start = self.next;
        self.next += end + 1;
        Ok(&rest[..end])
    }

    fn fail<T>(&self, problem: &'static str) -> Result<T, StoreError> {
        Err(StoreError::Damaged { line: self.line, problem })
    }
}

/// The text of a key block.
pub(crate) fn armour(wrapped: &[u8]) -> String {
    let encoded = STANDARD.encode(wrapped);
    let mut block = format!("{BEGIN}\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(COLUMNS));
        block.push_str(line);
        block.push('\n');
        rest = behind;
    }
    block.push_str(FINISH);
    block.push('\n');
    block
}

/// The decoder of everything but the key block; it accepts one spelling of every content.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}
