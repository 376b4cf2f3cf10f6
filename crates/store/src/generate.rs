//! Values made by rule from the kernel's random numbers.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::StoreError;

/// How a value is to be made.
///
/// `hex:BYTES`, `base64:BYTES`, `base64url:BYTES`, `uuid`, `digits:LENGTH`, `letters:LENGTH`,
/// `alnum:LENGTH`, `ascii:LENGTH` (all that can be printed, no blank, quote or backslash) and
/// `chars:LENGTH:CHARACTERS`; the number may be left out, but for the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Random bytes, two hexadecimal digits each.
    Hex(usize),
    /// Random bytes in base64.
    Base64(usize),
    /// The same in the alphabet of URLs, without padding.
    Base64Url(usize),
    /// A random UUID (version 4).
    Uuid,
    /// Characters drawn alike from these.
    Characters(usize, Vec<char>),
}

/// A rule that cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleError {
    /// There is no such rule.
    Unknown,
    /// The number is none, 0 or above 65536.
    Number,
    /// Fewer than two characters, or one of them twice, or NUL.
    Characters,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => {
                "no such rule; write hex:32, base64:32, base64url:32, uuid, digits:6, letters:24, alnum:24, \
                 ascii:24 or chars:24:abc…"
            }
            Self::Number => "the number behind the colon must be between 1 and 65536",
            Self::Characters => "the characters to draw from must be at least two, each once",
        })
    }
}

impl std::error::Error for RuleError {}

const MOST: usize = 65_536;

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        let count = |text: Option<&str>, usual: usize| match text {
            None => Ok(usual),
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|count| (1..=MOST).contains(count)).ok_or(RuleError::Number)
            }
            Some(_) => Err(RuleError::Number),
        };
        let of = |ranges: &[std::ops::RangeInclusive<char>]| ranges.iter().cloned().flatten().collect::<Vec<char>>();
        Ok(match kind {
            "hex" => Self::Hex(count(rest, 32)?),
            "base64" => Self::Base64(count(rest, 32)?),
            "base64url" => Self::Base64Url(count(rest, 32)?),
            "uuid" if rest.is_none() => Self::Uuid,
            "digits" => Self::Characters(count(rest, 6)?, of(&['0'..='9'])),
            "letters" => Self::Characters(count(rest, 24)?, of(&['a'..='z', 'A'..='Z'])),
            "alnum" => Self::Characters(count(rest, 24)?, of(&['a'..='z', 'A'..='Z', '0'..='9'])),
            "ascii" => {
                let all = ('!'..='~').filter(|c| !matches!(c, '"' | '\'' | '\\' | '`'));
                Self::Characters(count(rest, 24)?, all.collect())
            }
            "chars" => {
                let (number, characters) = rest.and_then(|rest| rest.split_once(':')).ok_or(RuleError::Number)?;
                let characters: Vec<char> = characters.chars().collect();
                let mut sorted = characters.clone();
                sorted.sort_unstable();
                sorted.dedup();
                if characters.len() < 2 || sorted.len() != characters.len() || sorted[0] == '\0' {
                    return Err(RuleError::Characters);
                }
                Self::Characters(count(Some(number), 0)?, characters)
            }
            _ => return Err(RuleError::Unknown),
        })
    }
}

impl Rule {
    /// Makes a value.
    ///
    /// # Errors
    /// [`StoreError::Random`].
    pub fn make(&self) -> Result<String, StoreError> {
        Ok(match self {
            Self::Hex(count) => random(*count)?.iter().map(|byte| format!("{byte:02x}")).collect(),
            Self::Base64(count) => STANDARD.encode(random(*count)?),
            Self::Base64Url(count) => URL_SAFE_NO_PAD.encode(random(*count)?),
            Self::Uuid => uuid(&random(16)?),
            Self::Characters(count, characters) => draw(*count, characters)?,
        })
    }
}

fn uuid(random: &[u8]) -> String {
    let mut bytes = random.to_vec();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    text
}

/// Draws characters, each with the same probability: numbers that would favour the first ones
/// are thrown away.
fn draw(count: usize, characters: &[char]) -> Result<String, StoreError> {
    let among = u32::try_from(characters.len()).unwrap_or(u32::MAX);
    let fair = u32::MAX - u32::MAX % among;
    let mut text = String::with_capacity(4 * count);
    let mut drawn = 0;
    while drawn < count {
        for word in random(256)?.chunks_exact(4) {
            let number = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            if number < fair && drawn < count {
                text.push(characters[(number % among) as usize]);
                drawn += 1;
            }
        }
    }
    Ok(text)
}

fn random(count: usize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![0; count];
    for piece in bytes.chunks_mut(256) {
        envward_kernel::random::fill(piece).map_err(StoreError::Random)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(rule: &str) -> String {
        rule.parse::<Rule>().unwrap().make().unwrap()
    }

    #[test]
    fn values_follow_their_rule() {
        for (rule, length) in [
            ("hex", 64),
            ("hex:3", 6),
            ("base64:3", 4),
            ("base64url:4", 6),
            ("uuid", 36),
            ("digits", 6),
            ("letters:7", 7),
            ("alnum", 24),
            ("ascii:500", 500),
            ("chars:9:xyz", 9),
        ] {
            let value = made(rule);
            assert_eq!(value.chars().count(), length, "{rule}");
            assert!(value != made(rule) || length < 7, "{rule}: twice the same");
        }
        assert!(made("digits:100").bytes().all(|byte| byte.is_ascii_digit()));
        assert!(made("chars:50:äö").chars().all(|c| "äö".contains(c)));
        let uuid = made("uuid");
        assert!(uuid.as_bytes()[14] == b'4' && b"89ab".contains(&uuid.as_bytes()[19]));
    }

    #[test]
    fn every_character_is_drawn_about_as_often() {
        let text = made("chars:30000:abc");
        for c in ['a', 'b', 'c'] {
            let count = text.matches(c).count();
            // Six standard deviations.
            assert!((9_500..10_500).contains(&count), "{c}: {count}");
        }
    }

    #[test]
    fn wrong_rules_are_refused() {
        for (rule, error) in [
            ("", RuleError::Unknown),
            ("words", RuleError::Unknown),
            ("uuid:4", RuleError::Unknown),
            ("hex:0", RuleError::Number),
            ("hex:-1", RuleError::Number),
            ("hex:65537", RuleError::Number),
            ("hex:", RuleError::Number),
            ("chars:9", RuleError::Number),
            ("chars:9:a", RuleError::Characters),
            ("chars:9:aa", RuleError::Characters),
        ] {
            assert_eq!(rule.parse::<Rule>(), Err(error), "{rule}");
        }
    }
}
