//! Classes of characters, as the implementations of the dialects have them, and walks over
//! bytes by them. Everything here works on valid UTF-8.

/// The character at `at` and its length in bytes.
pub(crate) fn character(text: &[u8], at: usize) -> Option<(char, usize)> {
    let first = *text.get(at)?;
    if first < 0x80 {
        return Some((char::from(first), 1));
    }
    let len = match first {
        0xf0.. => 4,
        0xe0.. => 3,
        _ => 2,
    };
    let bytes = text.get(at..at + len)?;
    let character = str::from_utf8(bytes).ok()?.chars().next()?;
    Some((character, len))
}

/// The first place from `at` on whose character is not of the class.
pub(crate) fn skip(text: &[u8], mut at: usize, class: impl Fn(char) -> bool) -> usize {
    while let Some((character, len)) = character(text, at) {
        if !class(character) {
            break;
        }
        at += len;
    }
    at
}

/// What remains without the characters of the class at both ends, as a range.
pub(crate) fn trim(text: &[u8], class: impl Fn(char) -> bool + Copy) -> std::ops::Range<usize> {
    let start = skip(text, 0, class);
    start..trim_end(text, start, class)
}

/// The end of what remains without the characters of the class behind `start`.
pub(crate) fn trim_end(text: &[u8], start: usize, class: impl Fn(char) -> bool) -> usize {
    let mut end = text.len();
    while end > start {
        let mut before = end - 1;
        while before > start && text[before] & 0b1100_0000 == 0b1000_0000 {
            before -= 1;
        }
        match character(text, before) {
            Some((last, _)) if class(last) => end = before,
            _ => break,
        }
    }
    end
}

/// Where `needle` begins in `text` from `from` on.
pub(crate) fn find(text: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = from;
    loop {
        at += text.get(at..)?.iter().position(|byte| *byte == first)?;
        if text[at..].starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
}

/// The end of the line that `at` is in: its LF or the end of the text.
pub(crate) fn line_end(text: &[u8], at: usize) -> usize {
    find(text, at, b"\n").unwrap_or(text.len())
}

/// `\s` of JavaScript.
pub(crate) fn is_javascript_space(character: char) -> bool {
    matches!(
        character,
        '\t'..='\r'
            | ' '
            | '\u{a0}'
            | '\u{1680}'
            | '\u{2000}'..='\u{200a}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202f}'
            | '\u{205f}'
            | '\u{3000}'
            | '\u{feff}'
    )
}

/// `\s` of Ruby.
pub(crate) fn is_ruby_space(character: char) -> bool {
    matches!(character, '\t'..='\r' | ' ')
}

/// `\s` of Python's regular expressions.
pub(crate) fn is_python_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\x1c'..='\x1f')
}

/// A letter, a digit or `_`.
pub(crate) fn is_word(character: char) -> bool {
    character == '_' || character.is_ascii_alphanumeric()
}

/// Counts the lines up to places that are asked for in their order.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// The line that `offset` is in, from 1.
    pub(crate) fn of(&mut self, offset: usize) -> usize {
        if offset > self.at {
            self.line += self.text[self.at..offset].iter().filter(|byte| **byte == b'\n').count();
            self.at = offset;
        }
        self.line
    }
}
