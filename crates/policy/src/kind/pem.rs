//! PEM (RFC 7468 and the older RFC 1421 headers), line by line.

use super::{Detail, Outcome, base64};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// One or more blocks. What stands outside of them is explanatory text.
pub(super) fn check(value: &[u8]) -> Outcome {
    let mut open: Option<Block<'_>> = None;
    let mut blocks = 0;
    let mut at = 0;
    for (number, piece) in value.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let line = piece.trim_ascii_end();
        let wrong = |what| Err(Some(Detail::Line(number + 1, what)));
        let start = at;
        at += piece.len();
        match &mut open {
            None => {
                if let Some(label) = label(line, BEGIN) {
                    open = Some(Block { label, number: number + 1, body: at, in_headers: None });
                } else if label(line, END).is_some() {
                    return wrong("an END without its BEGIN");
                }
            }
            Some(block) => {
                if let Some(label) = label(line, END) {
                    if label != block.label {
                        return wrong("the END has another label than the BEGIN");
                    }
                    if !base64::is_base64(&value[block.body..start]) {
                        return Err(Some(Detail::Line(block.number, "what is in the block is not base64")));
                    }
                    blocks += 1;
                    open = None;
                } else if line.starts_with(BEGIN) {
                    return wrong("a BEGIN inside of a block");
                } else if block.is_header(line) {
                    block.body = at;
                }
            }
        }
    }
    match open {
        Some(block) => Err(Some(if value.windows(2).any(|pair| pair == b"\\n") {
            Detail::BackslashN
        } else {
            Detail::Line(block.number, "the block is not closed by an END")
        })),
        None if blocks > 0 => Ok(()),
        None if value.starts_with(BEGIN) && value.windows(2).any(|pair| pair == b"\\n") => {
            Err(Some(Detail::BackslashN))
        }
        None if value.is_empty() => Err(None),
        None => Err(Some(Detail::NoBlock)),
    }
}

struct Block<'a> {
    label: &'a [u8],
    /// The line of its beginning, from 1.
    number: usize,
    /// Where its base64 starts.
    body: usize,
    /// Whether the last line was a header; nothing before the first line.
    in_headers: Option<bool>,
}

impl Block<'_> {
    /// `Name: value` lines at the start of a block, their continuations, and the empty line
    /// behind them.
    fn is_header(&mut self, line: &[u8]) -> bool {
        let is_header = match self.in_headers {
            Some(false) => false,
            None => line.contains(&b':'),
            Some(true) => line.contains(&b':') || line.is_empty() || line.starts_with(b" "),
        };
        self.in_headers = Some(is_header && !line.is_empty());
        is_header
    }
}

/// The label of a line that begins with `before` and ends with dashes.
fn label<'a>(line: &'a [u8], before: &[u8]) -> Option<&'a [u8]> {
    let label = line.strip_prefix(before)?.strip_suffix(DASHES)?;
    (!label.is_empty()).then_some(label)
}
