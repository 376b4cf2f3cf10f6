//! The ways in which a value may be written.
//!
//! A form cuts a value into units and knows, for each unit, the texts that may stand for it. No
//! text of a unit is the beginning of another one of the same unit, so there is one way at most
//! to read a text as a form of a value.

/// A way in which a value may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// As it is; a line feed may have become carriage return and line feed, as a terminal makes it.
    Plain,
    /// Two hexadecimal digits for each byte, lower or upper case.
    Hex,
    /// Base64 of a text in which this many bytes (modulo 3) are before the value; both
    /// alphabets. The form has the characters that hold bits of the value, but for the first
    /// one if that holds bits of a byte before too.
    Base64(u8),
    /// Any choice of bytes as `%` and two digits, lower or upper case; `+` for a blank.
    Percent,
    /// The inside of a JSON string, with any choice of characters as `\uXXXX`.
    Json,
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

impl Form {
    /// All forms.
    pub const ALL: [Self; 7] =
        [Self::Plain, Self::Hex, Self::Base64(0), Self::Base64(1), Self::Base64(2), Self::Percent, Self::Json];

    /// The first unit. Units are numbered by bytes of the value, in base64 by characters.
    pub(crate) const fn first(self) -> usize {
        match self {
            // The first character is all the value's, or only the second or third one is.
            Self::Base64(before) => {
                if before == 0 {
                    0
                } else {
                    before as usize + 1
                }
            }
            _ => 0,
        }
    }

    /// The number behind the last unit.
    pub(crate) const fn end(self, value: &[u8]) -> usize {
        match self {
            Self::Base64(before) => ((value.len() + before as usize) * 8).div_ceil(6),
            _ => value.len(),
        }
    }

    /// Shows the texts of the unit at `at` and says where the next one is.
    #[inline]
    pub(crate) fn unit(self, value: &[u8], at: usize, visit: &mut impl FnMut(&[u8])) -> usize {
        match self {
            Self::Plain => {
                visit(&value[at..=at]);
                if value[at] == b'\n' {
                    visit(b"\r\n");
                }
                at + 1
            }
            Self::Hex => {
                both_cases(value[at], |digits| visit(digits));
                at + 1
            }
            Self::Base64(before) => {
                base64(value, before.into(), at, visit);
                at + 1
            }
            Self::Percent => {
                percent(value[at], visit);
                at + 1
            }
            Self::Json => json(value, at, visit),
        }
    }

    /// The length of the longest text for a value of `length` bytes.
    pub(crate) const fn longest(length: usize) -> usize {
        // `\uXXXX` and `%0D%0A`.
        6 * length
    }
}

fn digits(byte: u8, alphabet: &[u8; 16]) -> [u8; 2] {
    [alphabet[usize::from(byte >> 4)], alphabet[usize::from(byte & 15)]]
}

fn both_cases(byte: u8, mut visit: impl FnMut(&[u8; 2])) {
    let (lower, upper) = (digits(byte, LOWER), digits(byte, UPPER));
    visit(&lower);
    if upper != lower {
        visit(&upper);
    }
}

/// Character `at` of the base64 text of `before` unknown bytes, the value, and unknown bytes.
fn base64(value: &[u8], before: usize, at: usize, visit: &mut impl FnMut(&[u8])) {
    // The bits of the character in the value.
    let bit = at * 6 - before * 8;
    let (byte, shift) = (bit / 8, bit % 8);
    let window = u16::from(value[byte]) << 8 | value.get(byte + 1).map_or(0, |next| u16::from(*next));
    let sextet = usize::from(window >> (10 - shift) & 0x3f);
    // Bits behind the value's end may be anything.
    let unknown = (bit + 6).saturating_sub(value.len() * 8);
    for low in 0..1 << unknown {
        let character = STANDARD[sextet | low];
        visit(&[character]);
        match character {
            b'+' => visit(b"-"),
            b'/' => visit(b"_"),
            _ => {}
        }
    }
}

fn percent(byte: u8, visit: &mut impl FnMut(&[u8])) {
    // A bare `%` is no encoding of anything.
    if byte != b'%' {
        visit(&[byte]);
    }
    if byte == b' ' {
        visit(b"+");
    }
    both_cases(byte, |digits| visit(&[b'%', digits[0], digits[1]]));
    if byte == b'\n' {
        // HTML forms send line ends so.
        visit(b"%0d%0a");
        visit(b"%0D%0A");
    }
}

fn json(value: &[u8], at: usize, visit: &mut impl FnMut(&[u8])) -> usize {
    let byte = value[at];
    let short = match byte {
        b'"' | b'\\' | b'/' => Some(byte),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        8 => Some(b'b'),
        12 => Some(b'f'),
        _ => None,
    };
    if let Some(short) = short {
        visit(&[b'\\', short]);
    }
    if byte < 0x80 {
        if byte >= b' ' && !matches!(byte, b'"' | b'\\') {
            visit(&[byte]);
        }
        escapes(&[byte.into()], visit);
        return at + 1;
    }
    let Some((character, length)) = character(&value[at..]) else {
        visit(&[byte]);
        return at + 1;
    };
    visit(&value[at..at + length]);
    escapes(character.encode_utf16(&mut [0; 2]), visit);
    at + length
}

/// `\uXXXX` for each UTF-16 unit, in lower and in upper case.
fn escapes(units: &[u16], visit: &mut impl FnMut(&[u8])) {
    let text = |alphabet: &[u8; 16]| {
        let mut text = [0; 12];
        for (place, unit) in text.chunks_exact_mut(6).zip(units) {
            let [high, low] = unit.to_be_bytes();
            place[..2].copy_from_slice(b"\\u");
            place[2..4].copy_from_slice(&digits(high, alphabet));
            place[4..].copy_from_slice(&digits(low, alphabet));
        }
        text
    };
    let (lower, upper) = (text(LOWER), text(UPPER));
    visit(&lower[..units.len() * 6]);
    if upper != lower {
        visit(&upper[..units.len() * 6]);
    }
}

/// The first character of a UTF-8 text, and its length.
fn character(text: &[u8]) -> Option<(char, usize)> {
    let length = match text.first()? {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let text = std::str::from_utf8(text.get(..length)?).ok()?;
    text.chars().next().map(|character| (character, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(form: Form, value: &[u8]) -> Vec<Vec<String>> {
        let mut at = form.first();
        let mut units = Vec::new();
        while at < form.end(value) {
            let mut texts = Vec::new();
            at = form.unit(value, at, &mut |text| texts.push(String::from_utf8_lossy(text).into_owned()));
            units.push(texts);
        }
        units
    }

    #[test]
    fn units_have_the_texts_that_encoders_write() {
        assert_eq!(texts(Form::Plain, b"a\n"), [vec!["a"], vec!["\n", "\r\n"]]);
        assert_eq!(texts(Form::Hex, b"\x00\xaf"), [vec!["00"], vec!["af", "AF"]]);
        assert_eq!(
            texts(Form::Percent, b"a %\n"),
            [vec!["a", "%61"], vec![" ", "+", "%20"], vec!["%25"], vec!["\n", "%0a", "%0A", "%0d%0a", "%0D%0A"]]
        );
        assert_eq!(
            texts(Form::Json, "a\"/\né😀".as_bytes()),
            [
                vec!["a", "\\u0061"],
                vec!["\\\"", "\\u0022"],
                vec!["\\/", "/", "\\u002f", "\\u002F"],
                vec!["\\n", "\\u000a", "\\u000A"],
                vec!["é", "\\u00e9", "\\u00E9"],
                vec!["😀", "\\ud83d\\ude00", "\\uD83D\\uDE00"]
            ]
        );
    }

    #[test]
    fn base64_has_every_character_with_a_full_or_last_part_of_the_value() {
        // "Man" is TWFu; "xMan" is eE1hbg== and "xxMan" eHhNYW4=.
        assert_eq!(texts(Form::Base64(0), b"Man").concat(), ["T", "W", "F", "u"]);
        let one = texts(Form::Base64(1), b"Man");
        assert_eq!(one[..2].concat(), ["1", "h"]);
        assert_eq!(one[2], ["b"]);
        assert_eq!(one[3].len(), 16);
        assert_eq!(one[3][0], "g");
        let two = texts(Form::Base64(2), b"Man");
        assert_eq!(two[..3].concat(), ["N", "Y", "W"]);
        assert_eq!(two[3], ["4", "5", "6", "7"]);
        assert_eq!(
            texts(Form::Base64(0), b"\xfb\xef\xff"),
            [vec!["+", "-"], vec!["+", "-"], vec!["/", "_"], vec!["/", "_"]].to_vec()
        );
    }

    #[test]
    fn no_text_of_a_unit_begins_another() {
        for byte in 0..=255_u8 {
            for form in Form::ALL {
                for units in texts(form, &[byte, 200, 10]) {
                    for (index, one) in units.iter().enumerate() {
                        let others = units.iter().enumerate().filter(|(other, _)| *other != index);
                        // Bytes that are no UTF-8 look alike here, but stand alone.
                        for (_, other) in others.filter(|_| !one.contains('\u{fffd}')) {
                            assert!(!other.starts_with(one.as_str()), "{form:?} {byte}: {one:?} {other:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_longer_than_the_longest() {
        for value in ["\n\n\n", "ééé", "😀😀", "aaa"] {
            for form in Form::ALL {
                let length: usize = texts(form, value.as_bytes())
                    .iter()
                    .map(|texts| texts.iter().map(String::len).max().unwrap_or(0))
                    .sum();
                assert!(length <= Form::longest(value.len()), "{form:?} {length}");
            }
        }
    }
}
