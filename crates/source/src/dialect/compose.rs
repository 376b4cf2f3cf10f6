//! The env files of docker compose (compose-go 2).

use std::ops::Range;

use super::chars::{Lines, character, find, is_word, line_end, skip, trim_end};
use super::draft::{Draft, Stop};
use crate::dotenv::{Problem, Quote};

/// White space that does not end a line.
fn is_blank(character: char) -> bool {
    matches!(character, '\t' | '\x0b' | '\x0c' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

pub(crate) fn read(text: &[u8], draft: &mut Draft<'_>) -> Result<(), Stop> {
    let mut lines = Lines::new(text);
    let mut at = 0;
    loop {
        at = skip(text, at, char::is_whitespace);
        match text.get(at) {
            None => return Ok(()),
            Some(b'#') => {
                at = line_end(text, at);
                continue;
            }
            Some(_) => {}
        }
        let name = locate(text, at)?;
        at = skip(text, name.after, is_blank);
        let key = str::from_utf8(&text[name.range.clone()]).unwrap_or_default();
        if key.contains(' ') {
            return Err(Stop::at(name.range.start, None, Problem::BlankInKey));
        }
        if name.alone {
            // What an earlier source says stays.
            continue;
        }
        if key.is_empty() {
            return Err(Stop::at(name.range.start, None, Problem::MissingKey));
        }
        let (start, offset) = (draft.len(), at);
        at = value(text, at, key, draft)?;
        draft.set(key, lines.of(name.range.start), offset, start);
    }
}

struct Name {
    range: Range<usize>,
    after: usize,
    alone: bool,
}

fn locate(text: &[u8], at: usize) -> Result<Name, Stop> {
    let mut start = at;
    if text[at..].starts_with(b"export") {
        let after = at + "export".len();
        if skip(text, after, |character| matches!(character, '\t' | '\n' | '\x0c' | '\r' | ' ')) > after {
            start = skip(text, after, is_blank);
        }
    }
    let mut end = start;
    loop {
        let Some((found, len)) = character(text, end) else {
            // A key alone at the end of the file.
            let range = start..trim_end(&text[..end], start, char::is_whitespace);
            return Ok(Name { range, after: end, alone: true });
        };
        match found {
            '=' | ':' | '\n' => {
                let range = start..trim_end(&text[..end], start, char::is_whitespace);
                return Ok(Name { range, after: end + 1, alone: found == '\n' });
            }
            '_' | '.' | '-' | '[' | ']' => {}
            _ if is_blank(found) || found.is_alphanumeric() => {}
            _ => return Err(Stop::at(end, None, Problem::KeyCharacter)),
        }
        end += len;
    }
}

/// Appends the value that begins at `at`; says where it ends.
fn value(text: &[u8], at: usize, key: &str, draft: &mut Draft<'_>) -> Result<usize, Stop> {
    let start = draft.len();
    let context = Context { key, offset: at };
    let Some(quote @ (b'\'' | b'"')) = text.get(at).copied() else {
        let end = line_end(text, at);
        let value = &text[at..find(&text[..end], at, b" #").unwrap_or(end)];
        draft.push(&value[..trim_end(value, 0, char::is_whitespace)])?;
        substitute(start..draft.len(), &context, draft)?;
        return Ok((end + 1).min(text.len()));
    };
    let mut here = at + 1;
    while let Some(&byte) = text.get(here) {
        if byte == quote {
            if quote == b'"' {
                let raw = start..draft.len();
                if draft.bytes(raw.clone()).contains(&b'\\') {
                    escapes(raw.clone(), &context, draft)?;
                    draft.buffer.remove(raw);
                }
                substitute(start..draft.len(), &context, draft)?;
            }
            return Ok(here + 1);
        }
        if byte == b'\\' {
            // Only in front of the quote the backslash goes.
            match text.get(here + 1) {
                Some(next) if *next == quote => draft.push(&[quote])?,
                Some(next) => draft.push(&[b'\\', *next])?,
                None => {}
            }
            here += 2;
            continue;
        }
        let len = text[here..].iter().take_while(|byte| **byte != quote && **byte != b'\\').count();
        draft.push(&text[here..here + len])?;
        here += len;
    }
    let quote = if quote == b'"' { Quote::Double } else { Quote::Single };
    Err(Stop::at(at, Some(key), Problem::Unterminated(quote)))
}

/// Where a value stands, for errors.
struct Context<'k> {
    key: &'k str,
    offset: usize,
}

impl Context<'_> {
    fn wrong(&self, problem: Problem) -> Stop {
        Stop::at(self.offset, Some(self.key), problem)
    }
}

/// Appends the range with its escapes done.
fn escapes(range: Range<usize>, context: &Context<'_>, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let mut at = range.start;
    while at < range.end {
        let rest = draft.bytes(at..range.end);
        let escape: &[u8] = match rest {
            [b'\\', b'a', ..] => b"\x07",
            [b'\\', b'b', ..] => b"\x08",
            [b'\\', b'f', ..] => b"\x0c",
            [b'\\', b'n', ..] => b"\n",
            [b'\\', b'r', ..] => b"\r",
            [b'\\', b't', ..] => b"\t",
            [b'\\', b'v', ..] => b"\x0b",
            [b'\\', b'"', ..] => b"\"",
            [b'\\', b'\\', ..] => b"\\",
            // A doubled dollar is a plain one for what comes after.
            [b'\\', b'$', ..] => b"$$",
            [b'\\', b'0', digits @ ..] => {
                let len = digits.iter().take(3).take_while(|digit| digit.is_ascii_digit()).count();
                match octal(&digits[..len]) {
                    Some(0) => return Err(context.wrong(Problem::NulEscape)),
                    Some(number) => draft.push(char::from(number).encode_utf8(&mut [0; 4]).as_bytes())?,
                    None => {
                        // Without the zero: that is how compose leaves it.
                        draft.push(b"\\")?;
                        draft.buffer.push_within(at + 2..at + 2 + len)?;
                    }
                }
                at += 2 + len;
                continue;
            }
            _ => {
                at = draft.push_run(at..range.end, b"\\")?;
                continue;
            }
        };
        draft.push(escape)?;
        at += 2;
    }
    Ok(())
}

fn octal(digits: &[u8]) -> Option<u8> {
    let digits = str::from_utf8(digits).ok().filter(|digits| digits.len() == 3)?;
    u8::from_str_radix(digits, 8).ok()
}

/// Replaces the range, which is at the end of the buffer, by itself with its variables in their
/// places.
fn substitute(range: Range<usize>, context: &Context<'_>, draft: &mut Draft<'_>) -> Result<(), Stop> {
    if !draft.bytes(range.clone()).contains(&b'$') {
        return Ok(());
    }
    template(range.clone(), 0, context, draft)?;
    draft.buffer.remove(range);
    Ok(())
}

/// How deep defaults may be nested.
const MAX_DEPTH: usize = 64;

/// Appends what the range means.
fn template(range: Range<usize>, depth: usize, context: &Context<'_>, draft: &mut Draft<'_>) -> Result<(), Stop> {
    if depth > MAX_DEPTH {
        return Err(context.wrong(Problem::InvalidTemplate));
    }
    let mut at = range.start;
    while at < range.end {
        let rest = draft.bytes(at..range.end);
        match rest {
            [b'$', b'$', ..] => {
                draft.push(b"$")?;
                at += 2;
            }
            [b'$', b'{', ..] => {
                let end = braced_end(rest).ok_or_else(|| context.wrong(Problem::InvalidTemplate))?;
                braced(at..at + end, depth, context, draft)?;
                at += end;
            }
            [b'$', first, ..] if *first == b'_' || first.is_ascii_alphabetic() => {
                let end = skip(rest, 1, is_word);
                let name = String::from_utf8_lossy(&rest[1..end]).into_owned();
                draft.push_value_of(&name)?;
                at += end;
            }
            _ => {
                let len = rest[1..].iter().position(|byte| *byte == b'$').map_or(rest.len(), |len| len + 1);
                draft.buffer.push_within(at..at + len)?;
                at += len;
            }
        }
    }
    Ok(())
}

/// Where what begins with `${` ends: behind the name's brace, or behind the last brace of the
/// line if there is an operator.
fn braced_end(text: &[u8]) -> Option<usize> {
    let name = text.get(2).filter(|first| **first == b'_' || first.is_ascii_alphabetic())?;
    let _ = name;
    let after = skip(text, 2, is_word);
    let colon = usize::from(text.get(after) == Some(&b':'));
    if matches!(text.get(after + colon), Some(b'-' | b'+' | b'?')) {
        let word = after + colon + 1;
        let end = line_end(text, word);
        return text[word..end].iter().rposition(|byte| *byte == b'}').map(|last| word + last + 1);
    }
    (text.get(after) == Some(&b'}')).then_some(after + 1)
}

/// Appends what `${…}` means, and what follows its own closing brace up to the end of the range.
fn braced(range: Range<usize>, depth: usize, context: &Context<'_>, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let text = draft.bytes(range.clone());
    let closing = closing_brace(text);
    let end = closing.map_or(text.len(), |closing| closing + 1);
    let inner = 2..end - 1;
    let name_end = skip(text, 2, is_word).min(inner.end);
    let name = String::from_utf8_lossy(&text[2..name_end]).into_owned();
    let operator = &text[name_end..inner.end];
    let colon = operator.starts_with(b":");
    let kind = operator.get(usize::from(colon)).copied();
    let word = range.start + name_end + usize::from(colon) + 1..range.start + inner.end;
    let value = draft.value(&name);
    let counts = value.is_some_and(|value| !colon || !value.is_empty());
    match kind {
        Some(b'-') if !counts => template(word, depth + 1, context, draft)?,
        Some(b'+') if counts => template(word, depth + 1, context, draft)?,
        Some(b'?') if !counts => return Err(context.wrong(Problem::RequiredVariable { name })),
        // `+` of what does not count stands for the value, which is empty or missing.
        _ => {
            draft.push_value_of(&name)?;
        }
    }
    template(range.start + end..range.end, depth + 1, context, draft)
}

/// Where the first brace is closed. What stands behind an opening brace is not looked at.
fn closing_brace(text: &[u8]) -> Option<usize> {
    let mut open = 0;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'}' => {
                open -= 1;
                if open == 0 {
                    return Some(at);
                }
            }
            b'{' => {
                open += 1;
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    None
}
