//! One version of one secret: a line of the store.

use std::fmt;

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use crate::document::{decode, encode};
use crate::time::is_time;
use crate::{Key, StoreError};

/// The longest value in bytes: with the longest name, what one string of an environment holds.
pub const MAX_VALUE: usize = 128 * 1024 - 258;
/// The longest name in bytes.
pub const MAX_NAME: usize = 255;

const NONCE: usize = 24;
const TAG: usize = 16;
/// Values are padded to a multiple of this, so that their exact length does not show.
const BLOCK: usize = 32;
/// Ends the value in the padded text; zeros follow.
const MARK: u8 = 0x80;

/// The name of a line: the beginning of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 16]);

impl Id {
    fn of(line: &str) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&Sha256::digest(line.as_bytes())[..16]);
        Self(id)
    }

    fn parse(text: &str) -> Option<Self> {
        decode(text)?.try_into().ok().map(Self)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(&self.0))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A line of the store, well-formed and not yet opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'t> {
    /// The whole line, without its line break.
    pub(crate) line: &'t str,
    /// Whether it says that the secret was removed.
    pub is_removal: bool,
    /// The secret.
    pub name: &'t str,
    /// From 1 up.
    pub version: u32,
    /// When it was written, UTC.
    pub time: &'t str,
    parents: &'t str,
    sealed: &'t str,
    /// Its name among the lines.
    pub id: Id,
}

impl<'t> Record<'t> {
    /// Parses a line; says what is wrong with it.
    pub(crate) fn parse(line: &'t str) -> Result<Self, &'static str> {
        let mut words = line.split(' ');
        let mut word = || words.next().ok_or("a word is missing");
        let is_removal = match word()? {
            "secret" => false,
            "removed" => true,
            _ => return Err("`secret`, `removed` or `end` was expected"),
        };
        let name = word()?;
        let version = word()?;
        let time = word()?;
        let parents = word()?;
        let sealed = word()?;
        if words.next().is_some() {
            return Err("there are too many words");
        }
        if !is_name(name) {
            return Err("not a name of a secret");
        }
        let number: u32 = version.parse().map_err(|_| "not a version")?;
        if number == 0 || number == u32::MAX || version != number.to_string() {
            return Err("not a version");
        }
        if !is_time(time) {
            return Err("not a time");
        }
        let record = Self { line, is_removal, name, version: number, time, parents, sealed, id: Id::of(line) };
        if record.parents().any(|parent| parent.is_none()) {
            return Err("not the names of lines");
        }
        Ok(record)
    }

    /// The lines that were newest when it was written.
    pub(crate) fn parents(&self) -> impl Iterator<Item = Option<Id>> {
        self.parents.split(',').filter(|text| *text != "-").map(Id::parse)
    }

    /// As `revert` takes it and `history` shows it where the number alone would not do.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}@{}", self.version, &self.id.to_string()[..8])
    }

    /// Opens it: the value of this version, nothing for a removal.
    ///
    /// # Errors
    /// [`StoreError::Forged`] when anything in the line is not as it was written.
    pub fn open(&self, key: &Key) -> Result<Vec<u8>, StoreError> {
        let forged = || StoreError::Forged { name: self.name.to_owned(), version: self.version };
        let mut bytes = decode(self.sealed).filter(|bytes| bytes.len() >= NONCE + TAG).ok_or_else(forged)?;
        let (nonce, rest) = bytes.split_at_mut(NONCE);
        let (text, tag) = rest.split_at_mut(rest.len() - TAG);
        let clear = &self.line[..self.line.len() - self.sealed.len()];
        XChaCha20Poly1305::new(key.records().into())
            .decrypt_in_place_detached(XNonce::from_slice(nonce), clear.as_bytes(), text, Tag::from_slice(tag))
            .map_err(|_| forged())?;
        let end = text.iter().rposition(|byte| *byte != 0).filter(|end| text[*end] == MARK).ok_or_else(forged)?;
        bytes.truncate(NONCE + end);
        bytes.drain(..NONCE);
        if bytes.contains(&0) || std::str::from_utf8(&bytes).is_err() || bytes.len() > MAX_VALUE {
            return Err(forged());
        }
        Ok(bytes)
    }
}

/// What a new line is to say.
#[derive(Clone, Copy)]
pub(crate) struct New<'v> {
    pub(crate) name: &'v str,
    pub(crate) version: u32,
    pub(crate) time: &'v str,
    /// `None` for a removal.
    pub(crate) value: Option<&'v [u8]>,
}

/// Writes a line, without its line break.
pub(crate) fn seal(key: &Key, new: New<'_>, parents: &[Id]) -> Result<(String, Id), StoreError> {
    let kind = if new.value.is_some() { "secret" } else { "removed" };
    let parents = match parents {
        [] => "-".to_owned(),
        some => some.iter().map(Id::to_string).collect::<Vec<_>>().join(","),
    };
    let mut line = format!("{kind} {} {} {} {parents} ", new.name, new.version, new.time);
    let value = new.value.unwrap_or_default();
    let padded = (value.len() + 1).next_multiple_of(BLOCK);
    let mut bytes = vec![0; NONCE + padded + TAG];
    let (nonce, rest) = bytes.split_at_mut(NONCE);
    let (text, tag) = rest.split_at_mut(padded);
    envward_kernel::random::fill(nonce).map_err(StoreError::Random)?;
    text[..value.len()].copy_from_slice(value);
    text[value.len()] = MARK;
    let made = XChaCha20Poly1305::new(key.records().into())
        .encrypt_in_place_detached(XNonce::from_slice(nonce), line.as_bytes(), text)
        // Only a text of more than 256 GiB is refused.
        .map_err(|_| StoreError::Value { name: new.name.to_owned(), problem: "is too long" })?;
    tag.copy_from_slice(&made);
    line.push_str(&encode(&bytes));
    let id = Id::of(&line);
    Ok((line, id))
}

/// Whether a text can be the name of a secret: letters, digits and `_`, not a digit first.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_word) && !text.as_bytes()[0].is_ascii_digit()
}

/// Checks that a value can be stored.
///
/// # Errors
/// [`StoreError::Name`], [`StoreError::Value`].
pub fn check(name: &str, value: &[u8]) -> Result<(), StoreError> {
    if !is_name(name) {
        return Err(StoreError::Name);
    }
    let problem = if value.contains(&0) {
        "holds a NUL byte, which no variable can; store it as base64"
    } else if std::str::from_utf8(value).is_err() {
        "is not UTF-8; store it as base64"
    } else if value.len() > MAX_VALUE {
        "is longer than a variable can be (128 KiB)"
    } else {
        return Ok(());
    };
    Err(StoreError::Value { name: name.to_owned(), problem })
}
