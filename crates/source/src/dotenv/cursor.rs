//! A place in a text that knows its line and column.

use super::Position;

/// Walks over bytes of UTF-8. Callers that pass a line break say so by
/// [`advance_to`](Self::advance_to), which counts them.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    line: usize,
    line_start: usize,
    /// An offset in the line whose column is known, so that the columns of a
    /// long line are counted once.
    known_column: (usize, usize),
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1, line_start: 0, known_column: (0, 1) }
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Passes bytes that mean nothing anywhere in a quoted value.
    pub(super) fn skip_plain(&mut self) {
        let plain = |byte: &u8| !matches!(byte, b'\n' | b'\r' | b'"' | b'\'' | b'\\' | b'$');
        self.at += self.rest().iter().take_while(|byte| plain(byte)).count();
    }

    pub(super) fn skip_comment(&mut self) {
        let rest = self.rest();
        let len = rest.iter().position(|byte| *byte == b'\n');
        self.at += len.unwrap_or(rest.len());
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    pub(super) fn word(&mut self) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(is_word) {
            self.at += 1;
        }
        str::from_utf8(&self.text[start..self.at]).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    /// Moves on, counting the lines.
    pub(super) fn advance_to(&mut self, offset: usize) {
        for at in self.at..offset {
            if self.text[at] == b'\n' {
                self.line += 1;
                self.line_start = at + 1;
                self.known_column = (at + 1, 1);
            }
        }
        self.at = offset;
    }

    /// The position of an offset in the current line.
    pub(super) fn position(&mut self, offset: usize) -> Position {
        let (known, column) = match self.known_column {
            (known, column) if known <= offset => (known, column),
            _ => (self.line_start, 1),
        };
        let between = self.text[known..offset].iter();
        let column = column + between.filter(|byte| !is_continuation(**byte)).count();
        self.known_column = (offset, column);
        Position { line: self.line, column }
    }
}

/// Blanks do not end a line; a carriage return is one.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\x0b' | b'\x0c')
}

pub(super) fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

pub(super) fn is_key(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next();
    first.is_some_and(|first| is_word(first) && !first.is_ascii_digit()) && bytes.all(is_word)
}

/// True for the second and later bytes of a character in UTF-8.
pub(super) fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}
