//! The other dialects of env files, each as its own implementation reads it.
//!
//! A dialect reads a text into a [`Draft`]: the values lie in protected memory, in one buffer
//! behind one another, and only names and lines in ordinary memory. Nothing here reads the
//! process environment; what a name means that the file does not define is the value from an
//! earlier source.

pub(crate) mod chars;
pub mod command;
mod compose;
mod draft;
mod expand;
mod node;
mod pattern;
mod python;
mod ruby;
mod shell;
pub mod write;

use envward_secret::{ReadError, SecretBuf, Vault};

use crate::dotenv::{Position, Problem, SyntaxError};

use self::command::Commands;
pub(crate) use self::draft::{Assignment, Draft, Stop};
pub use envward_policy::dialect::{Dialect, UnknownDialect};

/// Why a text could not be read.
#[derive(Debug)]
pub(crate) enum Failure {
    Syntax(SyntaxError),
    Buffer(ReadError),
}

/// What a text comes to.
pub(crate) struct Read {
    pub(crate) values: SecretBuf,
    pub(crate) assignments: Vec<Assignment>,
    /// Line and column of every value.
    pub(crate) places: Vec<(usize, usize)>,
}

/// Reads a text of any dialect but [`Dialect::Dotenvy`].
pub(crate) fn read<'a>(
    dialect: Dialect,
    text: &[u8],
    earlier: &'a Vault,
    commands: Option<&'a mut dyn Commands>,
) -> Result<Read, Failure> {
    let mut draft = Draft::new(text, earlier, commands).map_err(Failure::Buffer)?;
    let unix;
    let mut text = text;
    if let Err((offset, problem)) = check(text) {
        return Err(Failure::Syntax(error_at(text, offset, None, problem)));
    }
    if !matches!(dialect, Dialect::Node | Dialect::Shell) {
        text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    }
    let converts =
        matches!(dialect, Dialect::Dotenv | Dialect::DotenvExpand | Dialect::Dotenvx | Dialect::Ruby | Dialect::Python);
    if converts && text.contains(&b'\r') {
        unix = without_carriage_returns(text, earlier).map_err(Failure::Buffer)?;
        text = unix.as_slice();
    }
    let outcome = match dialect {
        Dialect::Dotenv => expand::dotenv(text, &mut draft),
        Dialect::DotenvExpand => expand::dotenv_expand(text, &mut draft),
        Dialect::Dotenvx => expand::dotenvx(text, &mut draft),
        Dialect::Node => node::read(text, &mut draft),
        Dialect::Ruby => ruby::read(text, &mut draft),
        Dialect::Python => python::read(text, &mut draft),
        Dialect::Compose => compose::read(text, &mut draft),
        Dialect::Shell => shell::read(text, &mut draft),
        // Read by the caller.
        _ => Ok(()),
    };
    match outcome {
        Ok(()) => {
            let places = draft.locate(text);
            let (values, assignments) = draft.into_parts();
            Ok(Read { values, assignments, places })
        }
        Err(Stop::At { offset, key, problem }) => Err(Failure::Syntax(error_at(text, offset, key.as_deref(), problem))),
        Err(Stop::Buffer(error)) => Err(Failure::Buffer(error)),
    }
}

/// How many assignments a text may hold, as a guess, and not more than room is taken for ahead.
pub(crate) fn line_count(text: &[u8]) -> usize {
    (text.iter().filter(|byte| **byte == b'\n').count() + 1).min(4096)
}

fn check(text: &[u8]) -> Result<(), (usize, Problem)> {
    let valid = match std::str::from_utf8(text) {
        Ok(_) => text.len(),
        Err(error) => error.valid_up_to(),
    };
    match text[..valid].iter().position(|byte| *byte == 0) {
        Some(nul) => Err((nul, Problem::NulByte)),
        None if valid < text.len() => Err((valid, Problem::InvalidUtf8)),
        None => Ok(()),
    }
}

fn error_at(text: &[u8], offset: usize, key: Option<&str>, problem: Problem) -> SyntaxError {
    let before = &text[..offset.min(text.len())];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before[line_start..].iter().filter(|byte| *byte & 0b1100_0000 != 0b1000_0000).count() + 1;
    SyntaxError::new(Position { line, column }, key, problem)
}

/// A copy whose line breaks are LF.
fn without_carriage_returns(text: &[u8], like: &Vault) -> Result<SecretBuf, ReadError> {
    let mut unix = SecretBuf::with_room(like.backing(), text.len(), text.len()).map_err(ReadError::Memory)?;
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\r') {
        unix.push(&rest[..at])?;
        unix.push(b"\n")?;
        rest = &rest[at + 1..];
        rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    }
    unix.push(rest)?;
    Ok(unix)
}
