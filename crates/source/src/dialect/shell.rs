//! Assignments of a POSIX shell, as `set -a; . ./file` reads them. What is not an assignment or an
//! `export` is an error, because nothing is run here.

use std::ops::Range;

use super::chars::{Lines, character, find, is_word, line_end, skip};
use super::draft::{Assignment, Draft, Stop};
use crate::dotenv::{Problem, Quote};

pub(crate) fn read(text: &[u8], draft: &mut Draft<'_>) -> Result<(), Stop> {
    let mut reader = Reader { text, at: 0, key: None, line: 0, draft, held: Vec::new() };
    let mut lines = Lines::new(text);
    loop {
        reader.skip_to_command();
        if reader.at >= text.len() {
            return Ok(());
        }
        reader.command(&mut lines)?;
        for assignment in std::mem::take(&mut reader.held) {
            reader.draft.assign(assignment);
        }
    }
}

struct Reader<'r, 'd, 't> {
    text: &'t [u8],
    at: usize,
    key: Option<&'t str>,
    line: usize,
    draft: &'r mut Draft<'d>,
    /// What an `export` assigns: only when all its values are known.
    held: Vec<Assignment>,
}

/// What a word stands in, which says how it is read and where it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The value of an assignment.
    Assignment,
    /// The word of `${NAME:-word}`.
    Word,
    /// That inside of double quotes.
    QuotedWord,
    /// Double quotes.
    Quotes,
}

/// How deep `${…}` may be nested.
const MAX_DEPTH: usize = 64;

impl<'t> Reader<'_, '_, 't> {
    fn wrong(&self, offset: usize, problem: Problem) -> Stop {
        Stop::at(offset, self.key, problem)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &'t [u8] {
        &self.text[self.at..]
    }

    /// Passes blanks, and backslashes before line breaks.
    fn skip_blanks(&mut self) {
        loop {
            match self.rest() {
                [b' ' | b'\t', ..] => self.at += 1,
                [b'\\', b'\n', ..] => self.at += 2,
                _ => return,
            }
        }
    }

    fn skip_to_command(&mut self) {
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(b'\n') => self.at += 1,
                Some(b'#') => self.at = line_end(self.text, self.at),
                _ => return,
            }
        }
    }

    /// Reads assignments up to the end of a command.
    fn command(&mut self, lines: &mut Lines<'_>) -> Result<(), Stop> {
        self.key = None;
        let mut exports = false;
        let rest = self.rest();
        if let Some(after) = rest.strip_prefix(b"export")
            && matches!(after.first(), Some(b' ' | b'\t'))
        {
            exports = true;
            self.at += "export".len();
        }
        let mut count = 0;
        loop {
            self.skip_blanks();
            match self.peek() {
                None | Some(b'\n' | b';' | b'#') if count == 0 => {
                    return Err(self.wrong(self.at, Problem::NotAnAssignment));
                }
                None | Some(b'\n') => return Ok(()),
                Some(b'#') => {
                    self.at = line_end(self.text, self.at);
                    return Ok(());
                }
                Some(b';') if !self.rest().starts_with(b";;") => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => self.assignment(exports, lines)?,
            }
            count += 1;
        }
    }

    fn assignment(&mut self, exports: bool, lines: &mut Lines<'_>) -> Result<(), Stop> {
        self.key = None;
        let start = self.at;
        let end = skip(self.text, start, is_word);
        let name = str::from_utf8(&self.text[start..end]).unwrap_or_default();
        if name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
            return Err(self.wrong(start, Problem::NotAnAssignment));
        }
        match self.text.get(end) {
            Some(b'=') => {}
            // It is exported anyway.
            None | Some(b' ' | b'\t' | b'\n' | b';') if exports => {
                self.at = end;
                return Ok(());
            }
            _ => return Err(self.wrong(start, Problem::NotAnAssignment)),
        }
        self.key = Some(name);
        self.line = lines.of(start);
        self.at = end + 1;
        let value = self.draft.len();
        self.word(Place::Assignment, 0)?;
        let held = self.draft.hold(name, self.line, end + 1, value);
        if exports {
            self.held.push(held);
        } else {
            self.draft.assign(held);
        }
        Ok(())
    }

    /// Appends the word that begins here and stops before what ends it.
    fn word(&mut self, place: Place, depth: usize) -> Result<(), Stop> {
        let quoted = matches!(place, Place::QuotedWord | Place::Quotes);
        // A tilde counts at the beginning of a word, and in an assignment behind a colon.
        let mut tilde = !quoted;
        loop {
            let here = self.at;
            let Some(byte) = self.peek() else { return Ok(()) };
            let after_colon = byte == b':' && place == Place::Assignment;
            match byte {
                b'"' if place == Place::Quotes => return Ok(()),
                b'}' if matches!(place, Place::Word | Place::QuotedWord) => return Ok(()),
                b'"' if place == Place::QuotedWord => return Err(self.wrong(here, Problem::NestedQuotes)),
                b' ' | b'\t' | b'\n' | b';' if place == Place::Assignment => return Ok(()),
                b'&' | b'|' | b'<' | b'>' | b'(' | b')' if place == Place::Assignment => {
                    return Err(self.wrong(here, Problem::NotAnAssignment));
                }
                b'~' if tilde => return Err(self.wrong(here, Problem::Tilde)),
                b'\'' if !quoted => self.single_quotes()?,
                b'"' => {
                    self.at += 1;
                    self.word(Place::Quotes, depth)?;
                    if self.peek().is_none() {
                        return Err(self.wrong(here, Problem::Unterminated(Quote::Double)));
                    }
                    self.at += 1;
                }
                b'\\' => self.backslash(place)?,
                b'$' => self.dollar(place, depth)?,
                b'`' => self.backticks()?,
                _ => {
                    let end = skip(self.text, here, |character| {
                        !matches!(
                            character,
                            '"' | '\''
                                | '\\'
                                | '$'
                                | '`'
                                | '}'
                                | ' '
                                | '\t'
                                | '\n'
                                | ';'
                                | ':'
                                | '~'
                                | '&'
                                | '|'
                                | '<'
                                | '>'
                                | '('
                                | ')'
                        )
                    });
                    let end = end.max(here + 1);
                    self.draft.push(&self.text[here..end])?;
                    self.at = end;
                }
            }
            tilde = after_colon;
        }
    }

    fn single_quotes(&mut self) -> Result<(), Stop> {
        let here = self.at;
        let Some(end) = find(self.text, here + 1, b"'") else {
            return Err(self.wrong(here, Problem::Unterminated(Quote::Single)));
        };
        self.draft.push(&self.text[here + 1..end])?;
        self.at = end + 1;
        Ok(())
    }

    fn backslash(&mut self, place: Place) -> Result<(), Stop> {
        let after = self.at + 1;
        let quoted = matches!(place, Place::QuotedWord | Place::Quotes);
        match self.text.get(after) {
            Some(b'\n') => self.at = after + 1,
            None => {
                self.draft.push(b"\\")?;
                self.at = after;
            }
            Some(next)
                if quoted
                    && !matches!(next, b'$' | b'`' | b'"' | b'\\')
                    && !(*next == b'}' && place == Place::QuotedWord) =>
            {
                self.draft.push(b"\\")?;
                self.at = after;
            }
            Some(_) => {
                let len = character(self.text, after).map_or(1, |(_, len)| len);
                self.draft.push(&self.text[after..after + len])?;
                self.at = after + len;
            }
        }
        Ok(())
    }

    fn dollar(&mut self, place: Place, depth: usize) -> Result<(), Stop> {
        let here = self.at;
        let quoted = matches!(place, Place::QuotedWord | Place::Quotes);
        match self.text.get(here + 1) {
            Some(b'{') => self.braces(quoted, depth),
            Some(b'(') if self.text.get(here + 2) == Some(&b'(') => Err(self.wrong(here, Problem::Arithmetic)),
            Some(b'(') => self.parentheses(),
            Some(b'$' | b'!' | b'-' | b'0') => Err(self.wrong(here, Problem::ShellParameter)),
            Some(b'\'' | b'"') if !quoted => Err(self.wrong(here, Problem::DollarQuote)),
            // No arguments, and the last command has succeeded.
            Some(b'#' | b'?') => {
                self.at += 2;
                self.draft.push(b"0")
            }
            Some(b'1'..=b'9' | b'@' | b'*') => {
                self.at += 2;
                Ok(())
            }
            Some(first) if *first == b'_' || first.is_ascii_alphabetic() => {
                self.at = skip(self.text, here + 1, is_word);
                let name = str::from_utf8(&self.text[here + 1..self.at]).unwrap_or_default();
                self.draft.push_value_of(name)?;
                Ok(())
            }
            _ => {
                self.at += 1;
                self.draft.push(b"$")
            }
        }
    }

    /// `${…}`.
    fn braces(&mut self, quoted: bool, depth: usize) -> Result<(), Stop> {
        let here = self.at;
        let length = self.text.get(here + 2) == Some(&b'#');
        let name_start = here + 2 + usize::from(length);
        let end = skip(self.text, name_start, is_word);
        let name = str::from_utf8(&self.text[name_start..end]).unwrap_or_default();
        let is_name = name.as_bytes().first().is_some_and(|first| !first.is_ascii_digit());
        if !is_name || depth > MAX_DEPTH {
            return Err(self.wrong(here, Problem::ShellExpansion));
        }
        if length {
            if self.text.get(end) != Some(&b'}') {
                return Err(self.wrong(here, Problem::ShellExpansion));
            }
            // In characters, as a shell counts in a UTF-8 locale.
            let value = self.draft.value(name).unwrap_or_default();
            let count = value.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count();
            self.at = end + 1;
            return self.draft.push(count.to_string().as_bytes());
        }
        let colon = self.text.get(end) == Some(&b':');
        let operator = self.text.get(end + usize::from(colon)).copied();
        let value = self.draft.value(name);
        let counts = value.is_some_and(|value| !colon || !value.is_empty());
        let uses_word = match operator {
            Some(b'}') if !colon => {
                self.at = end + 1;
                self.draft.push_value_of(name)?;
                return Ok(());
            }
            Some(b'-' | b'=' | b'?') => !counts,
            Some(b'+') => counts,
            None => return Err(self.wrong(here, Problem::UnterminatedReference)),
            Some(_) => return Err(self.wrong(here, Problem::ShellExpansion)),
        };
        self.at = end + usize::from(colon) + 1;
        let start = self.draft.len();
        if uses_word && operator == Some(b'?') {
            return Err(self.wrong(here, Problem::RequiredVariable { name: name.to_owned() }));
        }
        if uses_word {
            self.word(if quoted { Place::QuotedWord } else { Place::Word }, depth + 1)?;
        } else {
            // Read for its end only; what it would assign or run does not happen.
            self.unused_word(quoted, here)?;
        }
        if self.peek() != Some(b'}') {
            return Err(self.wrong(here, Problem::UnterminatedReference));
        }
        self.at += 1;
        if !uses_word && operator != Some(b'+') {
            self.draft.push_value_of(name)?;
        }
        if uses_word && operator == Some(b'=') {
            // No byte of a value that is being made moves, so the two can share them.
            let value = start..self.draft.len();
            self.draft.record(name, self.line, here, Some(value));
        }
        Ok(())
    }

    /// Passes a word up to its brace.
    fn unused_word(&mut self, quoted: bool, opened: usize) -> Result<(), Stop> {
        let mut depth = 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' => self.at += 1,
                b'\'' if !quoted => {
                    let end = find(self.text, self.at + 1, b"'");
                    self.at = end.ok_or_else(|| self.wrong(self.at, Problem::Unterminated(Quote::Single)))?;
                }
                b'"' if quoted => return Err(self.wrong(self.at, Problem::NestedQuotes)),
                b'"' => {
                    let opening = self.at;
                    self.at += 1;
                    while self.peek().ok_or_else(|| self.wrong(opening, Problem::Unterminated(Quote::Double)))? != b'"'
                    {
                        self.at += if self.peek() == Some(b'\\') { 2 } else { 1 };
                    }
                }
                b'`' => return Err(self.wrong(self.at, Problem::ShellExpansion)),
                b'$' if self.text.get(self.at + 1) == Some(&b'(') => {
                    return Err(self.wrong(self.at, Problem::ShellExpansion));
                }
                b'$' if self.text.get(self.at + 1) == Some(&b'{') => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        Err(self.wrong(opened, Problem::UnterminatedReference))
    }

    /// `$(…)`.
    fn parentheses(&mut self) -> Result<(), Stop> {
        let here = self.at;
        let Some(end) = find(self.text, here, b")") else {
            return Err(self.wrong(here, Problem::UnterminatedCommand));
        };
        self.run(here, here + 2..end)
    }

    /// `` `…` ``.
    fn backticks(&mut self) -> Result<(), Stop> {
        let here = self.at;
        let Some(end) = find(self.text, here + 1, b"`") else {
            return Err(self.wrong(here, Problem::UnterminatedCommand));
        };
        self.run(here, here + 1..end)
    }

    fn run(&mut self, offset: usize, command: Range<usize>) -> Result<(), Stop> {
        self.at = command.end + 1;
        let command = str::from_utf8(&self.text[command]).unwrap_or_default();
        self.draft.push_output_of(command).map_err(|problem| self.wrong(offset, problem))
    }
}
