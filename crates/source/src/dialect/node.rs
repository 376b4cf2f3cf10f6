//! Node's own env files (`--env-file`, `util.parseEnv`), as Node 20 reads them. There are no
//! errors: what is not understood is left out, and a line without `=` becomes part of the next
//! key.

use super::chars::{Lines, find, line_end, trim};
use super::draft::{Draft, Stop};

fn is_space(character: char) -> bool {
    character == ' '
}

/// Reads a text, of which every carriage return is ignored.
pub(crate) fn read(text: &[u8], draft: &mut Draft<'_>) -> Result<(), Stop> {
    if !text.contains(&b'\r') {
        return lines(text, draft);
    }
    // The copy is below all values.
    let mut copy = draft.scratch(text.len())?;
    for part in text.split(|byte| *byte == b'\r') {
        copy.push(part)?;
    }
    lines(copy.as_slice(), draft)
}

fn lines(text: &[u8], draft: &mut Draft<'_>) -> Result<(), Stop> {
    let mut counted = Lines::new(text);
    let around = trim(text, is_space);
    let text = &text[..around.end];
    let mut at = around.start;
    while at < text.len() {
        if matches!(text[at], b'\n' | b'#')
            && let Some(end) = find(text, at, b"\n")
        {
            at = end + 1;
            continue;
        }
        let Some(equals) = find(text, at, b"=") else {
            return Ok(());
        };
        let name = trim(&text[at..equals], is_space);
        let key_start = at + name.start;
        let key = str::from_utf8(&text[key_start..at + name.end]).unwrap_or_default();
        if key.is_empty() {
            return Ok(());
        }
        let key = key.strip_prefix("export ").unwrap_or(key);
        let line = counted.of(key_start);
        let start = draft.len();
        at = equals + 1;
        at += trim(&text[at..], is_space).start;
        let offset = at;
        match text.get(at) {
            Some(quote @ (b'"' | b'\'' | b'`')) => {
                if let Some(closing) = find(text, at + 1, &[*quote]) {
                    quoted(&text[at + 1..closing], *quote, draft)?;
                    at = line_end(text, closing + 1);
                } else if let Some(end) = find(text, at, b"\n") {
                    draft.push(&text[at..end])?;
                    at = end;
                } else {
                    // The rest may still hold an `=`.
                    continue;
                }
            }
            _ => {
                let end = line_end(text, at);
                let value = &text[at..find(&text[..end], at, b"#").unwrap_or(end)];
                draft.push(&value[trim(value, is_space)])?;
                at = end;
            }
        }
        draft.set(key, line, offset, start);
    }
    Ok(())
}

/// In double quotes `\n` is a line break, whatever stands before it.
fn quoted(inner: &[u8], quote: u8, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let mut rest = inner;
    while let Some(escape) = find(rest, 0, b"\\n").filter(|_| quote == b'"') {
        draft.push(&rest[..escape])?;
        draft.push(b"\n")?;
        rest = &rest[escape + 2..];
    }
    draft.push(rest)
}
