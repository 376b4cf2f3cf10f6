//! Writing variables in a dialect.
//!
//! A dialect's own reader decides: a value is written in the first of a few ways that is read
//! as the same value, and one that none of them brings back is refused. The whole text is read
//! once more at the end.

use std::fmt;

use envward_secret::{ReadError, RegionError, SecretBuf, Vault};

use super::Dialect;
use crate::env_file::MAX_FILE;
use crate::{EnvFile, SourceError};

/// Why variables could not be written in a dialect.
#[derive(Debug)]
#[non_exhaustive]
pub enum WriteError {
    /// The dialect has no way of writing this value or this name.
    Inexpressible {
        /// The variable.
        name: String,
        /// The dialect.
        dialect: Dialect,
    },
    /// The text would be longer than an env file may be.
    TooLong(ReadError),
    /// No protected memory.
    Memory(RegionError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inexpressible { name, dialect } => {
                write!(f, "{}: the dialect {dialect} has no way of writing this variable", name.escape_debug())
            }
            Self::TooLong(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WriteError {}

impl From<ReadError> for WriteError {
    fn from(error: ReadError) -> Self {
        Self::TooLong(error)
    }
}

impl From<RegionError> for WriteError {
    fn from(error: RegionError) -> Self {
        Self::Memory(error)
    }
}

/// An env file in a dialect with these variables of the vault, in this order, one after another.
///
/// # Errors
///
/// [`WriteError`]; nothing of a value is in it.
pub fn file<'n>(
    names: impl Iterator<Item = &'n str>,
    vault: &Vault,
    dialect: Dialect,
) -> Result<SecretBuf, WriteError> {
    let names: Vec<&str> = names.collect();
    let mut text = SecretBuf::new(vault.backing(), MAX_FILE)?;
    for name in &names {
        let value = vault.value(name).unwrap_or_default();
        let start = text.len();
        let mut written = false;
        for style in STYLES {
            line(name, value, style, dialect, &mut text)?;
            if differing(&text.as_slice()[start..], &[name], vault, dialect)?.is_none() {
                written = true;
                break;
            }
            text.truncate(start);
        }
        if !written {
            return Err(WriteError::Inexpressible { name: (*name).to_owned(), dialect });
        }
    }
    match differing(text.as_slice(), &names, vault, dialect)? {
        None => Ok(text),
        Some(name) => Err(WriteError::Inexpressible { name: name.to_owned(), dialect }),
    }
}

/// A way of writing a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Without quotes; only for values of harmless characters.
    Bare,
    /// In quotes, as it is.
    Plain(u8),
    /// In quotes, with escapes.
    Escaped(u8),
}

const STYLES: [Style; 6] = [
    Style::Bare,
    Style::Plain(b'\''),
    Style::Plain(b'"'),
    Style::Plain(b'`'),
    Style::Escaped(b'"'),
    Style::Escaped(b'\''),
];

fn line(name: &str, value: &[u8], style: Style, dialect: Dialect, out: &mut SecretBuf) -> Result<(), ReadError> {
    out.push(name.as_bytes())?;
    out.push(b"=")?;
    match style {
        Style::Bare if value.iter().all(is_harmless) => out.push(value)?,
        // Not this style.
        Style::Bare => out.push(b"'")?,
        Style::Plain(quote) => {
            out.push(&[quote])?;
            out.push(value)?;
            out.push(&[quote])?;
        }
        Style::Escaped(quote) => {
            out.push(&[quote])?;
            for byte in value {
                match escape(*byte, quote, dialect) {
                    Some(escape) => out.push(escape)?,
                    None => out.push(&[*byte])?,
                }
            }
            out.push(&[quote])?;
        }
    }
    out.push(b"\n")
}

fn is_harmless(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'+' | b'@' | b'%' | b',')
}

/// How a dialect writes a byte inside of quotes.
fn escape(byte: u8, quote: u8, dialect: Dialect) -> Option<&'static [u8]> {
    use Dialect::{Compose, Dotenvx, Dotenvy, Python, Ruby, Shell};
    let double = quote == b'"';
    match (byte, dialect) {
        (b'\'', Shell) if !double => Some(b"'\\''"),
        (b'\'', Dotenvx | Python | Compose) if !double => Some(b"\\'"),
        (b'\\', Python) => Some(b"\\\\"),
        (b'\\', Dotenvy | Ruby | Compose | Shell) if double => Some(b"\\\\"),
        (b'"', Dotenvy | Ruby | Python | Compose | Shell) if double => Some(b"\\\""),
        (b'`', Shell) if double => Some(b"\\`"),
        (b'$', Dotenvy | Dialect::DotenvExpand | Dotenvx | Ruby | Compose | Shell) if double => Some(b"\\$"),
        (b'\r', Dialect::Node | Shell) => None,
        (b'\r', _) if double => Some(b"\\r"),
        _ => None,
    }
}

/// The first of these variables that the text does not bring back as the vault has it.
fn differing<'n>(
    text: &[u8],
    names: &[&'n str],
    vault: &Vault,
    dialect: Dialect,
) -> Result<Option<&'n str>, WriteError> {
    let mut read = Vault::new(vault.backing())?;
    match EnvFile::new("").dialect(dialect).load_text(text, &mut read) {
        Ok(found) if found.len() == names.len() => {
            Ok(names.iter().find(|name| read.value(name) != vault.value(name)).copied())
        }
        Err(SourceError::Memory(error)) => Err(error.into()),
        _ => Ok(names.first().copied()),
    }
}
