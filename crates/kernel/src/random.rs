//! Random numbers, [getrandom(2)](https://man7.org/linux/man-pages/man2/getrandom.2.html) (Linux 3.17).
#![expect(unsafe_code, reason = "getrandom(2) takes a pointer to a buffer")]

use std::io;

use crate::errno::check;

/// Fills `buffer`, at most 256 bytes so that the kernel never gives less, with random bytes.
///
/// # Errors
/// `ENOSYS` before Linux 3.17.
///
/// # Panics
/// For a longer buffer.
pub fn fill(buffer: &mut [u8]) -> io::Result<()> {
    assert!(buffer.len() <= 256, "getrandom(2) may give less than asked for");
    // SAFETY: the kernel writes at most `len` bytes to the buffer.
    check(unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) }).map(drop)
}
