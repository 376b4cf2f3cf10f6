//! Which values can be redacted at all.

use std::fmt;

/// Values shorter than this are not redacted, in bytes: `true`, `8080` and `debug` stand
/// in every output.
pub const MIN_LENGTH: usize = 6;

/// How many different bytes a value has at least: `000000` and `------` stand in tables.
const MIN_DISTINCT: usize = 3;

/// Why a value is not redacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsuitable {
    /// It has fewer than [`MIN_LENGTH`] bytes.
    TooShort,
    /// It consists of one or two different bytes.
    TooUniform,
}

impl fmt::Display for Unsuitable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(f, "it has fewer than {MIN_LENGTH} bytes"),
            Self::TooUniform => write!(f, "it has fewer than {MIN_DISTINCT} different bytes"),
        }
    }
}

/// Why `value` cannot be redacted, if so.
#[must_use]
pub fn unsuitable(value: &[u8]) -> Option<Unsuitable> {
    if value.len() < MIN_LENGTH {
        return Some(Unsuitable::TooShort);
    }
    let mut others = value.iter().filter(|byte| **byte != value[0]);
    let second = others.next();
    match second.and_then(|second| others.find(|byte| *byte != second)) {
        Some(_) => None,
        None => Some(Unsuitable::TooUniform),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_uniform_values_are_refused() {
        for short in ["", "a", "true", "8080", "debug"] {
            assert_eq!(unsuitable(short.as_bytes()), Some(Unsuitable::TooShort), "{short}");
        }
        for uniform in ["000000", "abababab", "--------------"] {
            assert_eq!(unsuitable(uniform.as_bytes()), Some(Unsuitable::TooUniform), "{uniform}");
        }
        for good in ["abcabc", "hunter2", "aaaaaabc"] {
            assert_eq!(unsuitable(good.as_bytes()), None, "{good}");
        }
    }
}
