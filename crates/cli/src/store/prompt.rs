//! Asking at the terminal for what must not be seen.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;

use envward_kernel::terminal::Attributes;

use crate::failure::Failure;

use super::{code, failure};

/// The longest line that a terminal gives (`N_TTY_BUF_SIZE`).
const MAX_LINE: usize = 4096;
const O_NOCTTY: i32 = 0o400;

fn terminal() -> Option<File> {
    OpenOptions::new().read(true).write(true).custom_flags(O_NOCTTY).open("/dev/tty").ok()
}

/// Asks for a line that is not shown; `None` without a terminal.
pub(super) fn secret(prompt: &str) -> Option<String> {
    let mut terminal = terminal()?;
    let before = Attributes::of(terminal.as_fd()).ok()?;
    before.without_echo().set(terminal.as_fd(), true).ok()?;
    let line = terminal.write_all(prompt.as_bytes()).ok().and_then(|()| line(&mut terminal));
    // What was pasted behind the first line is not for whoever reads the terminal next.
    let _ = before.set(terminal.as_fd(), true);
    line
}

/// Asks for a line that is shown.
pub(super) fn question(prompt: &str) -> Option<String> {
    let mut terminal = terminal()?;
    terminal.write_all(prompt.as_bytes()).ok()?;
    line(&mut terminal)
}

fn line(terminal: &mut File) -> Option<String> {
    // Whole lines come at once; the buffer is in this process's heap.
    let mut bytes = vec![0; MAX_LINE];
    let count = terminal.read(&mut bytes).ok()?;
    // The terminal drops what does not fit: a part of a value is none.
    if count >= MAX_LINE - 1 {
        return None;
    }
    bytes.truncate(count);
    if bytes.pop() != Some(b'\n') {
        return None;
    }
    String::from_utf8(bytes).ok()
}

/// A new passphrase, asked for twice.
pub(super) fn new_passphrase() -> Result<String, Failure> {
    let none =
        || failure(code::LOCKED, "no passphrase was given").hint("run it at a terminal, or use --passphrase-file");
    let first = secret("New passphrase: ").ok_or_else(none)?;
    if first.is_empty() {
        return Err(none());
    }
    if secret("The same again: ").ok_or_else(none)? != first {
        return Err(failure(code::INPUT, "these were two different passphrases"));
    }
    Ok(first)
}

/// The state of the terminal, to be put back if a child dies while it asks.
pub(super) struct Terminal(Option<(File, Attributes)>);

impl Terminal {
    pub(super) fn remember() -> Self {
        Self(terminal().and_then(|file| {
            let attributes = Attributes::of(file.as_fd()).ok()?;
            Some((file, attributes))
        }))
    }

    pub(super) fn restore(&self) {
        if let Some((file, attributes)) = &self.0 {
            let _ = attributes.set(file.as_fd(), false);
        }
    }
}
