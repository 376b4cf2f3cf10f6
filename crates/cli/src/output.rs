//! Writing to the standard streams. A stream that is closed or full is no reason to fail.
//!
//! Colours are for terminals, and follow `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE` in the same
//! way as the help and usage messages, which clap colours.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};

/// A message on standard error, with our name before it.
pub(crate) fn error(message: impl fmt::Display) {
    let name = Paint::of_errors().error("envward:");
    let text = format!("{name} {message}\n");
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

/// Bytes on standard output that may be secret: past the buffer, which is ordinary memory.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let out = File::from(io::stdout().lock().as_fd().try_clone_to_owned()?);
    (&out).write_all(bytes)
}

/// Puts colours around words, or leaves them as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    /// For what goes to standard output.
    pub(crate) fn of_results() -> Self {
        Self(AutoStream::choice(&io::stdout()) != ColorChoice::Never)
    }

    /// For what goes to standard error.
    pub(crate) fn of_errors() -> Self {
        Self(AutoStream::choice(&io::stderr()) != ColorChoice::Never)
    }

    fn with(self, code: &str, text: impl fmt::Display) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// Something that protects.
    pub(crate) fn good(self, text: impl fmt::Display) -> String {
        self.with("32", text)
    }

    /// Something that is worth a look.
    pub(crate) fn warning(self, text: impl fmt::Display) -> String {
        self.with("33", text)
    }

    /// Something that is wrong.
    pub(crate) fn error(self, text: impl fmt::Display) -> String {
        self.with("1;31", text)
    }

    /// Something beside the point.
    pub(crate) fn faint(self, text: impl fmt::Display) -> String {
        self.with("2", text)
    }

    /// A heading.
    pub(crate) fn heading(self, text: impl fmt::Display) -> String {
        self.with("1", text)
    }
}

/// How far something has come that takes long: one line on a terminal that is overwritten and in
/// the end removed; nothing where standard error is no terminal, and nothing in the first second.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    next: Option<Instant>,
    shown: bool,
}

impl Progress {
    const SILENT: Duration = Duration::from_secs(1);
    const PERIOD: Duration = Duration::from_millis(200);

    pub(crate) fn new(what: &'static str) -> Self {
        let next = io::stderr().is_terminal().then(|| Instant::now() + Self::SILENT);
        Self { what, next, shown: false }
    }

    /// So much is done.
    pub(crate) fn tell(&mut self, done: impl fmt::Display) {
        if self.next.is_some_and(|next| Instant::now() >= next) {
            self.next = Some(Instant::now() + Self::PERIOD);
            self.shown = true;
            let _ = write!(io::stderr(), "\r\x1b[K{} {done}", self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
