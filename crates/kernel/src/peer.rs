//! Who is at the other end of a local socket, [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
#![expect(unsafe_code, reason = "getsockopt(2) writes into a structure")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::errno::check;

/// The process that connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its number, in our PID namespace; 0 when it is in none of ours.
    pub pid: i32,
    /// Its effective user when it connected.
    pub uid: u32,
}

/// `SO_PEERCRED`.
///
/// # Errors
/// `ENOTSOCK` and its kind when this is no connected UNIX socket.
pub fn of(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `credentials`, which is that long.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    })?;
    Ok(Peer { pid: credentials.pid, uid: credentials.uid })
}
