//! The system calls that only attacks need: all unsafe code of this crate is below here.
#![expect(unsafe_code, reason = "raw system calls and memory mappings of foreign files")]

pub(crate) mod compat;
pub(crate) mod observer;
pub(crate) mod sampling;
pub(crate) mod tracee;
pub(crate) mod uring;

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr::NonNull;

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(result: libc::c_long) -> io::Result<File> {
    let fd = check(result)?;
    // SAFETY: every caller passes the result of a call that returns a new descriptor, which
    // nobody else owns.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
}

/// Whether `haystack` contains `needle`.
pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    // SAFETY: both ranges are valid for reads of their length.
    let found = unsafe { libc::memmem(haystack.as_ptr().cast(), haystack.len(), needle.as_ptr().cast(), needle.len()) };
    !found.is_null()
}

/// [openat(2)](https://man7.org/linux/man-pages/man2/openat.2.html).
pub(crate) fn open_at(directory: BorrowedFd<'_>, path: &CStr, flags: i32) -> io::Result<File> {
    // SAFETY: `path` is NUL-terminated.
    owned(unsafe { libc::openat(directory.as_raw_fd(), path.as_ptr(), flags | libc::O_CLOEXEC) }.into())
}

/// [openat2(2)](https://man7.org/linux/man-pages/man2/openat2.2.html) for reading, Linux 5.6.
pub(crate) fn open_at_2(path: &CStr) -> io::Result<File> {
    // `struct open_how`: flags, mode, resolve.
    let how = [(libc::O_RDONLY | libc::O_CLOEXEC) as u64, 0, 0];
    // SAFETY: `path` is NUL-terminated, and `how` is valid for reads of the size that is given.
    owned(unsafe { libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path.as_ptr(), how.as_ptr(), size_of_val(&how)) })
}

/// A mount namespace of this process's own, from which nothing propagates.
pub(crate) fn unshare_mounts() -> io::Result<()> {
    // SAFETY: no pointer is involved.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) }.into())?;
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: the paths are NUL-terminated; null is allowed for the others with these flags.
    let result = unsafe { libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null()) };
    check(result.into()).map(drop)
}

/// Mounts a procfs at `place`.
pub(crate) fn mount_proc(place: &Path) -> io::Result<()> {
    let place = CString::new(place.as_os_str().as_bytes())?;
    let kind = c"proc".as_ptr();
    // SAFETY: all strings are NUL-terminated; procfs takes no data.
    check(unsafe { libc::mount(kind, place.as_ptr(), kind, 0, std::ptr::null()) }.into()).map(drop)
}

/// Lets `place` show what `what` is: a bind mount of a file or a directory.
pub(crate) fn bind(what: &Path, place: &Path) -> io::Result<()> {
    let (what, place) = (CString::new(what.as_os_str().as_bytes())?, CString::new(place.as_os_str().as_bytes())?);
    let none = std::ptr::null();
    // SAFETY: both paths are NUL-terminated; null is allowed for the others with this flag.
    check(unsafe { libc::mount(what.as_ptr(), place.as_ptr(), none, libc::MS_BIND, none.cast()) }.into()).map(drop)
}

/// Unmounts what [`mount_proc`] or [`bind`] mounted.
pub(crate) fn unmount(place: &Path) -> io::Result<()> {
    let place = CString::new(place.as_os_str().as_bytes())?;
    // SAFETY: the path is NUL-terminated.
    check(unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH) }.into()).map(drop)
}

/// The root of a procfs that is mounted nowhere: `fsopen(2)`, `fsconfig(2)`, `fsmount(2)`.
pub(crate) fn detached_proc() -> io::Result<File> {
    const FSCONFIG_CMD_CREATE: libc::c_long = 6;
    const CLOEXEC: libc::c_long = 1;
    // SAFETY: the name is NUL-terminated.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, c"proc".as_ptr(), CLOEXEC) })?;
    let (fd, null) = (context.as_raw_fd(), std::ptr::null::<u8>());
    // SAFETY: this command takes neither key nor value.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, null, null, 0) })?;
    // SAFETY: no pointer is involved.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, fd, CLOEXEC, 0) })
}

/// [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html), Linux 5.3.
pub(crate) fn pidfd_open(pid: i32) -> io::Result<File> {
    // SAFETY: no pointer is involved.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// [pidfd_getfd(2)](https://man7.org/linux/man-pages/man2/pidfd_getfd.2.html), Linux 5.6.
pub(crate) fn pidfd_getfd(process: BorrowedFd<'_>, number: i32) -> io::Result<File> {
    // SAFETY: no pointer is involved.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) })
}

/// A file mapped for reading.
pub(crate) struct Mapped {
    base: NonNull<u8>,
    length: usize,
}

/// Maps the first `length` bytes of `file`.
pub(crate) fn map(file: &File, length: usize) -> io::Result<Mapped> {
    // SAFETY: a new mapping at an address that the kernel chooses disturbs no other.
    let base =
        unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    match NonNull::new(base.cast()) {
        Some(base) => Ok(Mapped { base, length }),
        None => Err(io::Error::from_raw_os_error(libc::ENOMEM)),
    }
}

impl Mapped {
    /// What is in it. The victim may change it meanwhile, and may truncate it only by
    /// cooperating in the attack on itself.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the range stays mapped and readable until `self` is dropped, see `map`.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.length) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `map` was given; no reference outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

/// Sends `SIGABRT`.
pub(crate) fn abort(pid: i32) -> io::Result<()> {
    // SAFETY: no pointer is involved.
    check(unsafe { libc::kill(pid, libc::SIGABRT) }.into()).map(drop)
}
