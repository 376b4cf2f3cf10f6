//! The controlling terminal.
#![expect(unsafe_code, reason = "tcgetpgrp(3) and tcgetattr(3) are raw system calls")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use crate::errno::check;

/// The foreground process group of the controlling terminal
/// ([tcgetpgrp(3)](https://man7.org/linux/man-pages/man3/tcgetpgrp.3.html)); `None` without one.
#[must_use]
pub fn foreground_group() -> Option<i32> {
    let terminal = OpenOptions::new().read(true).custom_flags(libc::O_NOCTTY).open("/dev/tty").ok()?;
    // SAFETY: the descriptor is open as long as `terminal` lives.
    let group = unsafe { libc::tcgetpgrp(terminal.as_raw_fd()) };
    (group > 0).then_some(group)
}

/// How a terminal treats what is typed.
#[derive(Clone, Copy)]
pub struct Attributes(libc::termios);

impl Attributes {
    /// Those of the terminal `fd`, [tcgetattr(3)](https://man7.org/linux/man-pages/man3/tcgetattr.3.html).
    ///
    /// # Errors
    /// `ENOTTY` for what is no terminal.
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: the structure is plain data, and the kernel fills it.
        unsafe {
            let mut raw: libc::termios = std::mem::zeroed();
            check(libc::tcgetattr(fd.as_raw_fd(), &raw mut raw))?;
            Ok(Self(raw))
        }
    }

    /// The same, but what is typed is not shown, except for the end of the line.
    #[must_use]
    pub fn without_echo(mut self) -> Self {
        self.0.c_lflag &= !libc::ECHO;
        self.0.c_lflag |= libc::ECHONL | libc::ICANON | libc::ISIG;
        self
    }

    /// Gives them to the terminal `fd`, and forgets what was typed before when `flush`.
    ///
    /// # Errors
    /// `ENOTTY`, `EIO`.
    pub fn set(&self, fd: BorrowedFd<'_>, flush: bool) -> io::Result<()> {
        let when = if flush { libc::TCSAFLUSH } else { libc::TCSANOW };
        // SAFETY: the structure came from `tcgetattr`.
        check(unsafe { libc::tcsetattr(fd.as_raw_fd(), when, &raw const self.0) }).map(drop)
    }
}

impl std::fmt::Debug for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attributes").finish_non_exhaustive()
    }
}
