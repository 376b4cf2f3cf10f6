//! Ruby's dotenv 3.

use super::chars::{Lines, character, is_ruby_space, is_word, trim};
use super::draft::{Draft, Stop};
use super::pattern::{Pattern, Scanner};
use crate::dotenv::Problem;

static LINE: Pattern = Pattern { is_space: is_ruby_space, quotes: b"'\"", dash_in_key: false, key_alone: true };

/// The file's own switch for how `\n` in double quotes is read.
const LINE_BREAK_MODE: &str = "DOTENV_LINEBREAK_MODE";

pub(crate) fn read(text: &[u8], draft: &mut Draft<'_>) -> Result<(), Stop> {
    let mut lines = Lines::new(text);
    for line in (Scanner { pattern: &LINE, text, at: 0 }) {
        let key = str::from_utf8(&text[line.key.clone()]).unwrap_or_default();
        if let (Some(export), None) = (line.export, &line.value) {
            // Behind `export NAME` there may be a separator.
            if !draft.mentions(key) && draft.earlier_value(key).is_none() {
                return Err(Stop::at(export, None, Problem::ExportUnset { name: key.to_owned() }));
            }
            continue;
        }
        let value = line.value.map_or(line.key.end..line.key.end, |value| value);
        let start = draft.len();
        let offset = self::value(text, value, key, draft)?;
        draft.set(key, lines.of(line.key.start), offset, start);
    }
    Ok(())
}

/// Appends what a value means; says where it begins.
fn value(text: &[u8], range: std::ops::Range<usize>, key: &str, draft: &mut Draft<'_>) -> Result<usize, Stop> {
    let offset = range.start;
    let raw = &text[range];
    // `strip` takes NUL too, but there is none.
    let trimmed = trim(raw, is_ruby_space);
    let offset = offset + trimmed.start;
    let raw = &raw[trimmed];
    let (quote, raw) = match raw {
        [first @ (b'\'' | b'"'), inner @ .., last] if first == last => (Some(*first), inner),
        _ => (None, raw),
    };
    if quote == Some(b'\'') {
        draft.push(raw)?;
        return Ok(offset);
    }
    let start = draft.len();
    let legacy = draft.value(LINE_BREAK_MODE).is_some_and(|mode| mode == b"legacy");
    unescape(raw, quote == Some(b'"'), legacy, draft)?;
    let unescaped = start..draft.len();
    if !draft.bytes(unescaped.clone()).contains(&b'$') {
        return Ok(offset);
    }
    commands(unescaped.clone(), offset, key, draft)?;
    let with_output = unescaped.end..draft.len();
    variables(with_output.clone(), draft)?;
    draft.buffer.remove(start..with_output.end);
    Ok(offset)
}

/// A backslash before anything but `$` is dropped; in double quotes `\n` and `\r` are looked
/// for first, without regard to what is before the backslash, and are text, unless the file asks
/// for the way of older versions.
fn unescape(raw: &[u8], double: bool, legacy: bool, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let start = draft.len();
    let mut at = 0;
    while at < raw.len() {
        let kept: &[u8] = match (&raw[at..], legacy) {
            ([b'\\', b'n', ..], true) if double => b"\n",
            ([b'\\', b'r', ..], true) if double => b"\r",
            // With a second backslash, which is dropped below, they stay what they are.
            ([b'\\', b'n', ..], false) if double => b"\\\\n",
            ([b'\\', b'r', ..], false) if double => b"\\\\r",
            _ => b"",
        };
        if !kept.is_empty() {
            draft.push(kept)?;
            at += 2;
        } else {
            let run = raw[at + 1..].iter().take_while(|byte| **byte != b'\\').count();
            draft.push(&raw[at..=at + run])?;
            at += 1 + run;
        }
    }
    let end = draft.len();
    if !draft.bytes(start..end).contains(&b'\\') {
        return Ok(());
    }
    let mut at = start;
    while at < end {
        match draft.bytes(at..end) {
            [b'\\', next, ..] if *next != b'$' => {
                let (_, len) = character(draft.bytes(at + 1..end), 0).unwrap_or((' ', 1));
                draft.buffer.push_within(at + 1..at + 1 + len)?;
                at += 1 + len;
            }
            _ => at = draft.push_run(at..end, b"\\")?,
        }
    }
    draft.buffer.remove(start..end);
    Ok(())
}

/// Appends the range with `$(…)` done, `\$(…)` without its backslash.
fn commands(range: std::ops::Range<usize>, offset: usize, key: &str, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let mut at = range.start;
    while at < range.end {
        let rest = draft.bytes(at..range.end);
        let escaped = rest.starts_with(b"\\$(");
        let opening = if escaped { 2 } else { 1 };
        let closing = if escaped || rest.starts_with(b"$(") { balanced(rest, opening) } else { None };
        match closing {
            None => at = draft.push_run(at..range.end, b"\\$")?,
            Some(closing) if escaped => {
                draft.buffer.push_within(at + 1..at + closing + 1)?;
                at += closing + 1;
            }
            Some(closing) => {
                let wrong = |problem| Stop::at(offset, Some(key), problem);
                let command = String::from_utf8_lossy(&rest[2..closing]).into_owned();
                draft.push_output_of(&command).map_err(wrong)?;
                at += closing + 1;
            }
        }
    }
    Ok(())
}

/// Where the parenthesis at `opening` is closed, if there is something between, and something
/// in every pair that is inside.
fn balanced(text: &[u8], opening: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in text.iter().enumerate().skip(opening) {
        match byte {
            b'(' => depth += 1,
            b')' if text[at - 1] == b'(' => return None,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Appends the range with its variables in their places.
fn variables(range: std::ops::Range<usize>, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let mut at = range.start;
    while at < range.end {
        let rest = draft.bytes(at..range.end);
        let escaped = rest.starts_with(b"\\$");
        let dollar = usize::from(escaped);
        if rest.get(dollar) != Some(&b'$') || rest.get(dollar + 1) == Some(&b'(') {
            at = draft.push_run(at..range.end, b"\\$")?;
            continue;
        }
        let mut name = dollar + 1;
        if rest.get(name) == Some(&b'{') {
            name += 1;
        }
        let end = super::chars::skip(rest, name, is_word);
        let after = if rest.get(end) == Some(&b'}') { end + 1 } else { end };
        if escaped {
            draft.buffer.push_within(at + 1..at + after)?;
        } else if end > name {
            let name = String::from_utf8_lossy(&rest[name..end]).into_owned();
            draft.push_value_of(&name)?;
        } else {
            draft.buffer.push_within(at..at + after)?;
        }
        at += after;
    }
    Ok(())
}
