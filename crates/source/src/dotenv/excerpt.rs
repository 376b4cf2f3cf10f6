//! The line that an error is in, with a caret, and without what it says.

use std::fmt;

use super::SyntaxError;

/// How much of a line is drawn.
const WIDTH: usize = 60;

/// A drawing of a line: the key, a dot for each character behind it up to the place, and a
/// caret below that. It holds nothing else of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    line: usize,
    drawn: String,
    column: usize,
}

impl Excerpt {
    pub(crate) fn of(text: &[u8], error: &SyntaxError) -> Self {
        let position = error.position();
        let key = error.key().unwrap_or_default();
        let line = text.split(|byte| *byte == b'\n').nth(position.line - 1).unwrap_or_default();
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let mut drawn = String::new();
        let mut column = position.column;
        let mut count = 0;
        // Only a key that this very error names is shown, and only where it is the key.
        let shown = head(line, key);
        for (at, character) in String::from_utf8_lossy(line).chars().enumerate() {
            if at + 1 >= position.column {
                break;
            }
            let plain = at < shown || character == ' ';
            drawn.push(if plain && !character.is_control() { character } else { '·' });
            count += 1;
        }
        if count > WIDTH {
            let kept: Vec<char> = drawn.chars().skip(count - WIDTH).collect();
            drawn = std::iter::once('…').chain(kept).collect();
            column -= count - WIDTH - 1;
        }
        Self { line: position.line, drawn, column }
    }
}

/// How many characters of a line are its beginning up to the `=` behind the key.
fn head(line: &[u8], key: &str) -> usize {
    if key.is_empty() {
        return 0;
    }
    let mut rest = line.trim_ascii_start();
    if let Some(after) = rest.strip_prefix(b"export ") {
        rest = after.trim_ascii_start();
    }
    let Some(behind) = rest.strip_prefix(key.as_bytes()) else {
        return 0;
    };
    let behind = behind.trim_ascii_start();
    if matches!(behind.first(), Some(b'=' | b':')) {
        let bytes = line.len() - behind.len() + 1;
        String::from_utf8_lossy(&line[..bytes]).chars().count()
    } else {
        0
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        write!(f, "\n  {number} | {}…\n  {margin} | {}^", self.drawn, " ".repeat(self.column - 1))
    }
}
