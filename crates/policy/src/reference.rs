//! References to secrets: where one is to be taken from, never what it is.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Where the value of one secret is to be taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `file:PATH`: the content of a file.
    File(PathBuf),
    /// `fd:N`: what can be read from a descriptor that the caller hands over.
    Fd(i32),
    /// `stdin`: what can be read from standard input.
    Stdin,
    /// `env`: the variable of the same name in envward's own environment, which
    /// is wiped there. Only in the configuration file; the option for it is
    /// `--from-env`.
    Env,
}

impl Reference {
    /// Parses `file:PATH`, `fd:N`, `stdin` or `env`.
    ///
    /// # Errors
    ///
    /// [`ReferenceError`], without the text: it may have been meant as a value.
    pub fn parse(text: &OsStr) -> Result<Self, ReferenceError> {
        let text = text.as_bytes();
        if let Some(path) = text.strip_prefix(b"file:") {
            if path.is_empty() {
                return Err(ReferenceError::NoPath);
            }
            return Ok(Self::File(PathBuf::from(OsStr::from_bytes(path))));
        }
        if let Some(number) = text.strip_prefix(b"fd:") {
            // Only digits: `parse` would take a sign.
            let digits = number.iter().all(u8::is_ascii_digit);
            let number = str::from_utf8(number).ok().filter(|_| digits);
            return number.and_then(|number| number.parse().ok()).map(Self::Fd).ok_or(ReferenceError::NoNumber);
        }
        match text {
            b"stdin" => Ok(Self::Stdin),
            b"env" => Ok(Self::Env),
            _ => Err(ReferenceError::UnknownKind),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Fd(number) => write!(f, "fd:{number}"),
            Self::Stdin => f.write_str("stdin"),
            Self::Env => f.write_str("env"),
        }
    }
}

/// `NAME=REF`: a variable and where its value is to be taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedReference {
    /// The variable.
    pub name: String,
    /// Where its value is to be taken from.
    pub reference: Reference,
}

impl NamedReference {
    /// Parses the argument of `--secret`.
    ///
    /// # Errors
    ///
    /// [`ReferenceError`], without the text behind the name: it may have been
    /// meant as a value.
    pub fn parse(text: &OsStr) -> Result<Self, ReferenceError> {
        let bytes = text.as_bytes();
        let Some(equals) = bytes.iter().position(|byte| *byte == b'=') else {
            return Err(ReferenceError::NoReference);
        };
        let name = variable_name(OsStr::from_bytes(&bytes[..equals]))?;
        let reference = match Reference::parse(OsStr::from_bytes(&bytes[equals + 1..])) {
            Ok(Reference::Env) => Err(ReferenceError::EnvIsAnOption),
            other => other,
        };
        match reference {
            Ok(reference) => Ok(Self { name, reference }),
            Err(error) => Err(ReferenceError::For { name, error: Box::new(error) }),
        }
    }
}

/// Checks the name of a variable: UTF-8, not empty, without `=` and NUL.
///
/// # Errors
///
/// [`ReferenceError::InvalidName`], without the text: a value may have been
/// written where a name belongs.
pub fn variable_name(text: &OsStr) -> Result<String, ReferenceError> {
    let name = text.to_str().ok_or(ReferenceError::InvalidName)?;
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(ReferenceError::InvalidName);
    }
    Ok(name.to_owned())
}

/// A reference is not written as one. Never holds the text that was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// Neither `file:`, `fd:` nor `stdin`.
    #[error(
        "not a reference to a secret; write file:PATH, fd:N or stdin \
         (a value itself would be seen by everyone who lists processes)"
    )]
    UnknownKind,
    /// `file:` without a path.
    #[error("file: needs a path, as in file:/run/secrets/key")]
    NoPath,
    /// `fd:` without a number.
    #[error("fd: needs the number of an open descriptor, as in fd:3")]
    NoNumber,
    /// No `=`.
    #[error("no `=`; write NAME=file:PATH, NAME=fd:N or NAME=stdin")]
    NoReference,
    /// `env` on the command line.
    #[error("a variable of envward's own environment is taken with --from-env NAME")]
    EnvIsAnOption,
    /// Not a name.
    #[error("not a name of a variable; it must be UTF-8, not empty and without `=`")]
    InvalidName,
    /// One of the others, for a variable.
    #[error("{name}: {error}")]
    For {
        /// The variable.
        name: String,
        /// What is wrong with its reference.
        error: Box<ReferenceError>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_parsed() {
        for (text, expected) in [
            ("file:/run/secrets/pg", Reference::File("/run/secrets/pg".into())),
            ("file:a:b", Reference::File("a:b".into())),
            ("fd:0", Reference::Fd(0)),
            ("fd:12", Reference::Fd(12)),
            ("stdin", Reference::Stdin),
            ("env", Reference::Env),
        ] {
            let reference = Reference::parse(OsStr::new(text)).unwrap();
            assert_eq!(reference, expected);
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn wrong_references_are_told_without_their_text() {
        for (text, expected) in [
            ("hunter2", ReferenceError::UnknownKind),
            ("", ReferenceError::UnknownKind),
            ("File:/x", ReferenceError::UnknownKind),
            ("stdin ", ReferenceError::UnknownKind),
            ("file:", ReferenceError::NoPath),
            ("fd:", ReferenceError::NoNumber),
            ("fd:-1", ReferenceError::NoNumber),
            ("fd:+1", ReferenceError::NoNumber),
            ("fd:hunter2", ReferenceError::NoNumber),
            ("fd:99999999999", ReferenceError::NoNumber),
        ] {
            let error = Reference::parse(OsStr::new(text)).unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn named_references_are_parsed() {
        let named = NamedReference::parse(OsStr::new("A=file:/x=y")).unwrap();
        assert_eq!(named.name, "A");
        assert_eq!(named.reference, Reference::File("/x=y".into()));
        let odd = NamedReference::parse(OsStr::new("my.key-1=fd:3")).unwrap();
        assert_eq!(odd.name, "my.key-1");
    }

    #[test]
    fn wrong_named_references_show_the_name_at_most() {
        for (text, message) in [
            (&b"hunter2"[..], "no `=`; write NAME=file:PATH, NAME=fd:N or NAME=stdin"),
            (b"=stdin", "not a name of a variable; it must be UTF-8, not empty and without `=`"),
            (b"\xff=stdin", "not a name of a variable; it must be UTF-8, not empty and without `=`"),
            (b"A=env", "A: a variable of envward's own environment is taken with --from-env NAME"),
            (
                b"A=hunter2",
                "A: not a reference to a secret; write file:PATH, fd:N or stdin \
                 (a value itself would be seen by everyone who lists processes)",
            ),
        ] {
            let error = NamedReference::parse(OsStr::from_bytes(text)).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn paths_need_not_be_utf8() {
        let reference = Reference::parse(OsStr::from_bytes(b"file:/\xff")).unwrap();
        assert_eq!(reference, Reference::File(OsStr::from_bytes(b"/\xff").into()));
    }
}
