//! npm's dotenv, dotenv-expand and dotenvx.
//!
//! The three find the same lines. `dotenv` takes the values as they are; `dotenv-expand` goes over
//! all of them afterwards, in the order of their names; dotenvx expands line by line.

use std::collections::HashSet;
use std::ops::Range;

use envward_secret::MAX_ENTRY;

use super::chars::{Lines, find, is_javascript_space, is_word, trim};
use super::draft::{Draft, Stop};
use super::pattern::{Pattern, Scanner};
use crate::dotenv::Problem;

static LINE: Pattern = Pattern { is_space: is_javascript_space, quotes: b"'\"`", dash_in_key: true, key_alone: false };

/// How often a value may be gone over. Each time replaces one variable.
const MAX_ROUNDS: usize = 10_000;

/// A name and the first character of its value, if that is a quote.
struct Raw<'t> {
    key: &'t str,
    quote: Option<u8>,
    line: usize,
    offset: usize,
    start: usize,
}

pub(crate) fn dotenv(text: &[u8], draft: &mut Draft<'_>) -> Result<(), Stop> {
    let mut lines = Lines::new(text);
    for line in (Scanner { pattern: &LINE, text, at: 0 }) {
        let raw = value(text, &line, &mut lines, Escapes::Dotenv, draft)?;
        draft.set(raw.key, raw.line, raw.offset, raw.start);
    }
    Ok(())
}

pub(crate) fn dotenv_expand(text: &[u8], draft: &mut Draft<'_>) -> Result<(), Stop> {
    dotenv(text, draft)?;
    let none = HashSet::new();
    let mut assignments = draft.take_assignments();
    // Names that are numbers come first in a JavaScript object, in the order of numbers.
    assignments.sort_by_key(|assignment| index(&assignment.name).map_or((1, 0), |number| (0, number)));
    for assignment in assignments {
        let start = draft.len();
        let value = assignment.value.unwrap_or(0..0);
        if !draft.bytes(value.clone()).contains(&b'$') {
            draft.record(&assignment.name, assignment.line, assignment.offset, Some(value));
            continue;
        }
        draft.buffer.push_within(value)?;
        expand(start, &none, draft).map_err(|problem| match problem {
            Trouble::Stop(stop) => stop,
            Trouble::Problem(problem) => Stop::at(assignment.offset, Some(&assignment.name), problem),
        })?;
        unescape_dollars(start, draft)?;
        draft.set(&assignment.name, assignment.line, assignment.offset, start);
    }
    Ok(())
}

pub(crate) fn dotenvx(text: &[u8], draft: &mut Draft<'_>) -> Result<(), Stop> {
    let mut lines = Lines::new(text);
    // Names of single-quoted values, which are not expanded where they are used.
    let mut literals = HashSet::new();
    for line in (Scanner { pattern: &LINE, text, at: 0 }) {
        let raw = value(text, &line, &mut lines, Escapes::Dotenvx, draft)?;
        if raw.quote == Some(b'\'') {
            literals.insert(raw.key.to_owned());
        } else if !commands(&raw, draft)? {
            expand(raw.start, &literals, draft).map_err(|problem| match problem {
                Trouble::Stop(stop) => stop,
                Trouble::Problem(problem) => Stop::at(raw.offset, Some(raw.key), problem),
            })?;
            unescape_dollars(raw.start, draft)?;
        }
        draft.set(raw.key, raw.line, raw.offset, raw.start);
    }
    Ok(())
}

/// The number that a name is for JavaScript, if it is one.
fn index(name: &str) -> Option<u32> {
    let number: u32 = name.parse().ok()?;
    (number < u32::MAX && number.to_string() == name).then_some(number)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Dotenv,
    Dotenvx,
}

/// Appends a value without its quotes, with the escapes that its kind of quotes has.
fn value<'t>(
    text: &'t [u8],
    line: &super::pattern::Line,
    lines: &mut Lines<'_>,
    escapes: Escapes,
    draft: &mut Draft<'_>,
) -> Result<Raw<'t>, Stop> {
    let start = draft.len();
    let key = str::from_utf8(&text[line.key.clone()]).unwrap_or_default();
    let behind = line.value.clone().unwrap_or(line.key.end..line.key.end);
    let trimmed = trim(&text[behind.clone()], is_javascript_space);
    let offset = behind.start + trimmed.start;
    let value = &text[offset..behind.start + trimmed.end];
    let quote = value.first().copied().filter(|first| matches!(first, b'\'' | b'"' | b'`'));
    let inner = match value {
        [first @ (b'\'' | b'"' | b'`'), inner @ .., last] if first == last => inner,
        _ => value,
    };
    let mut at = 0;
    while at < inner.len() {
        let escape: &[u8] = match (&inner[at..], quote, escapes) {
            ([b'\\', b'n', ..], Some(b'"'), _) => b"\n",
            ([b'\\', b'r', ..], Some(b'"'), _) => b"\r",
            ([b'\\', b't', ..], Some(b'"'), Escapes::Dotenvx) => b"\t",
            ([b'\\', b'\'', ..], Some(b'\''), Escapes::Dotenvx) => b"'",
            _ => b"",
        };
        if escape.is_empty() {
            let len = inner[at + 1..].iter().position(|byte| *byte == b'\\').map_or(inner.len() - at, |next| next + 1);
            draft.push(&inner[at..at + len])?;
            at += len;
        } else {
            draft.push(escape)?;
            at += 2;
        }
    }
    Ok(Raw { key, quote, line: lines.of(line.key.start), offset, start })
}

/// Runs what stands in `$(…)` in the value; false if there is nothing of that kind.
fn commands(raw: &Raw<'_>, draft: &mut Draft<'_>) -> Result<bool, Stop> {
    let end = draft.len();
    let Some(first) = command(draft.bytes(raw.start..end), 0) else {
        return Ok(false);
    };
    let mut next = Some(first);
    let mut done = 0;
    while let Some(place) = next {
        draft.buffer.push_within(raw.start + done..raw.start + place.start)?;
        let inner = raw.start + place.start + 2..raw.start + place.end - 1;
        let text = String::from_utf8_lossy(draft.bytes(inner)).into_owned();
        draft.push_output_of(&text).map_err(|problem| Stop::at(raw.offset, Some(raw.key), problem))?;
        done = place.end;
        next = command(draft.bytes(raw.start..end), done);
    }
    draft.buffer.push_within(raw.start + done..end)?;
    draft.buffer.remove(raw.start..end);
    Ok(true)
}

/// The first `$(…)` from `from` on that is closed, with regard to quotes inside.
fn command(text: &[u8], from: usize) -> Option<Range<usize>> {
    let mut opening = find(text, from, b"$(")?;
    loop {
        let mut levels: Vec<Option<u8>> = vec![None];
        let mut at = opening + 2;
        while at < text.len() {
            let byte = text[at];
            let Some(quote) = levels.last_mut() else { break };
            at += 1;
            match (*quote, byte) {
                (Some(b'\''), b'\'') => *quote = None,
                (Some(b'\''), _) => {}
                (_, b'\\') => at += 1,
                (Some(open), byte) if byte == open => *quote = None,
                (Some(_), b'$') if text.get(at) == Some(&b'(') => {
                    levels.push(None);
                    at += 1;
                }
                (Some(_), _) => {}
                (None, b'\'' | b'"' | b'`') => *quote = Some(byte),
                (None, b'(') => levels.push(None),
                (None, b')') => {
                    levels.pop();
                    if levels.is_empty() {
                        return Some(opening..at);
                    }
                }
                (None, _) => {}
            }
        }
        opening = find(text, opening + 2, b"$(")?;
    }
}

/// Why a value could not be expanded.
enum Trouble {
    Stop(Stop),
    Problem(Problem),
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<envward_secret::ReadError> for Trouble {
    fn from(error: envward_secret::ReadError) -> Self {
        Self::Stop(Stop::Buffer(error))
    }
}

/// What stands in `${…}` or behind `$`.
struct Reference {
    /// With the dollar and the braces.
    place: Range<usize>,
    name: Range<usize>,
    operator: Option<&'static [u8]>,
    word: Range<usize>,
}

/// Replaces the first variable in what lies from `start` on, and begins anew, until there is
/// none. A value that a variable brings is gone over too.
fn expand(start: usize, literals: &HashSet<String>, draft: &mut Draft<'_>) -> Result<(), Trouble> {
    for _ in 0..MAX_ROUNDS {
        let end = draft.len();
        let text = draft.bytes(start..end);
        let Some(found) = reference(text) else {
            return Ok(());
        };
        let template = found.place.clone();
        // The implementations replace the first occurrence of the text, which may be an escaped one.
        let first = find(text, 0, &text[template.clone()]).unwrap_or(template.start);
        let name = String::from_utf8_lossy(&text[found.name.clone()]).into_owned();
        let value = draft.value(&name);
        let filled = value.is_some_and(|value| !value.is_empty());
        let word = start + found.word.start..start + found.word.end;
        let replacement = match found.operator {
            Some(b":-") if !filled => Some(word),
            Some(b"-") if value.is_none() => Some(word),
            Some(b":-" | b"-") | None => None,
            Some(b":+") if filled => Some(word),
            Some(b"+") if value.is_some() => Some(word),
            Some(_) => Some(0..0),
        };
        draft.buffer.push_within(start..start + first)?;
        let inserted = draft.len();
        match replacement {
            Some(range) => draft.buffer.push_within(range)?,
            None => {
                draft.push_value_of(&name)?;
            }
        }
        let len = template.len();
        dollar_patterns(start, end, inserted, first, len, draft)?;
        draft.buffer.push_within(start + first + len..end)?;
        draft.buffer.remove(start..end);
        let result = draft.from(start);
        if draft.value(&name).is_some_and(|value| value == result) {
            return Ok(());
        }
        if literals.contains(&name) && draft.value(&name).is_some_and(has_reference) {
            return Ok(());
        }
        if draft.len() - start > MAX_ENTRY {
            break;
        }
    }
    Err(Trouble::Problem(Problem::EndlessExpansion))
}

/// In what `String.replace` puts in, `$$` is a dollar, `$&` the text that is replaced, and the
/// dollar with a backtick or an apostrophe what is before or behind that.
fn dollar_patterns(
    start: usize,
    end: usize,
    inserted: usize,
    first: usize,
    len: usize,
    draft: &mut Draft<'_>,
) -> Result<(), Trouble> {
    let raw_end = draft.len();
    if !draft.bytes(inserted..raw_end).windows(2).any(|pair| matches!(pair, [b'$', b'$' | b'&' | b'`' | b'\''])) {
        return Ok(());
    }
    let mut at = inserted;
    while at < raw_end {
        match draft.bytes(at..raw_end) {
            [b'$', b'$', ..] => draft.push(b"$")?,
            [b'$', b'&', ..] => draft.buffer.push_within(start + first..start + first + len)?,
            [b'$', b'`', ..] => draft.buffer.push_within(start..start + first)?,
            [b'$', b'\'', ..] => draft.buffer.push_within(start + first + len..end)?,
            _ => {
                draft.buffer.push_within(at..at + 1)?;
                at += 1;
                continue;
            }
        }
        at += 2;
        if draft.len() - start > 4 * MAX_ENTRY {
            return Err(Trouble::Problem(Problem::EndlessExpansion));
        }
    }
    draft.buffer.remove(inserted..raw_end);
    Ok(())
}

/// The first variable that has no backslash before it.
fn reference(text: &[u8]) -> Option<Reference> {
    let mut from = 0;
    while let Some(at) = find(text, from, b"$") {
        from = at + 1;
        if at > 0 && text[at - 1] == b'\\' {
            continue;
        }
        if text.get(at + 1) == Some(&b'{') {
            let inner = at + 2;
            let end = text[inner..].iter().position(|byte| matches!(byte, b'{' | b'}')).map(|end| inner + end);
            if let Some(end) = end.filter(|end| text[*end] == b'}' && *end > inner) {
                return Some(parts(text, at..end + 1, inner..end));
            }
        } else if text.get(at + 1).is_some_and(|byte| *byte == b'_' || byte.is_ascii_alphabetic()) {
            let end = super::chars::skip(text, at + 1, is_word);
            return Some(parts(text, at..end, at + 1..end));
        }
    }
    None
}

/// Splits an expression at its first operator.
fn parts(text: &[u8], place: Range<usize>, expression: Range<usize>) -> Reference {
    const OPERATORS: [&[u8]; 4] = [b":+", b"+", b":-", b"-"];
    for at in expression.clone() {
        let rest = &text[at..expression.end];
        if let Some(operator) = OPERATORS.into_iter().find(|operator| rest.starts_with(operator)) {
            let word = at + operator.len()..expression.end;
            return Reference { place, name: expression.start..at, operator: Some(operator), word };
        }
    }
    // Without an operator the implementations split at the text `null`.
    let end = find(&text[..expression.end], expression.start, b"null").unwrap_or(expression.end);
    Reference { place, name: expression.start..end, operator: None, word: 0..0 }
}

/// Whether a value holds something like a variable.
fn has_reference(value: &[u8]) -> bool {
    (0..value.len()).any(|at| match &value[at..] {
        [b'$', b'{', rest @ ..] => rest.first() != Some(&b'}') && rest.contains(&b'}'),
        [b'$', next, ..] => *next == b'_' || next.is_ascii_alphabetic(),
        _ => false,
    })
}

/// `\$` becomes `$`.
fn unescape_dollars(start: usize, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let end = draft.len();
    if find(draft.bytes(start..end), 0, b"\\$").is_none() {
        return Ok(());
    }
    let mut at = start;
    while at < end {
        if draft.bytes(at..end).starts_with(b"\\$") {
            at += 1;
        }
        at = draft.push_run(at..end, b"\\")?;
    }
    draft.buffer.remove(start..end);
    Ok(())
}
