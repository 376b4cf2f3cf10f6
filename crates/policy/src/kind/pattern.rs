//! Regular expressions.

use std::fmt;

use regex_lite::Regex;

/// A regular expression that a whole value must match.
///
/// The engine is `regex-lite`: it walks over the value once, with the set of its own states and
/// no cache of transitions, so it keeps nothing of what it has seen. Classes are of ASCII.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// [`PatternError`].
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let error = |error: regex_lite::Error| PatternError(error.to_string());
        // By itself first: an unbalanced parenthesis would close ours.
        Regex::new(text).map_err(error)?;
        let regex = Regex::new(&format!(r"\A(?:{text})\z")).map_err(error)?;
        Ok(Self { text: text.to_owned(), regex })
    }

    pub(super) fn matches(&self, value: &[u8]) -> bool {
        str::from_utf8(value).is_ok_and(|text| self.regex.is_match(text))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({self})")
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Not a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a regular expression: {0}")]
pub struct PatternError(String);
