//! Turning the C convention of `-1` and `errno` into [`io::Result`].

use std::io;

/// The value of a call that returns `-1` on error.
pub(crate) fn check<T: PartialEq + From<i8>>(value: T) -> io::Result<T> {
    if value == T::from(-1) { Err(io::Error::last_os_error()) } else { Ok(value) }
}
