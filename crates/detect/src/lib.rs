//! Recognises credentials: in an environment variable, in the arguments of a program, in text.
//!
//! Pure functions on borrowed bytes. Nothing is copied but single bytes and counts, so a caller
//! that keeps the bytes in protected memory keeps them there; a [`Detection`] says what was
//! found and where, never the bytes themselves.
//!
//! Three kinds of evidence, the strongest first: a known *format*, with its checksum where it
//! has one ([`formats`] lists them); a *name* that says what the value is; *entropy*, of a value
//! that looks like nothing but random.
//!
//! * [`variable`]: one environment variable
//! * [`arguments`]: the arguments of a program
//! * [`text`]: a line of a file
//! * [`allow`]: findings that somebody has looked at and accepted

#![forbid(unsafe_code)]

pub mod allow;
pub mod arguments;
mod catalogue;
mod checksum;
mod format;
mod name;
pub mod text;
mod url;
mod value;
pub mod variable;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

pub use name::is_plain_name;

/// How sure a detection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// It looks random, or stands behind a name that may mean a secret.
    Low,
    /// Its name says that it is a secret, or its format allows little else.
    Medium,
    /// A format that nothing else has, or a secret's name and a random value.
    High,
}

impl Confidence {
    /// All, the surest first.
    pub const ALL: [Self; 3] = [Self::High, Self::Medium, Self::Low];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Confidence {
    type Err = UnknownConfidence;

    fn from_str(name: &str) -> Result<Self, UnknownConfidence> {
        Self::ALL.into_iter().find(|confidence| confidence.name() == name).ok_or(UnknownConfidence)
    }
}

/// No confidence has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such confidence; they are high, medium and low")]
pub struct UnknownConfidence;

/// What speaks for a detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A known format whose checksum is right.
    Checksum,
    /// A known format.
    Format,
    /// What it is called, and that it looks random.
    NameAndEntropy,
    /// What it is called.
    Name,
    /// That it looks random.
    Entropy,
}

impl Evidence {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checksum => "checksum",
            Self::Format => "format",
            Self::NameAndEntropy => "name and entropy",
            Self::Name => "name",
            Self::Entropy => "entropy",
        }
    }
}

/// A credential that was recognised, without any byte of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// The stable name of what it is, such as `github-token` or `password`.
    pub kind: &'static str,
    /// How sure this is.
    pub confidence: Confidence,
    /// What speaks for it.
    pub evidence: Evidence,
    /// Where the credential lies in the bytes that were looked at.
    pub range: Range<usize>,
}

/// The formats that are known: kind, and whether a checksum is checked. In the order in which
/// they are tried; a kind can have several formats.
pub fn formats() -> impl Iterator<Item = (&'static str, bool)> {
    catalogue::FORMATS.iter().map(|format| (format.kind, format.check.is_checksum()))
}

/// The surest of several detections; of equals the first.
fn surest(detections: impl IntoIterator<Item = Detection>) -> Option<Detection> {
    detections.into_iter().reduce(|best, next| if next.confidence > best.confidence { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidences_are_ordered_and_named() {
        assert!(Confidence::High > Confidence::Medium && Confidence::Medium > Confidence::Low);
        for confidence in Confidence::ALL {
            assert_eq!(confidence.name().parse(), Ok(confidence));
            assert!(UnknownConfidence.to_string().contains(confidence.name()));
        }
        assert_eq!("High".parse::<Confidence>(), Err(UnknownConfidence));
    }
}
