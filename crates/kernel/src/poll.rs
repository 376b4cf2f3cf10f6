//! Waiting for descriptors, [ppoll(2)](https://man7.org/linux/man-pages/man2/poll.2.html).
#![expect(unsafe_code, reason = "ppoll(2) takes a pointer to an array")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// What one descriptor is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// `POLLIN`.
    pub readable: bool,
    /// `POLLHUP` or `POLLERR`: the other side is gone.
    pub hung_up: bool,
}

/// Waits until one of `descriptors` is readable or hung up; forever without a `timeout`.
/// An interruption by a signal counts as "nothing ready".
///
/// # Errors
/// `ENOMEM`; `EINVAL` for more descriptors than `RLIMIT_NOFILE`.
pub fn wait<const N: usize>(
    descriptors: [Option<BorrowedFd<'_>>; N],
    timeout: Option<Duration>,
) -> io::Result<[Readiness; N]> {
    let mut set = descriptors.map(|descriptor| libc::pollfd {
        fd: descriptor.map_or(-1, |descriptor| descriptor.as_raw_fd()),
        events: libc::POLLIN,
        revents: 0,
    });
    let limit = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs() as libc::time_t,
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the array has N entries, negative descriptors in it are ignored; the limit is
    // null or lives until the call returns; a null mask leaves the signal mask alone.
    let ready = unsafe { libc::ppoll(set.as_mut_ptr(), N as libc::nfds_t, limit, std::ptr::null()) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
        return Ok([Readiness::default(); N]);
    }
    Ok(set.map(|entry| Readiness {
        readable: entry.revents & libc::POLLIN != 0,
        hung_up: entry.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0,
    }))
}
