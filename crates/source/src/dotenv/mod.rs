//! The grammar of env files, as a pure parser on bytes.
//!
//! The dialect is the one that Elixir's Dotenvy documents:
//!
//! * A line is empty, a `#` comment, or `KEY=value`. Blanks around the key, the
//!   `=` and the value do not count, and `export ` may come first. A key is
//!   `[a-zA-Z_][a-zA-Z0-9_]*`.
//! * An **unquoted** value ends with its line or at a `#`, wherever that is.
//! * A **"double"** quoted value may span lines. In it and in unquoted values
//!   `\n \r \t \f \b \" \' \\` and `\uXXXX` are escapes, and any other character
//!   after a backslash stands for itself.
//! * A **'single'** quoted value is taken as it is, also over several lines.
//! * **`"""`** and **`'''`** open the same two kinds as a heredoc: the value
//!   starts on the next line and ends before the next three quotes, so that its
//!   last line break belongs to it.
//! * **`${KEY}`** in unquoted and double-quoted values stands for the value
//!   of an earlier variable; an undefined one is an error. `$KEY` is text, and
//!   there are no operators such as `:-`.
//! * Only a comment may follow a closing quote. A quote inside an unquoted value
//!   is an error.
//!
//! Where that description leaves something open:
//!
//! * `$(command)` is a [piece](Piece::Command) of its own, as nothing here runs commands; in
//!   single quotes it is text. It ends at the first `)`.
//! * The file is UTF-8. A byte order mark at its start is skipped.
//! * CR LF is a line break like LF, and is LF inside a quoted value (write `\r`
//!   for a carriage return); any other CR is a blank.
//! * Only the blanks that are written around an unquoted value are taken off, not
//!   those that an escape or a variable brings.
//! * A backslash at the end of an unquoted value is an error.
//! * `\uXXXX` must name a character: not NUL, and not one half of a surrogate
//!   pair.
//!
//! The parser borrows everything from its input and copies no byte of a value.
//! Its errors tell where and what in terms of the grammar; of the file's text
//! they show only valid keys and the names in `${…}`.

mod cursor;
mod error;
mod excerpt;
#[cfg(test)]
mod tests;

use cursor::{Cursor, is_blank, is_continuation, is_key, is_word};
pub use error::{Position, Problem, Quote, SyntaxError};
pub use excerpt::Excerpt;

/// Reads an env file from memory, one key and then one piece of its value at a
/// time.
///
/// ```
/// use envward_source::dotenv::{Parser, Piece};
///
/// let mut parser = Parser::new(b"export HOST=db # main\n").unwrap();
/// let key = parser.next_key().unwrap().unwrap();
/// assert_eq!((key.name, key.line), ("HOST", 1));
/// assert_eq!(parser.next_piece().unwrap(), Some(Piece::Bytes(b"db")));
/// assert_eq!(parser.next_piece().unwrap(), None);
/// assert_eq!(parser.next_key().unwrap(), None);
/// ```
pub struct Parser<'a> {
    /// In valid UTF-8 without NUL and byte order mark.
    cursor: Cursor<'a>,
    key: Option<&'a str>,
    value: Option<Value>,
}

/// The left side of an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Key<'a> {
    /// The name, always of the grammar for keys.
    pub name: &'a str,
    /// The line it stands on, from 1.
    pub line: usize,
    /// Where its value starts, with the quote if it has one.
    pub value: Position,
}

/// A part of a value, in order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes to be taken as they are.
    Bytes(&'a [u8]),
    /// The character of a `\uXXXX` escape.
    Character(char),
    /// The value of an earlier variable.
    Variable {
        /// Its name, always of the grammar for keys.
        name: &'a str,
        /// Where `${` stands.
        position: Position,
    },
    /// What the command writes.
    Command {
        /// What stands between the parentheses.
        command: &'a str,
        /// Where `$(` stands.
        position: Position,
    },
}

#[derive(Clone, Copy)]
enum Value {
    Unquoted,
    Quoted { quote: Quote, opened: Position },
}

impl<'a> Parser<'a> {
    /// A parser at the start of `input`.
    ///
    /// # Errors
    ///
    /// [`Problem::InvalidUtf8`] and [`Problem::NulByte`].
    pub fn new(input: &'a [u8]) -> Result<Self, SyntaxError> {
        let text = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
        let mut parser = Self { cursor: Cursor::new(text), key: None, value: None };
        let valid = match std::str::from_utf8(text) {
            Ok(_) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let nul = text[..valid].iter().position(|byte| *byte == 0);
        let (wrong, problem) = match nul {
            Some(nul) => (nul, Problem::NulByte),
            None if valid < text.len() => (valid, Problem::InvalidUtf8),
            None => return Ok(parser),
        };
        parser.cursor.advance_to(wrong);
        Err(parser.error_here(problem))
    }

    /// The next key; `None` at the end of the file. What was not read of the
    /// value before is skipped.
    ///
    /// # Errors
    ///
    /// Whatever is wrong up to and including the `=` and an opening quote, or in
    /// the skipped value. Parsing cannot go on after an error.
    pub fn next_key(&mut self) -> Result<Option<Key<'a>>, SyntaxError> {
        while self.next_piece()?.is_some() {}
        self.key = None;
        loop {
            self.cursor.skip_blanks();
            match self.cursor.peek() {
                None => return Ok(None),
                Some(b'\n') => self.cursor.advance_to(self.cursor.at + 1),
                Some(b'#') => self.cursor.skip_comment(),
                Some(_) => return self.key().map(Some),
            }
        }
    }

    /// The next piece of the value of the last key; `None` after its last.
    ///
    /// # Errors
    ///
    /// Whatever is wrong in the value or behind it on its last line. Parsing
    /// cannot go on after an error.
    pub fn next_piece(&mut self) -> Result<Option<Piece<'a>>, SyntaxError> {
        match self.value {
            None => Ok(None),
            Some(Value::Unquoted) => self.unquoted_piece(),
            Some(Value::Quoted { quote, opened }) => self.quoted_piece(quote, opened),
        }
    }

    fn key(&mut self) -> Result<Key<'a>, SyntaxError> {
        let mut start = self.cursor.at;
        let mut name = self.cursor.word();
        if name == "export" && self.cursor.peek().is_some_and(is_blank) {
            self.cursor.skip_blanks();
            if self.cursor.peek().is_some_and(is_word) {
                start = self.cursor.at;
                name = self.cursor.word();
            }
        }
        if !is_key(name) {
            let problem = match (name, self.cursor.peek()) {
                ("", Some(b'=')) => Problem::MissingKey,
                _ => Problem::InvalidKey,
            };
            let wrong = if name.is_empty() { self.cursor.at } else { start };
            return Err(self.error_at(wrong, problem));
        }
        if self.cursor.peek().is_some_and(|byte| !is_blank(byte) && !matches!(byte, b'=' | b'\n' | b'#')) {
            return Err(self.error_here(Problem::InvalidKey));
        }
        self.cursor.skip_blanks();
        if self.cursor.peek() != Some(b'=') {
            return Err(self.error_here(Problem::MissingEquals));
        }
        self.cursor.at += 1;
        self.key = Some(name);
        let line = self.cursor.line();
        self.cursor.skip_blanks();
        let value = self.cursor.position(self.cursor.at);
        self.open_value()?;
        Ok(Key { name, line, value })
    }

    fn open_value(&mut self) -> Result<(), SyntaxError> {
        self.cursor.skip_blanks();
        let Some(quote) = Quote::opening(&self.cursor.text[self.cursor.at..]) else {
            self.value = Some(Value::Unquoted);
            return Ok(());
        };
        let opened = self.cursor.position(self.cursor.at);
        self.cursor.at += quote.delimiter().len();
        if quote.is_heredoc() {
            self.end_line(Problem::TextAfterOpening)?;
        }
        self.value = Some(Value::Quoted { quote, opened });
        Ok(())
    }

    fn unquoted_piece(&mut self) -> Result<Option<Piece<'a>>, SyntaxError> {
        if let Some(piece) = self.special_piece(None)? {
            return Ok(Some(piece));
        }
        let start = self.cursor.at;
        // What is behind the last character that is not a blank.
        let mut end = start;
        loop {
            match self.cursor.peek() {
                None | Some(b'\n' | b'#') => {
                    let bytes = &self.cursor.text[start..end];
                    if !bytes.is_empty() {
                        return Ok(Some(Piece::Bytes(bytes)));
                    }
                    self.end_line(Problem::TextAfterClosing)?;
                    self.value = None;
                    return Ok(None);
                }
                Some(b'"' | b'\'') => return Err(self.error_here(Problem::TextBeforeQuote)),
                Some(_) if self.at_special() => {
                    return Ok(Some(Piece::Bytes(&self.cursor.text[start..self.cursor.at])));
                }
                Some(byte) => {
                    self.cursor.at += 1;
                    if !is_blank(byte) {
                        end = self.cursor.at;
                    }
                }
            }
        }
    }

    fn quoted_piece(&mut self, quote: Quote, opened: Position) -> Result<Option<Piece<'a>>, SyntaxError> {
        if !quote.is_raw()
            && let Some(piece) = self.special_piece(Some(quote))?
        {
            return Ok(Some(piece));
        }
        if self.cursor.rest().starts_with(b"\r\n") {
            self.cursor.at += 1;
        }
        let start = self.cursor.at;
        loop {
            let rest = self.cursor.rest();
            let closing = rest.starts_with(quote.delimiter());
            if rest.is_empty() {
                return Err(self.error(opened, Problem::Unterminated(quote)));
            } else if closing && start == self.cursor.at {
                self.cursor.at += quote.delimiter().len();
                self.end_line(Problem::TextAfterClosing)?;
                self.value = None;
                return Ok(None);
            } else if closing
                || (start < self.cursor.at && rest.starts_with(b"\r\n"))
                || (!quote.is_raw() && self.at_special())
            {
                return Ok(Some(Piece::Bytes(&self.cursor.text[start..self.cursor.at])));
            }
            self.cursor.advance_to(self.cursor.at + 1);
            self.cursor.skip_plain();
        }
    }

    /// True at an escape, at `${` and at `$(`.
    fn at_special(&self) -> bool {
        matches!(self.cursor.rest(), [b'\\', ..] | [b'$', b'{' | b'(', ..])
    }

    fn special_piece(&mut self, quote: Option<Quote>) -> Result<Option<Piece<'a>>, SyntaxError> {
        match self.cursor.rest() {
            [b'$', b'(', ..] => self.command().map(Some),
            [b'$', b'{', ..] => self.variable().map(Some),
            [b'\\', ..] => self.escape(quote).map(Some),
            _ => Ok(None),
        }
    }

    fn variable(&mut self) -> Result<Piece<'a>, SyntaxError> {
        let position = self.cursor.position(self.cursor.at);
        let inside = &self.cursor.rest()[2..];
        let end = inside.iter().position(|byte| matches!(byte, b'}' | b'\n'));
        let Some(end) = end.filter(|end| inside[*end] == b'}') else {
            return Err(self.error(position, Problem::UnterminatedReference));
        };
        let name = str::from_utf8(&inside[..end]).unwrap_or_default();
        let name = name.trim_matches(|character| character == ' ' || character == '\t');
        if !is_key(name) {
            return Err(self.error(position, Problem::InvalidReference));
        }
        self.cursor.at += 2 + end + 1;
        Ok(Piece::Variable { name, position })
    }

    fn command(&mut self) -> Result<Piece<'a>, SyntaxError> {
        let position = self.cursor.position(self.cursor.at);
        let inside = &self.cursor.rest()[2..];
        let end = inside.iter().position(|byte| matches!(byte, b')' | b'\n'));
        let Some(end) = end.filter(|end| inside[*end] == b')') else {
            return Err(self.error(position, Problem::CommandSubstitution));
        };
        let command = str::from_utf8(&inside[..end]).unwrap_or_default();
        self.cursor.at += 2 + end + 1;
        Ok(Piece::Command { command, position })
    }

    fn escape(&mut self, quote: Option<Quote>) -> Result<Piece<'a>, SyntaxError> {
        let after = &self.cursor.rest()[1..];
        let (piece, len): (&'a [u8], usize) = match after {
            [b'n', ..] => (b"\n", 1),
            [b'r', ..] => (b"\r", 1),
            [b't', ..] => (b"\t", 1),
            [b'f', ..] => (b"\x0c", 1),
            [b'b', ..] => (b"\x08", 1),
            [b'u', ..] => return self.unicode_escape(),
            [] | [b'\n', ..] | [b'\r', b'\n', ..] if quote.is_none() => {
                return Err(self.error_here(Problem::BackslashAtEnd));
            }
            [b'\r', b'\n', ..] => (b"\n", 2),
            _ => {
                let len = after.iter().skip(1).take_while(|byte| is_continuation(**byte)).count();
                let len = (1 + len).min(after.len());
                (&after[..len], len)
            }
        };
        self.cursor.advance_to(self.cursor.at + 1 + len);
        Ok(Piece::Bytes(piece))
    }

    fn unicode_escape(&mut self) -> Result<Piece<'a>, SyntaxError> {
        let digits = self.cursor.rest().get(2..6).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let number = digits
            .and_then(|digits| str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.error_here(Problem::InvalidUnicodeEscape))?;
        match char::from_u32(number) {
            None => Err(self.error_here(Problem::SurrogateEscape)),
            Some('\0') => Err(self.error_here(Problem::NulEscape)),
            Some(character) => {
                self.cursor.at += 6;
                Ok(Piece::Character(character))
            }
        }
    }

    /// Passes blanks, a comment and the line break; anything else is `problem`.
    fn end_line(&mut self, problem: Problem) -> Result<(), SyntaxError> {
        self.cursor.skip_blanks();
        if self.cursor.peek() == Some(b'#') {
            self.cursor.skip_comment();
        }
        match self.cursor.peek() {
            None => Ok(()),
            Some(b'\n') => {
                self.cursor.advance_to(self.cursor.at + 1);
                Ok(())
            }
            Some(_) => Err(self.error_here(problem)),
        }
    }

    fn error_here(&mut self, problem: Problem) -> SyntaxError {
        self.error_at(self.cursor.at, problem)
    }

    fn error_at(&mut self, offset: usize, problem: Problem) -> SyntaxError {
        let position = self.cursor.position(offset);
        self.error(position, problem)
    }

    fn error(&self, position: Position, problem: Problem) -> SyntaxError {
        SyntaxError::new(position, self.key, problem)
    }
}

impl std::fmt::Debug for Parser<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parser").field("line", &self.cursor.line()).field("key", &self.key).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(_) => f.write_str("Bytes([redacted])"),
            Self::Character(_) => f.write_str("Character([redacted])"),
            Self::Variable { name, position } => {
                f.debug_struct("Variable").field("name", name).field("position", position).finish()
            }
            Self::Command { position, .. } => {
                f.debug_struct("Command").field("position", position).finish_non_exhaustive()
            }
        }
    }
}
