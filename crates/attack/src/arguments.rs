//! The command line, which everybody may read.

use std::fs;
use std::io;

use crate::{Needle, Outcome};

/// Reads `/proc/PID/cmdline`. When a program has overwritten the end of its arguments, as
/// those that set their process title do, the kernel goes on into the environment.
pub(crate) fn by_command_line(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(bytes) if needle.is_in(&bytes) => Ok(Outcome::Leaked),
        Ok(_) => Ok(Outcome::NotFound),
        Err(error) => Outcome::from_error(error),
    }
}
