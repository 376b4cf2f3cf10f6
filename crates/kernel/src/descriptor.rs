//! File descriptors: taking over inherited ones, reading, flags, closing.

#![expect(unsafe_code, reason = "system calls on descriptors and caller's buffers")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::errno::check;

/// Takes over a descriptor that this process inherited, by its number.
///
/// Everything that this process opens itself is closed on exec, so a
/// descriptor without that flag came through `execve` and has no owner here
/// yet. Taking it sets the flag: the program that is started later does not
/// get it, and it cannot be taken twice.
///
/// See [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html).
///
/// # Errors
///
/// `EBADF` if no such descriptor is open, `EBUSY` if it belongs to this
/// process already or is one of the three standard ones.
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    if (0..=2).contains(&number) {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    // SAFETY: F_GETFD takes no pointer and does not change the descriptor.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    // SAFETY: as above; the descriptor only gains its close-on-exec flag.
    if unsafe { libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: without close-on-exec it was inherited and not taken before
    // (see above), so nobody else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Reads up to `buffer.len()` bytes straight into `buffer`; 0 is the end.
///
/// Interrupted calls are repeated. No copy is kept anywhere in this process,
/// which is why sources read secrets with this and not with `std::io`.
///
/// See [read(2)](https://man7.org/linux/man-pages/man2/read.2.html).
///
/// # Errors
///
/// What `read(2)` reports, but `EINTR`.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the kernel writes at most `len` bytes into the borrowed
        // buffer, and `fd` is open for as long as it is borrowed.
        let count = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        if let Ok(count) = usize::try_from(count) {
            return Ok(count);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

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

/// Puts `/dev/null` in place of the standard streams that are open, so that whoever reads from
/// or writes to their other ends sees that they are closed.
pub fn close_standard_streams() {
    detach_streams(&[0, 1, 2]);
}

/// As [`close_standard_streams`], but keeps standard error for messages.
pub fn close_standard_input_and_output() {
    detach_streams(&[0, 1]);
}

fn detach_streams(numbers: &[RawFd]) {
    let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") else { return };
    for &number in numbers.iter().filter(|number| is_open(**number)) {
        // Nothing more can be done about a stream that cannot be replaced.
        let _ = replace_standard_stream(null.as_fd(), number);
    }
}

/// Closes all descriptors from 3 on but those of `kept`, in a child made by `fork` that uses
/// none of the others ([close_range(2)](https://man7.org/linux/man-pages/man2/close_range.2.html),
/// Linux 5.9).
///
/// # Errors
/// `ENOSYS` before Linux 5.9.
pub fn close_all_but(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<u32> = kept.iter().map(|fd| fd.as_raw_fd().unsigned_abs()).collect();
    kept.sort_unstable();
    let mut first = 3;
    for last in kept.into_iter().chain([u32::MAX]) {
        // The kept one itself stays, but for the end of all.
        let end = if last == u32::MAX { last } else { last.saturating_sub(1) };
        if first <= end {
            // SAFETY: takes no pointers; that nobody uses what is closed is the caller's promise,
            // and a number that is used all the same gives EBADF.
            check(unsafe { libc::syscall(libc::SYS_close_range, first, end, 0_u32) })?;
        }
        first = first.max(last.saturating_add(1));
    }
    Ok(())
}

/// Whether two descriptors share their file offset and status flags: they are copies of each
/// other ([kcmp(2)](https://man7.org/linux/man-pages/man2/kcmp.2.html), Linux 3.5).
///
/// # Errors
/// `EBADF`; `ENOSYS` or `EPERM` where the call is not to be had.
pub fn are_copies(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<bool> {
    const KCMP_FILE: libc::c_int = 0;
    let own = crate::process::id();
    // SAFETY: takes no pointers.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, own, own, KCMP_FILE, one.as_raw_fd(), other.as_raw_fd()) };
    check(order).map(|order| order == 0)
}

/// How many descriptor numbers [`close_inherited`] looks at.
const LOOKED_AT: usize = 256;

/// Closes the descriptors from 3 to 255 that this process inherited and nobody has taken over
/// ([`take_inherited`]): those without close-on-exec, which everything that is opened here has.
pub fn close_inherited() {
    let mut numbers = [const { libc::pollfd { fd: 0, events: 0, revents: 0 } }; LOOKED_AT];
    for (entry, number) in numbers.iter_mut().zip(0..) {
        entry.fd = number;
    }
    // One call says of all numbers whether they are open.
    // SAFETY: the kernel writes into the array, as far as it is long.
    let polled = unsafe { libc::poll(numbers.as_mut_ptr(), LOOKED_AT as libc::nfds_t, 0) };
    for entry in &numbers[3..] {
        // Where poll(2) refuses, as below a small RLIMIT_NOFILE, each number is asked for.
        if polled >= 0 && entry.revents & libc::POLLNVAL != 0 {
            continue;
        }
        // SAFETY: takes no pointer.
        let flags = unsafe { libc::fcntl(entry.fd, libc::F_GETFD) };
        if flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
            // SAFETY: without close-on-exec nobody in this process owns it.
            unsafe { libc::close(entry.fd) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    #[test]
    fn an_inherited_descriptor_is_taken_once() {
        let file = File::open("/dev/null").unwrap();
        // SAFETY: F_DUPFD makes a new descriptor without close-on-exec, as an
        // inherited one would be.
        let number = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 3) };
        let taken = take_inherited(number).unwrap();
        assert_eq!(taken.as_raw_fd(), number);
        let again = take_inherited(number).unwrap_err();
        assert_eq!(again.raw_os_error(), Some(libc::EBUSY));
    }

    #[test]
    fn own_standard_and_closed_descriptors_are_refused() {
        let own = File::open("/dev/null").unwrap();
        for (number, expected) in [
            (0, libc::EBUSY),
            (2, libc::EBUSY),
            (own.as_raw_fd(), libc::EBUSY),
            (-1, libc::EBADF),
            (1_000_000, libc::EBADF),
        ] {
            let error = take_inherited(number).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(expected), "{number}");
        }
    }

    #[test]
    fn read_fills_the_buffer_and_reports_the_end() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"abc").unwrap();
        drop(writer);
        let mut buffer = [0; 8];
        assert_eq!(read(reader.as_fd(), &mut buffer).unwrap(), 3);
        assert_eq!(&buffer[..3], b"abc");
        assert_eq!(read(reader.as_fd(), &mut buffer).unwrap(), 0);
    }

    #[test]
    fn only_the_kept_ones_stay_open() {
        let (first, second) = (File::open("/dev/null").unwrap(), File::open("/dev/null").unwrap());
        let kept = File::open("/dev/null").unwrap();
        let crate::process::Fork::Parent(child) = fork_for_test(|| {
            close_all_but(&[kept.as_fd(), io::stdin().as_fd()]).is_ok()
                && is_open(kept.as_raw_fd())
                && is_open(2)
                && !is_open(first.as_raw_fd())
                && !is_open(second.as_raw_fd())
        }) else {
            unreachable!("the child ends")
        };
        let ended = crate::process::wait_for(child).unwrap();
        assert_eq!(ended, crate::process::Change::Ended(crate::process::Ending::Exited(0)));
    }

    /// Forks although the test has threads: the child only makes system calls.
    fn fork_for_test(in_child: impl FnOnce() -> bool) -> crate::process::Fork {
        // SAFETY: as said; the child never returns.
        match unsafe { libc::fork() } {
            0 => crate::process::exit_now(u8::from(!in_child())),
            pid => crate::process::Fork::Parent(pid),
        }
    }

    #[test]
    fn a_copy_shares_the_offset_and_a_second_opening_does_not() {
        let one = File::open("/dev/null").unwrap();
        let copy = one.try_clone().unwrap();
        let other = File::open("/dev/null").unwrap();
        assert!(are_copies(one.as_fd(), copy.as_fd()).unwrap());
        assert!(!are_copies(one.as_fd(), other.as_fd()).unwrap());
    }

    #[test]
    fn read_reports_errors() {
        let directory = File::open("/").unwrap();
        let error = read(directory.as_fd(), &mut [0; 4]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EISDIR));
    }
}
