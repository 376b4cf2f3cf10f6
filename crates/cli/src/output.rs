//! Writing to the standard streams. A stream that is closed or full is no reason to fail.

use std::fmt;
use std::io::{self, Write};

/// A message on standard error, with our name before it.
pub(crate) fn error(message: impl fmt::Display) {
    let text = format!("envward: {message}\n");
    let _ = io::stderr().write_all(text.as_bytes());
}

/// A result on standard output.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn result(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
