//! The controlling terminal.
#![expect(unsafe_code, reason = "tcgetpgrp(3) is a raw system call")]

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// The foreground process group of the controlling terminal
/// ([tcgetpgrp(3)](https://man7.org/linux/man-pages/man3/tcgetpgrp.3.html)); `None` without one.
#[must_use]
pub fn foreground_group() -> Option<i32> {
    let terminal = OpenOptions::new().read(true).custom_flags(libc::O_NOCTTY).open("/dev/tty").ok()?;
    // SAFETY: the descriptor is open as long as `terminal` lives.
    let group = unsafe { libc::tcgetpgrp(terminal.as_raw_fd()) };
    (group > 0).then_some(group)
}
