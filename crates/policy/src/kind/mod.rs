//! Types of variables: what a value must look like.
//!
//! Every check is a function over borrowed bytes that keeps and copies nothing of them: values
//! are looked at where they lie, which is protected memory. What fails is told in terms of the
//! type, never with a byte of the value.

mod base64;
mod net;
mod number;
mod pattern;
mod pem;

use std::fmt;

use serde::de::IgnoredAny;

pub use pattern::{Pattern, PatternError};

/// The type of a variable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Kind {
    /// Anything.
    #[default]
    String,
    /// At least one byte.
    NonEmpty,
    /// A decimal integer of 64 bits, signed or unsigned.
    Integer,
    /// A decimal number.
    Float,
    /// `true` or `false`, `1` or `0`, `yes` or `no`, `on` or `off`, in any case.
    Boolean,
    /// `scheme://…`, as RFC 3986 has it.
    Url,
    /// 1 to 65535.
    Port,
    /// `local@domain`, as the input fields of web pages have it.
    Email,
    /// One of these, exactly.
    Enum(Vec<String>),
    /// A regular expression that the whole value matches.
    Regex(Pattern),
    /// One JSON value (RFC 8259).
    Json,
    /// One or more PEM blocks (RFC 7468).
    Pem,
    /// Base64 or base64url (RFC 4648), with or without padding; line breaks do not count.
    Base64,
}

/// The names of the types, in the order of the documentation.
pub const KIND_NAMES: [&str; 13] = [
    "string",
    "non-empty",
    "integer",
    "float",
    "boolean",
    "url",
    "port",
    "email",
    "enum",
    "regex",
    "json",
    "pem",
    "base64",
];

impl Kind {
    /// The type of a name that needs nothing else to be complete; `enum` and `regex` do.
    #[must_use]
    pub fn simple(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::String,
            "non-empty" => Self::NonEmpty,
            "integer" => Self::Integer,
            "float" => Self::Float,
            "boolean" => Self::Boolean,
            "url" => Self::Url,
            "port" => Self::Port,
            "email" => Self::Email,
            "json" => Self::Json,
            "pem" => Self::Pem,
            "base64" => Self::Base64,
            _ => return None,
        })
    }

    /// The name that the configuration file and reports use.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::String => "string",
            Self::NonEmpty => "non-empty",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::Url => "url",
            Self::Port => "port",
            Self::Email => "email",
            Self::Enum(_) => "enum",
            Self::Regex(_) => "regex",
            Self::Json => "json",
            Self::Pem => "pem",
            Self::Base64 => "base64",
        }
    }

    /// Checks a value where it lies. Nothing of it is copied.
    ///
    /// # Errors
    ///
    /// [`Mismatch`], which tells the type and, where that helps, the place, and nothing else of
    /// the value.
    pub fn check(&self, value: &[u8]) -> Result<(), Mismatch> {
        let outcome = match self {
            Self::String => Ok(()),
            Self::NonEmpty => ok_if(!value.is_empty()),
            Self::Integer => ok_if(number::is_integer(value)),
            Self::Float => ok_if(number::is_float(value)),
            Self::Boolean => ok_if(number::is_boolean(value)),
            Self::Url => ok_if(net::is_url(value)),
            Self::Port => ok_if(number::is_port(value)),
            Self::Email => ok_if(net::is_email(value)),
            Self::Enum(values) => ok_if(values.iter().any(|one| one.as_bytes() == value)),
            Self::Regex(pattern) => ok_if(pattern.matches(value)),
            Self::Json => json(value),
            Self::Pem => pem::check(value),
            Self::Base64 => ok_if(base64::is_base64(value)),
        };
        outcome.map_err(|detail| Mismatch { expected: self.to_string(), detail: detail.or_else(|| obvious(value)) })
    }
}

impl fmt::Display for Kind {
    /// What is expected: `an integer`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("any text"),
            Self::NonEmpty => f.write_str("a value that is not empty"),
            Self::Integer => f.write_str("an integer"),
            Self::Float => f.write_str("a number"),
            Self::Boolean => f.write_str("a boolean: true or false, 1 or 0, yes or no, on or off"),
            Self::Url => f.write_str("a URL, as in https://host/path"),
            Self::Port => f.write_str("a port from 1 to 65535"),
            Self::Email => f.write_str("an e-mail address"),
            Self::Enum(values) => write!(f, "one of {}", values.join(", ")),
            Self::Regex(pattern) => write!(f, "a text that matches {pattern} as a whole"),
            Self::Json => f.write_str("JSON"),
            Self::Pem => f.write_str("PEM: -----BEGIN …-----, base64, -----END …-----"),
            Self::Base64 => f.write_str("base64"),
        }
    }
}

/// A value is not of its type. Holds nothing of the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    expected: String,
    detail: Option<Detail>,
}

impl Mismatch {
    /// What was expected: `an integer`.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be {}", self.expected)?;
        match self.detail {
            None => Ok(()),
            Some(detail) => write!(f, " ({detail})"),
        }
    }
}

impl std::error::Error for Mismatch {}

/// What can be said of a wrong value without showing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    Empty,
    BlanksAround,
    At { line: usize, column: usize },
    NotUtf8,
    BackslashN,
    NoBlock,
    Line(usize, &'static str),
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::BlanksAround => f.write_str("it begins or ends with a blank or a line break"),
            Self::At { line, column } => write!(f, "wrong at line {line}, column {column} of the value"),
            Self::NotUtf8 => f.write_str("it is not UTF-8"),
            Self::BackslashN => {
                f.write_str("it has the two characters \\n for line breaks; in an env file put it in double quotes")
            }
            Self::NoBlock => f.write_str("there is no -----BEGIN …----- line"),
            Self::Line(line, what) => write!(f, "line {line} of the value: {what}"),
        }
    }
}

type Outcome = Result<(), Option<Detail>>;

fn ok_if(is_right: bool) -> Outcome {
    if is_right { Ok(()) } else { Err(None) }
}

/// What is wrong more often than anything else.
fn obvious(value: &[u8]) -> Option<Detail> {
    let blank = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
    if value.is_empty() {
        Some(Detail::Empty)
    } else if blank(value.first()) || blank(value.last()) {
        Some(Detail::BlanksAround)
    } else {
        None
    }
}

/// What is ignored is walked over and not decoded: `serde_json` keeps nothing of it but the
/// brackets that are open. UTF-8 is what it does not check then.
fn json(value: &[u8]) -> Outcome {
    let Ok(text) = str::from_utf8(value) else { return Err(Some(Detail::NotUtf8)) };
    if text.trim_matches(|character| matches!(character, ' ' | '\t' | '\r' | '\n')).is_empty() {
        return Err(None);
    }
    match serde_json::from_slice::<IgnoredAny>(value) {
        Ok(IgnoredAny) => Ok(()),
        Err(error) => Err(Some(Detail::At { line: error.line(), column: error.column() })),
    }
}

#[cfg(test)]
mod tests;
