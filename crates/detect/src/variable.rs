//! One environment variable.

use crate::format::{self, shifted};
use crate::name::{Hint, hint};
use crate::value::{entropy, is_example, is_harmless, is_random};
use crate::{Confidence, Detection, Evidence, catalogue, surest, url};

/// The surest thing that can be said of a string of an environment, `NAME=value` as a rule. The
/// range is one of the whole string.
#[must_use]
pub fn detect(string: &[u8]) -> Option<Detection> {
    let begin = string.iter().position(|byte| *byte == b'=').map_or(0, |at| at + 1);
    let name = &string[..begin.saturating_sub(1)];
    let value =
        detect_value(name, &string[begin..]).map(|found| Detection { range: shifted(found.range, begin), ..found });
    // What is before the `=` can be a credential too, if this is no variable at all.
    surest(value.into_iter().chain(format::find(catalogue::FORMATS, name)))
}

/// The surest thing that can be said of a value with a name.
pub(crate) fn detect_value(name: &[u8], value: &[u8]) -> Option<Detection> {
    let known = surest(format::find(catalogue::FORMATS, value).chain(url::find(value)));
    if known.as_ref().is_some_and(|found| found.confidence > Confidence::Low) {
        return known;
    }
    known.or_else(|| by_name(name, value)).or_else(|| by_entropy(name, value))
}

/// What a name says of its value, which is no token of a known format.
pub(crate) fn by_name(name: &[u8], value: &[u8]) -> Option<Detection> {
    if is_harmless(value) {
        return None;
    }
    let found = |kind, confidence, evidence| Some(Detection { kind, confidence, evidence, range: 0..value.len() });
    match hint(name) {
        // A few digits are a count or a number of seconds, even where the name is a secret's.
        Hint::Strong(_) if value.len() < 4 && value.iter().all(u8::is_ascii_digit) => None,
        Hint::Strong(kind) if is_random(value) => found(kind, Confidence::High, Evidence::NameAndEntropy),
        Hint::Strong(kind) if value.len() >= 4 => found(kind, Confidence::Medium, Evidence::Name),
        Hint::Strong(kind) => found(kind, Confidence::Low, Evidence::Name),
        Hint::Weak(kind) if is_random(value) => found(kind, Confidence::Medium, Evidence::NameAndEntropy),
        Hint::Weak(kind) if is_password_like(value) => found(kind, Confidence::Low, Evidence::Name),
        _ => None,
    }
}

/// A word with something in it that words do not have.
fn is_password_like(value: &[u8]) -> bool {
    value.len() >= 6
        && !value.iter().any(u8::is_ascii_whitespace)
        && value.iter().any(u8::is_ascii_alphabetic)
        && value.iter().any(|byte| !byte.is_ascii_alphabetic())
        && entropy(value) >= 2.5
}

/// A value that looks random behind a name that does not say why.
fn by_entropy(name: &[u8], value: &[u8]) -> Option<Detection> {
    const LONGEST: usize = 4096;
    let is_unexplained = matches!(hint(name), Hint::None);
    let fits = (20..=LONGEST).contains(&value.len()) && !is_harmless(value) && !is_example(value);
    (is_unexplained && fits && is_random(value)).then_some(Detection {
        kind: "random",
        confidence: Confidence::Low,
        evidence: Evidence::Entropy,
        range: 0..value.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(string: &str) -> Option<(&'static str, Confidence, usize)> {
        detect(string.as_bytes()).map(|found| (found.kind, found.confidence, found.range.len()))
    }

    #[test]
    fn names_and_values_together_decide() {
        use Confidence::{High, Low, Medium};
        for (string, expected) in [
            ("DB_PASSWORD=swordfish", Some(("password", Medium, 9))),
            ("DB_PASSWORD=q8Zt3LmV0xKp2NwR7yBc", Some(("password", High, 20))),
            ("DB_PASSWORD=abc", Some(("password", Low, 3))),
            ("DB_PASSWORD=", None),
            ("DB_PASSWORD=/run/secrets/db", None),
            ("DB_PASSWORD_FILE=swordfish", None),
            ("TOKEN_COUNT=4096", None),
            ("RETRY_TOKEN=12", None),
            ("MYSQL_PWD=sw0rdfish", Some(("password", Low, 9))),
            ("AUTH=basic", None),
            ("AUTH=q8Zt3LmV0xKp2NwR7yBc", Some(("token", Medium, 20))),
            ("SOMETHING=q8Zt3LmV0xKp2NwR7yBc", Some(("random", Low, 20))),
            ("GIT_COMMIT=d41d8cd98f00b204e9800998ecf8427ed41d8cd9", None),
            ("DATABASE_URL=postgres://app:swordfish@db/app", Some(("url-password", High, 9))),
            ("DATABASE_URL=postgres://app@db/app", None),
            ("HOME=/home/somebody", None),
            ("no equals sign", None),
            ("=", None),
            ("", None),
        ] {
            assert_eq!(told(string), expected, "{string}");
        }
    }

    #[test]
    fn the_range_is_that_of_the_value() {
        let string = b"DATABASE_URL=postgres://app:swordfish@db/app";
        assert_eq!(&string[detect(string).unwrap().range], b"swordfish");
        let string = b"A_TOKEN=swordfish";
        assert_eq!(&string[detect(string).unwrap().range], b"swordfish");
    }
}
