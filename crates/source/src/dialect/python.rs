//! python-dotenv. A line that is wrong is left out, and a name without `=` has no value.

use super::chars::{Lines, character, find, is_python_space, skip, trim_end};
use super::draft::{Draft, Stop};
use crate::dotenv::Problem;

pub(crate) fn read(text: &[u8], draft: &mut Draft<'_>) -> Result<(), Stop> {
    let mut reader = Reader { text, at: 0 };
    let mut lines = Lines::new(text);
    loop {
        reader.at = skip(text, reader.at, is_python_space);
        if reader.at >= text.len() {
            return Ok(());
        }
        let line_start = reader.at;
        let start = draft.len();
        match reader.binding(draft)? {
            Some(Binding { name: Some(name), value }) => {
                let line = lines.of(line_start);
                if let Some(offset) = value {
                    if name.contains('=') {
                        return Err(Stop::at(line_start, None, Problem::ImpossibleName));
                    }
                    resolve(start, draft)?;
                    draft.set(&name, line, offset, start);
                } else {
                    draft.record(&name, line, line_start, None);
                }
            }
            Some(Binding { name: None, .. }) => draft.buffer.truncate(start),
            None => {
                draft.buffer.truncate(start);
                reader.at = super::chars::line_end(text, reader.at) + 1;
                reader.at = reader.at.min(text.len());
            }
        }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

struct Binding {
    name: Option<String>,
    /// Where its value stands.
    value: Option<usize>,
}

/// White space that does not end a line.
fn is_blank(character: char) -> bool {
    is_python_space(character) && character != '\n'
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Reads a line and appends its value; `None` if it is wrong.
    fn binding(&mut self, draft: &mut Draft<'_>) -> Result<Option<Binding>, Stop> {
        if self.text[self.at..].starts_with(b"export") {
            let after = skip(self.text, self.at + "export".len(), is_blank);
            if after > self.at + "export".len() {
                self.at = after;
            }
        }
        let name = match self.peek() {
            Some(b'#') => None,
            _ => match self.name() {
                None => return Ok(None),
                name => name,
            },
        };
        self.at = skip(self.text, self.at, is_blank);
        let mut value = None;
        if self.peek() == Some(b'=') {
            let equals = self.at;
            self.at = skip(self.text, equals + 1, is_blank);
            value = Some(self.at);
            let commented = self.at > equals + 1 && self.peek() == Some(b'#');
            if !commented && !self.value(draft)? {
                return Ok(None);
            }
        }
        let comment = skip(self.text, self.at, is_blank);
        if self.text.get(comment) == Some(&b'#') {
            self.at = super::chars::line_end(self.text, comment);
        }
        let end = skip(self.text, self.at, is_blank);
        match self.text.get(end) {
            None => self.at = end,
            Some(b'\n') => self.at = end + 1,
            Some(_) => return Ok(None),
        }
        Ok(Some(Binding { name, value }))
    }

    fn name(&mut self) -> Option<String> {
        let (start, end, next) = if self.peek() == Some(b'\'') {
            let end = find(self.text, self.at + 1, b"'")?;
            (self.at + 1, end, end + 1)
        } else {
            let class = |character: char| !matches!(character, '=' | '#') && !is_python_space(character);
            let end = skip(self.text, self.at, class);
            (self.at, end, end)
        };
        if start == end {
            return None;
        }
        self.at = next;
        Some(String::from_utf8_lossy(&self.text[start..end]).into_owned())
    }

    /// Appends a value; false if its quotes are not closed.
    fn value(&mut self, draft: &mut Draft<'_>) -> Result<bool, Stop> {
        match self.peek() {
            Some(quote @ (b'\'' | b'"')) => self.quoted(quote, draft),
            _ => {
                let end = super::chars::line_end(self.text, self.at);
                let line = &self.text[self.at..end];
                let value = &line[..comment(line)];
                draft.push(&value[..trim_end(value, 0, is_python_space)])?;
                self.at = end;
                Ok(true)
            }
        }
    }

    fn quoted(&mut self, quote: u8, draft: &mut Draft<'_>) -> Result<bool, Stop> {
        let mut at = self.at + 1;
        loop {
            match self.text[at..] {
                [] | [b'\\'] => return Ok(false),
                [b'\\', next, ..] => {
                    let escape: &[u8] = match (next, quote) {
                        (b'\\', _) => b"\\",
                        (b'\'', _) => b"'",
                        (b'"', b'"') => b"\"",
                        (b'a', b'"') => b"\x07",
                        (b'b', b'"') => b"\x08",
                        (b'f', b'"') => b"\x0c",
                        (b'n', b'"') => b"\n",
                        (b'r', b'"') => b"\r",
                        (b't', b'"') => b"\t",
                        (b'v', b'"') => b"\x0b",
                        _ => {
                            let len = character(self.text, at + 1).map_or(1, |(_, len)| len);
                            draft.push(&self.text[at..at + 1 + len])?;
                            at += 1 + len;
                            continue;
                        }
                    };
                    draft.push(escape)?;
                    at += 2;
                }
                [byte, ..] if byte == quote => {
                    self.at = at + 1;
                    return Ok(true);
                }
                _ => {
                    let len = self.text[at..].iter().position(|byte| *byte == quote || *byte == b'\\');
                    let end = len.map_or(self.text.len(), |len| at + len);
                    draft.push(&self.text[at..end])?;
                    at = end;
                }
            }
        }
    }
}

/// Where white space with a `#` behind it begins.
fn comment(line: &[u8]) -> usize {
    let mut blank = None;
    let mut at = 0;
    while let Some((found, len)) = character(line, at) {
        if found == '#'
            && let Some(blank) = blank
        {
            return blank;
        }
        if is_python_space(found) {
            blank = blank.or(Some(at));
        } else {
            blank = None;
        }
        at += len;
    }
    line.len()
}

/// Puts the values of `${NAME}` and `${NAME:-word}` into what lies from `start` on.
fn resolve(start: usize, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let end = draft.len();
    if find(draft.bytes(start..end), 0, b"${").is_none() {
        return Ok(());
    }
    let mut done = start;
    let mut from = start;
    while let Some(found) = find(draft.bytes(from..end), 0, b"${") {
        let place = from + found;
        let inner = draft.bytes(place + 2..end);
        let Some(name_len) = inner.iter().position(|byte| matches!(byte, b'}' | b':')) else {
            from = place + 1;
            continue;
        };
        let word_len = match &inner[name_len..] {
            [b'}', ..] => None,
            [b':', b'-', word @ ..] => match word.iter().position(|byte| *byte == b'}') {
                Some(len) => Some(len),
                None => {
                    from = place + 1;
                    continue;
                }
            },
            _ => {
                from = place + 1;
                continue;
            }
        };
        let name = String::from_utf8_lossy(&inner[..name_len]).into_owned();
        draft.buffer.push_within(done..place)?;
        let word = place + 2 + name_len + 2;
        // A name that is mentioned without a value counts as defined.
        if !draft.push_value_of(&name)? && !draft.mentions(&name) {
            draft.buffer.push_within(word_len.map_or(0..0, |len| word..word + len))?;
        }
        done = word_len.map_or(place + 2 + name_len + 1, |len| word + len + 1);
        from = done;
    }
    draft.buffer.push_within(done..end)?;
    draft.buffer.remove(start..end);
    Ok(())
}
