//! Variables as values of Rust types.
//!
//! A program that reads its configuration from the environment wants a port and not a text, and
//! a message that says what is wrong with which variable. Values are read where they lie; what
//! a conversion makes of them is the program's own. No error holds a byte of a value, as
//! variables may be secrets.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # envward_environ::set("PORT", "8080")?;
//! # envward_environ::remove("WORKERS")?;
//! # envward_environ::set("LOG_LEVEL", "info")?;
//! use envward_environ as environ;
//!
//! let port: u16 = environ::require("PORT")?;
//! let workers: usize = environ::or("WORKERS", 4)?;
//! let proxy: Option<environ::Url> = environ::optional("PROXY")?;
//! let level = environ::one_of("LOG_LEVEL", &[("debug", 0), ("info", 1)])?;
//! # assert_eq!((port, workers, level), (8080, 4, 1));
//! # assert!(proxy.is_none());
//! # Ok(())
//! # }
//! ```

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::ops::Deref;
use std::path::PathBuf;

use crate::variable::Value;

/// A type that the value of a variable can be taken as.
pub trait FromVariable: Sized {
    /// Makes one of a value.
    ///
    /// # Errors
    /// What was expected, with an article, for a message: `an integer from 0 to 65535`. It must
    /// not hold anything of the value.
    fn from_variable(value: Value) -> Result<Self, Expected>;
}

/// What a value should have been: `a port`, `one of debug, info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected(String);

impl Expected {
    /// A description with its article, which must hold nothing of the value.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A variable is not as the program needs it. Names the variable, never its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VariableError {
    /// It is not set, or empty where the type knows no empty value.
    Missing {
        /// Its name.
        name: String,
        /// Whether it is set to the empty string.
        is_empty: bool,
    },
    /// Its value is of another type.
    Mismatch {
        /// Its name.
        name: String,
        /// What it should have been.
        expected: Expected,
    },
}

impl VariableError {
    /// The variable.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Missing { name, .. } | Self::Mismatch { name, .. } => name,
        }
    }
}

impl fmt::Display for VariableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name, is_empty: false } => write!(f, "the variable {name} is not set"),
            Self::Missing { name, is_empty: true } => write!(f, "the variable {name} is empty"),
            Self::Mismatch { name, expected } => write!(f, "the variable {name} must be {expected}"),
        }
    }
}

impl Error for VariableError {}

/// The value of a variable that must be set.
///
/// An empty value counts as missing for every type but the texts ([`String`], [`OsString`],
/// [`PathBuf`], [`Value`]).
///
/// # Errors
/// [`VariableError`].
pub fn require<T: FromVariable>(name: impl AsRef<OsStr>) -> Result<T, VariableError> {
    let name = name.as_ref();
    match crate::get(name) {
        None => Err(VariableError::Missing { name: shown(name), is_empty: false }),
        Some(value) => convert(name, value),
    }
}

/// The value of a variable that may be missing. An empty value is none.
///
/// # Errors
/// [`VariableError::Mismatch`] if it is set to something else.
pub fn optional<T: FromVariable>(name: impl AsRef<OsStr>) -> Result<Option<T>, VariableError> {
    let name = name.as_ref();
    match crate::get(name) {
        Some(value) if !value.is_empty() => convert(name, value).map(Some),
        _ => Ok(None),
    }
}

/// The value of a variable, or another one if it is missing or empty.
///
/// # Errors
/// [`VariableError::Mismatch`] if it is set to something else: a mistake is not a reason for
/// the default.
pub fn or<T: FromVariable>(name: impl AsRef<OsStr>, default: T) -> Result<T, VariableError> {
    Ok(optional(name)?.unwrap_or(default))
}

/// What stands beside the one of some words that a variable must have.
///
/// # Errors
/// [`VariableError`].
pub fn one_of<T: Clone>(name: impl AsRef<OsStr>, choices: &[(&str, T)]) -> Result<T, VariableError> {
    let name = name.as_ref();
    let Some(value) = crate::get(name) else {
        return Err(VariableError::Missing { name: shown(name), is_empty: false });
    };
    choices.iter().find(|(word, _)| value == **word).map(|(_, choice)| choice.clone()).ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        VariableError::Mismatch { name: shown(name), expected: Expected(format!("one of {}", words.join(", "))) }
    })
}

fn convert<T: FromVariable>(name: &OsStr, value: Value) -> Result<T, VariableError> {
    let is_empty = value.is_empty();
    T::from_variable(value).map_err(|expected| match is_empty {
        true => VariableError::Missing { name: shown(name), is_empty },
        false => VariableError::Mismatch { name: shown(name), expected },
    })
}

fn shown(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

/// The text, if it is some.
fn text(value: &Value) -> Option<&str> {
    value.to_str()
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl FromVariable for $type {
            fn from_variable(value: Value) -> Result<Self, Expected> {
                text(&value)
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| Expected(format!("an integer from {} to {}", <$type>::MIN, <$type>::MAX)))
            }
        }

        impl FromVariable for NonZero<$type> {
            fn from_variable(value: Value) -> Result<Self, Expected> {
                text(&value)
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| Expected(format!("an integer from {} to {}, and not 0", <$type>::MIN, <$type>::MAX)))
            }
        }
    )*};
}

integers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

macro_rules! parsed {
    ($($type:ty, $expected:literal, $accepts:expr;)*) => {$(
        impl FromVariable for $type {
            fn from_variable(value: Value) -> Result<Self, Expected> {
                let accepts: fn(&$type) -> bool = $accepts;
                let parsed = text(&value).and_then(|text| text.parse().ok()).filter(accepts);
                parsed.ok_or_else(|| Expected::new($expected))
            }
        }
    )*};
}

parsed! {
    f32, "a number", |number| number.is_finite();
    f64, "a number", |number| number.is_finite();
    char, "one character", |_| true;
    IpAddr, "an IP address", |_| true;
    Ipv4Addr, "an IPv4 address", |_| true;
    Ipv6Addr, "an IPv6 address", |_| true;
    SocketAddr, "an address with a port, as in 127.0.0.1:80", |_| true;
}

/// `true`, `1`, `yes`, `on`, and their contraries, in any case.
impl FromVariable for bool {
    fn from_variable(value: Value) -> Result<Self, Expected> {
        let is = |words: [&str; 4]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
        if is(["true", "1", "yes", "on"]) {
            Ok(true)
        } else if is(["false", "0", "no", "off"]) {
            Ok(false)
        } else {
            Err(Expected::new("a boolean: true or false, 1 or 0, yes or no, on or off"))
        }
    }
}

/// A copy in ordinary memory; take a [`Value`] of a secret.
impl FromVariable for String {
    fn from_variable(value: Value) -> Result<Self, Expected> {
        text(&value).map(str::to_owned).ok_or_else(|| Expected::new("text in UTF-8"))
    }
}

/// A copy in ordinary memory; take a [`Value`] of a secret.
impl FromVariable for OsString {
    fn from_variable(value: Value) -> Result<Self, Expected> {
        Ok(value.to_os_string())
    }
}

impl FromVariable for PathBuf {
    fn from_variable(value: Value) -> Result<Self, Expected> {
        Ok(Self::from(value.to_os_string()))
    }
}

/// The value where it lies, without a copy: for secrets.
impl FromVariable for Value {
    fn from_variable(value: Value) -> Result<Self, Expected> {
        Ok(value)
    }
}

/// A value that is not empty, where it lies.
#[derive(Debug)]
pub struct NonEmpty(Value);

impl FromVariable for NonEmpty {
    fn from_variable(value: Value) -> Result<Self, Expected> {
        if value.is_empty() { Err(Expected::new("a value that is not empty")) } else { Ok(Self(value)) }
    }
}

impl Deref for NonEmpty {
    type Target = OsStr;
    fn deref(&self) -> &OsStr {
        &self.0
    }
}

/// A text of the form `scheme://…` without blanks, where it lies: URLs of databases hold
/// passwords. What a URL library takes is [`as_str`](Self::as_str).
///
/// `Debug` prints nothing of it.
#[derive(Debug)]
pub struct Url(Value);

impl Url {
    /// The whole of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        text(&self.0).unwrap_or_default()
    }

    /// What stands before `://`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.as_str().split_once("://").map_or("", |(scheme, _)| scheme)
    }
}

impl FromVariable for Url {
    fn from_variable(value: Value) -> Result<Self, Expected> {
        let is_url = text(&value).and_then(|text| text.split_once("://")).is_some_and(|(scheme, rest)| {
            let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.bytes().all(may_stand)
                && !rest.is_empty()
                && !rest.chars().any(|one| one.is_whitespace() || one.is_control())
        });
        if is_url { Ok(Self(value)) } else { Err(Expected::new("a URL, as in https://host/path")) }
    }
}

/// Several values with commas between; blanks around them do not count.
impl<T: FromPart> FromVariable for Vec<T> {
    fn from_variable(value: Value) -> Result<Self, Expected> {
        let expected = || Expected(format!("a list of {} with commas between", T::PLURAL));
        let text = text(&value).ok_or_else(expected)?;
        if text.trim().is_empty() {
            return Ok(Self::new());
        }
        text.split(',').map(|part| T::from_part(part.trim())).collect::<Option<_>>().ok_or_else(expected)
    }
}

/// A type that a list can be of.
pub trait FromPart: Sized {
    /// What several are called, for messages.
    const PLURAL: &'static str;
    /// Makes one of a part of a list.
    fn from_part(part: &str) -> Option<Self>;
}

macro_rules! parts {
    ($($type:ty, $plural:literal;)*) => {$(
        impl FromPart for $type {
            const PLURAL: &'static str = $plural;
            fn from_part(part: &str) -> Option<Self> {
                part.parse().ok()
            }
        }
    )*};
}

parts! {
    String, "texts";
    u16, "integers from 0 to 65535";
    u32, "integers";
    u64, "integers";
    i64, "integers";
    IpAddr, "IP addresses";
    SocketAddr, "addresses with ports";
}
