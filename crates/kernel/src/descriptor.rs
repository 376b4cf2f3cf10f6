//! File descriptors of the calling process.
#![expect(unsafe_code, reason = "fcntl(2), dup2(2) and close_range(2) are raw system calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use crate::errno::check;

/// Sets or clears close-on-exec ([fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html)).
///
/// # Errors
/// `EBADF` when the number is not open.
pub fn set_close_on_exec(number: RawFd, close: bool) -> io::Result<()> {
    // SAFETY: takes no pointer; an unopened number gives EBADF.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, if close { libc::FD_CLOEXEC } else { 0 }) }).map(drop)
}

/// Whether the descriptor number is open.
#[must_use]
pub fn is_open(number: RawFd) -> bool {
    // SAFETY: takes no pointer.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    flags >= 0
}

/// Makes `number` refer to what `descriptor` refers to
/// ([dup3(2)](https://man7.org/linux/man-pages/man2/dup.2.html)), for the standard streams.
///
/// # Errors
/// `EMFILE`, `EBUSY`.
pub fn replace_standard_stream(descriptor: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    assert!((0..=2).contains(&number), "only the standard streams may be replaced by number");
    // SAFETY: numbers 0 to 2 are not owned by any `OwnedFd`.
    check(unsafe { libc::dup3(descriptor.as_raw_fd(), number, 0) }).map(drop)
}

/// Closes every descriptor above the standard streams except `keep`
/// ([close_range(2)](https://man7.org/linux/man-pages/man2/close_range.2.html), Linux 5.9).
///
/// # Safety
/// No `OwnedFd` or similar may own a descriptor that is not in `keep`.
///
/// # Errors
/// `ENOSYS` before Linux 5.9.
pub unsafe fn close_all_except(keep: &mut [RawFd]) -> io::Result<()> {
    keep.sort_unstable();
    let mut first = 3;
    for &number in keep.iter().filter(|number| **number >= 3) {
        close_numbers(first, number - 1)?;
        first = number + 1;
    }
    close_numbers(first, RawFd::MAX)
}

fn close_numbers(first: RawFd, last: RawFd) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: `close_all_except` passes on its caller's promise that nobody owns these.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}
