//! The line that npm's dotenv, dotenvx and Ruby's dotenv look for with one regular expression
//! each. Their expressions are alike: an optional `export`, a key, a separator, and a value that
//! is quoted, if something acceptable follows the closing quote, or else goes on to a `#` or the
//! end of the line. White space may hold line breaks nearly everywhere.

use std::ops::Range;

use super::chars::{character, is_word, line_end, skip};

/// What differs between the expressions.
pub(crate) struct Pattern {
    pub(crate) is_space: fn(char) -> bool,
    /// The quotes.
    pub(crate) quotes: &'static [u8],
    /// Whether `-` may stand in a key.
    pub(crate) dash_in_key: bool,
    /// Whether a key without a separator is a line too.
    pub(crate) key_alone: bool,
}

/// A line that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) key: Range<usize>,
    /// Where `export` stands.
    pub(crate) export: Option<usize>,
    /// What is behind the separator, with white space and quotes.
    pub(crate) value: Option<Range<usize>>,
    end: usize,
}

/// Finds the lines of a text whose line breaks are LF, one after the other.
pub(crate) struct Scanner<'a> {
    pub(crate) pattern: &'static Pattern,
    pub(crate) text: &'a [u8],
    pub(crate) at: usize,
}

impl Iterator for Scanner<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            // A match begins where a line begins.
            if self.at > 0 && self.text.get(self.at - 1) != Some(&b'\n') {
                self.at = line_end(self.text, self.at) + 1;
            }
            if self.at >= self.text.len() {
                return None;
            }
            let start = skip(self.text, self.at, self.pattern.is_space);
            if let Some(line) = self.line(start) {
                self.at = line.end.max(self.at + 1);
                return Some(line);
            }
            self.at = line_end(self.text, start) + 1;
        }
    }
}

impl Scanner<'_> {
    fn line(&self, start: usize) -> Option<Line> {
        if self.text[start..].starts_with(b"export") {
            let after = start + "export".len();
            let key = skip(self.text, after, self.pattern.is_space);
            if key > after
                && let Some(line) = self.assignment(key)
            {
                return Some(Line { export: Some(start), ..line });
            }
        }
        self.assignment(start)
    }

    fn assignment(&self, start: usize) -> Option<Line> {
        let dash = self.pattern.dash_in_key;
        let end =
            skip(self.text, start, |character| is_word(character) || character == '.' || (dash && character == '-'));
        if end == start {
            return None;
        }
        let key = start..end;
        match self.separator(end) {
            Some(after) => {
                let (value, end) = self.value(after);
                Some(Line { key, export: None, value, end })
            }
            None if self.pattern.key_alone => {
                let end = self.rest(end)?;
                Some(Line { key, export: None, value: None, end })
            }
            None => None,
        }
    }

    /// The place behind `=`, or behind `:` and one white space.
    fn separator(&self, at: usize) -> Option<usize> {
        let equals = skip(self.text, at, self.pattern.is_space);
        if self.text.get(equals) == Some(&b'=') {
            return Some(equals + 1);
        }
        if self.text.get(at) == Some(&b':') {
            let (blank, len) = character(self.text, at + 1)?;
            return (self.pattern.is_space)(blank).then_some(at + 1 + len);
        }
        None
    }

    /// The value that begins at `at`, and where the line ends.
    fn value(&self, at: usize) -> (Option<Range<usize>>, usize) {
        let opening = skip(self.text, at, self.pattern.is_space);
        if let Some(quote) = self.text.get(opening).filter(|byte| self.pattern.quotes.contains(byte))
            && let Some((closing, end)) = self.closing(opening, *quote)
        {
            return (Some(at..closing + 1), end);
        }
        let end = self.text[at..].iter().position(|byte| matches!(byte, b'#' | b'\n'));
        let end = end.map_or(self.text.len(), |end| at + end);
        let line_end = if self.text.get(end) == Some(&b'#') { line_end(self.text, end) } else { end };
        ((end > at).then_some(at..end), line_end)
    }

    /// The last quote that can close the value: the first without a backslash before it, or one
    /// with a backslash if what follows the others is not acceptable.
    fn closing(&self, opening: usize, quote: u8) -> Option<(usize, usize)> {
        let mut last = None;
        let mut at = opening + 1;
        while let Some(found) = self.text[at..].iter().position(|byte| *byte == quote) {
            let closing = at + found;
            if let Some(end) = self.rest(closing + 1) {
                last = Some((closing, end));
            }
            // Only a backslash inside of the value can make the quote part of it.
            if closing == opening + 1 || self.text[closing - 1] != b'\\' {
                break;
            }
            at = closing + 1;
        }
        last
    }

    /// Where a line ends of which only white space and a comment may be left.
    fn rest(&self, at: usize) -> Option<usize> {
        let end = skip(self.text, at, self.pattern.is_space);
        match self.text.get(end) {
            None => Some(end),
            Some(b'#') => Some(line_end(self.text, end)),
            Some(_) => self.text[at..end].iter().rposition(|byte| *byte == b'\n').map(|last| at + last),
        }
    }
}
