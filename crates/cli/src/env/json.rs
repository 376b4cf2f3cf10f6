//! JSON text in protected memory.

use envward_secret::{ReadError, SecretBuf};

/// Appends a JSON string.
pub(crate) fn string(text: &[u8], out: &mut SecretBuf) -> Result<(), ReadError> {
    out.push(b"\"")?;
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f)) {
        out.push(&rest[..at])?;
        match rest[at] {
            b'"' => out.push(b"\\\"")?,
            b'\\' => out.push(b"\\\\")?,
            b'\n' => out.push(b"\\n")?,
            b'\r' => out.push(b"\\r")?,
            b'\t' => out.push(b"\\t")?,
            byte => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.push(b"\\u00")?;
                out.push(&digits)?;
            }
        }
        rest = &rest[at + 1..];
    }
    out.push(rest)?;
    out.push(b"\"")
}
