//! What a token looks like, as data, and the matcher of it: a sequence of fixed texts and runs
//! of characters, matched from left to right without going back.

use std::ops::Range;

use crate::checksum;
use crate::{Confidence, Detection, Evidence};

/// A set of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Digit,
    /// `0-9a-f`
    Hex,
    /// `0-9a-fA-F`
    AnyHex,
    /// `a-z0-9`
    Lower,
    /// `A-Z2-7`
    Base32,
    /// `A-Z0-9`
    Upper,
    /// `A-Za-z`
    Letter,
    /// `0-9A-Za-z`
    Base62,
    /// `0-9A-Za-z_-`
    Base64Url,
    /// `0-9A-Za-z+/`
    Base64,
    /// `0-9A-Za-z_.~-`, what needs no escape in a URL
    Unreserved,
    /// Printable ASCII but white space, quotes and `;&<>`
    Graphic,
}

impl Class {
    pub(crate) const fn has(self, byte: u8) -> bool {
        match self {
            Self::Digit => byte.is_ascii_digit(),
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Self::AnyHex => byte.is_ascii_hexdigit(),
            Self::Lower => matches!(byte, b'0'..=b'9' | b'a'..=b'z'),
            Self::Base32 => matches!(byte, b'A'..=b'Z' | b'2'..=b'7'),
            Self::Upper => matches!(byte, b'0'..=b'9' | b'A'..=b'Z'),
            Self::Letter => byte.is_ascii_alphabetic(),
            Self::Base62 => byte.is_ascii_alphanumeric(),
            Self::Base64Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'),
            Self::Unreserved => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'~' | b'-'),
            Self::Graphic => {
                byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b';' | b'&' | b'<' | b'>' | b'\\')
            }
        }
    }
}

/// A piece of a format.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// This text.
    Text(&'static str),
    /// One of these texts; none is the beginning of a later one.
    Either(&'static [&'static str]),
    /// Between so many and so many characters of a class, as many as there are.
    Run(Class, usize, usize),
    /// This text, if it is there.
    Maybe(&'static str),
}

/// What else must be true of the text that a format matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Nothing, but that it is no placeholder.
    Plain,
    /// Nothing at all: what is matched is only the beginning of the credential.
    Marker,
    /// The last six characters are the CRC-32 of what is between them and the `_`, in base 62.
    Crc32Base62,
    /// The last eight characters are the CRC-32 of what is before the last `=`, in hexadecimal.
    Crc32Hex,
    /// Bech32, with the checksum of its human-readable part.
    Bech32,
    /// The header of a JSON Web Token that names an algorithm.
    TokenHeader,
}

impl Check {
    pub(crate) const fn is_checksum(self) -> bool {
        matches!(self, Self::Crc32Base62 | Self::Crc32Hex | Self::Bech32)
    }

    fn passes(self, bytes: &[u8]) -> bool {
        match self {
            Self::Marker => true,
            Self::Plain => !is_placeholder(bytes),
            Self::Crc32Base62 => checksum::crc32_base62(bytes),
            Self::Crc32Hex => checksum::crc32_hex(bytes),
            Self::Bech32 => checksum::bech32(bytes),
            Self::TokenHeader => checksum::token_header(bytes),
        }
    }
}

/// What a kind of token looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) kind: &'static str,
    pub(crate) parts: &'static [Part],
    pub(crate) check: Check,
    pub(crate) confidence: Confidence,
}

impl Format {
    /// The end of the match that begins at `start`.
    fn end(&self, bytes: &[u8], start: usize) -> Option<usize> {
        let mut at = start;
        for part in self.parts {
            let rest = bytes.get(at..)?;
            at += match part {
                Part::Text(text) => rest.starts_with(text.as_bytes()).then_some(text.len())?,
                Part::Maybe(text) => {
                    if rest.starts_with(text.as_bytes()) {
                        text.len()
                    } else {
                        0
                    }
                }
                Part::Either(texts) => texts.iter().find(|text| rest.starts_with(text.as_bytes()))?.len(),
                Part::Run(class, least, most) => {
                    let length = rest.iter().take(*most).take_while(|byte| class.has(**byte)).count();
                    (length >= *least).then_some(length)?
                }
            };
        }
        Some(at)
    }

    fn detect(&self, bytes: &[u8], start: usize) -> Option<Detection> {
        let end = self.end(bytes, start)?;
        // A token ends where its word ends; a beginning need not.
        let ends = self.check == Check::Marker || !bytes.get(end).is_some_and(|byte| is_word(*byte));
        if !ends || !self.check.passes(&bytes[start..end]) {
            return None;
        }
        let evidence = if self.check.is_checksum() { Evidence::Checksum } else { Evidence::Format };
        Some(Detection { kind: self.kind, confidence: self.confidence, evidence, range: start..end })
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// All tokens of known formats, which do not overlap; the first format wins.
pub(crate) fn find<'a>(formats: &'static [Format], bytes: &'a [u8]) -> impl Iterator<Item = Detection> + use<'a> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at;
            at += 1;
            // Tokens begin where a word does; a `-` (of a PEM block) is a beginning too.
            let before = start.checked_sub(1).and_then(|before| bytes.get(before));
            let begins = !before.is_some_and(u8::is_ascii_alphanumeric);
            if begins && let Some(found) = formats.iter().find_map(|format| format.detect(bytes, start)) {
                at = found.range.end.max(at);
                return Some(found);
            }
        }
        None
    })
}

/// Whether this stands in the place of a token, in an example or a template: it says so, or is
/// made of few different characters.
fn is_placeholder(bytes: &[u8]) -> bool {
    const LEAST_DIFFERENT: usize = 7;
    let mut seen = [false; 256];
    for byte in bytes {
        seen[usize::from(*byte)] = true;
    }
    seen.iter().filter(|seen| **seen).count() < LEAST_DIFFERENT
        || contains_word(bytes, &[b"example", b"xxxxxx", b"your-", b"your_", b"000000000000"])
}

/// Whether one of these lower-case words is in the text, in whatever case.
pub(crate) fn contains_word(bytes: &[u8], words: &[&[u8]]) -> bool {
    words.iter().any(|word| bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word)))
}

/// The range, moved by so much.
pub(crate) fn shifted(range: Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}
