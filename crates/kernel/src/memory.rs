//! Memory that others cannot see: secret and anonymous files, mappings of
//! them, and the advice that keeps them out of dumps and children.
//!
//! One function per system call. A [`Mapping`] owns its address range; nothing
//! here hands out a reference into it, because only the owner of the mapping
//! knows which parts of it are accessible.

#![expect(unsafe_code, reason = "system calls that create and destroy memory")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

/// What `madvise(2)` may be told about a range of memory.
///
/// Both need Linux 3.4 or newer at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// `MADV_DONTDUMP`: leave the range out of core dumps (Linux 3.4).
    DontDump,
    /// `MADV_DONTFORK`: a child made by `fork` does not have the range
    /// (Linux 2.6.16).
    DontFork,
}

impl Advice {
    fn as_raw(self) -> libc::c_int {
        match self {
            Self::DontDump => libc::MADV_DONTDUMP,
            Self::DontFork => libc::MADV_DONTFORK,
        }
    }
}

/// The size of a page in bytes: `sysconf(_SC_PAGESIZE)`.
#[must_use]
pub fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: sysconf reads no memory of ours.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        // POSIX lets sysconf fail only for names it does not know.
        usize::try_from(size).unwrap_or(4096)
    })
}

/// Creates an empty secret file, closed on exec.
///
/// Its pages are taken out of the kernel's direct map and no other process can
/// read them, not even root's `/proc/PID/mem`; they are locked, and count
/// against `RLIMIT_MEMLOCK` of the process that maps them.
///
/// See [memfd_secret(2)](https://man7.org/linux/man-pages/man2/memfd_secret.2.html);
/// Linux 5.14.
///
/// # Errors
///
/// `ENOSYS` before 5.14, and up to 6.4 unless the kernel was booted with
/// `secretmem.enable=1`, or where the architecture lacks it; `EMFILE`,
/// `ENFILE`, `ENOMEM`; what a seccomp filter says.
pub fn memfd_secret() -> io::Result<OwnedFd> {
    // SAFETY: memfd_secret takes flags only and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    owned(fd)
}

/// Creates an empty anonymous file, closed on exec and never executable.
///
/// `name` is shown in `/proc/PID/fd` and `maps`. The flag that makes it never
/// executable is asked for and done without where the kernel is older than
/// 6.3.
///
/// See [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html);
/// Linux 3.17.
///
/// # Errors
///
/// `EMFILE`, `ENFILE`, `ENOMEM`; what a seccomp filter says.
pub fn memfd_create(name: &CStr) -> io::Result<OwnedFd> {
    let create = |flags: libc::c_uint| {
        // SAFETY: `name` is a NUL-terminated string that outlives the call.
        let fd = unsafe { libc::memfd_create(name.as_ptr(), flags) };
        owned(libc::c_long::from(fd))
    };
    match create(libc::MFD_CLOEXEC | libc::MFD_NOEXEC_SEAL) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => create(libc::MFD_CLOEXEC),
        other => other,
    }
}

/// Sets the length of a file in bytes. A secret file can be given one once.
///
/// See [ftruncate(2)](https://man7.org/linux/man-pages/man2/ftruncate.2.html).
///
/// # Errors
///
/// `EINVAL` for a secret file that has a length already or a length that is
/// too large; `EPERM` for a sealed one.
pub fn set_len(fd: BorrowedFd<'_>, len: usize) -> io::Result<()> {
    let len = libc::off_t::try_from(len).map_err(|_| errno(libc::EFBIG))?;
    // SAFETY: `fd` is open for as long as it is borrowed.
    check(unsafe { libc::ftruncate(fd.as_raw_fd(), len) })
}

/// An owned range of addresses, unmapped when dropped.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a Mapping owns its range alone and has no interior access; the
// pointer that it gives out is subject to its user's own proof.
unsafe impl Send for Mapping {}
// SAFETY: as above; through a shared reference it only tells where it is.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Reserves `len` bytes of addresses that nobody can access.
    ///
    /// Costs no memory. See
    /// [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html):
    /// `PROT_NONE`, private and anonymous.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `len` is zero, `ENOMEM`.
    pub fn reserve(len: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: no address is asked for, so no existing mapping is touched.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
        Self::from_mmap(base, len)
    }

    /// Maps `len` bytes of zeros that belong to no file, readable, writable and private.
    ///
    /// See [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html).
    ///
    /// # Errors
    ///
    /// `EINVAL` if `len` is zero, `ENOMEM`.
    pub fn anonymous(len: usize) -> io::Result<Self> {
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: no address is asked for, so no existing mapping is touched.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, prot, flags, -1, 0) };
        Self::from_mmap(base, len)
    }

    /// Maps the first `len` bytes of a file, readable, writable and shared.
    ///
    /// See [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html).
    ///
    /// # Errors
    ///
    /// `EAGAIN` when a secret file would exceed `RLIMIT_MEMLOCK`; `EINVAL`,
    /// `ENOMEM`, `EACCES`.
    pub fn shared(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: no address is asked for, so no existing mapping is touched;
        // `fd` is open for as long as it is borrowed.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, prot, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
        Self::from_mmap(base, len)
    }

    /// Replaces `len` bytes at `offset` by a shared mapping of the start of a
    /// file, readable and writable.
    ///
    /// See [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html),
    /// `MAP_FIXED`.
    ///
    /// # Safety
    ///
    /// What was mapped at the range before is gone: no reference into it may
    /// exist.
    ///
    /// # Errors
    ///
    /// As [`shared`](Self::shared), and `EINVAL` if the range is not inside
    /// the mapping or not page-aligned. After an error the range is
    /// inaccessible or as it was.
    pub unsafe fn place_shared(&mut self, offset: usize, len: usize, fd: BorrowedFd<'_>) -> io::Result<()> {
        let address = self.range(offset, len)?;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        // SAFETY: `range` has proved that the addresses are inside the mapping
        // that we own alone, and the caller that nobody refers to them.
        let placed = unsafe { libc::mmap(address, len, prot, flags, fd.as_raw_fd(), 0) };
        if placed == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Locks `len` bytes at `offset` into memory.
    ///
    /// See [mlock(2)](https://man7.org/linux/man-pages/man2/mlock.2.html).
    ///
    /// # Errors
    ///
    /// `ENOMEM` over `RLIMIT_MEMLOCK` or for inaccessible pages, `EPERM` when
    /// that limit is 0, `EAGAIN`; `EINVAL` if the range is not inside the
    /// mapping.
    pub fn lock(&self, offset: usize, len: usize) -> io::Result<()> {
        let address = self.range(offset, len)?;
        // SAFETY: the range is ours; locking changes no byte of it.
        check(unsafe { libc::mlock(address, len) })
    }

    /// Gives advice about `len` bytes at `offset`.
    ///
    /// See [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html).
    ///
    /// # Errors
    ///
    /// `EINVAL` if the range is not inside the mapping or not page-aligned.
    pub fn advise(&self, offset: usize, len: usize, advice: Advice) -> io::Result<()> {
        let address = self.range(offset, len)?;
        // SAFETY: the range is ours, and neither piece of advice changes what
        // this process reads there.
        check(unsafe { libc::madvise(address, len, advice.as_raw()) })
    }

    /// The first address. Valid until the mapping is dropped; whether it may
    /// be accessed depends on what was mapped there.
    #[must_use]
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// The length in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.len
    }

    fn from_mmap(base: *mut libc::c_void, len: usize) -> io::Result<Self> {
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        match NonNull::new(base.cast::<u8>()) {
            Some(base) => Ok(Self { base, len }),
            // Only a process that may map address 0 can get here.
            None => Err(errno(libc::EFAULT)),
        }
    }

    fn range(&self, offset: usize, len: usize) -> io::Result<*mut libc::c_void> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(self.base.as_ptr().wrapping_add(offset).cast()),
            _ => Err(errno(libc::EINVAL)),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours alone and its owner is going away.
        // munmap fails only for ranges that are not page-aligned or when a
        // mapping must be split at the limit of their number; leaving the
        // range mapped is then the safe outcome.
        let _ = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = libc::c_int::try_from(fd).map_err(|_| errno(libc::EBADF))?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn errno(number: libc::c_int) -> io::Error {
    io::Error::from_raw_os_error(number)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn two_mappings_of_one_secret_file_share_their_bytes() {
        let fd = memfd_secret().unwrap();
        set_len(fd.as_fd(), page_size()).unwrap();
        let one = Mapping::shared(fd.as_fd(), page_size()).unwrap();
        let two = Mapping::shared(fd.as_fd(), page_size()).unwrap();
        // SAFETY: both mappings are readable, writable and alive.
        unsafe {
            one.base().as_ptr().write_volatile(7);
            assert_eq!(two.base().as_ptr().read_volatile(), 7);
        }
    }

    #[test]
    fn a_file_is_closed_on_exec_and_a_memfd_not_executable() {
        for fd in [memfd_secret().unwrap(), memfd_create(c"envward-test").unwrap()] {
            // SAFETY: F_GETFD takes no pointer.
            let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
            assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        }
    }

    #[test]
    fn ranges_outside_the_mapping_are_refused() {
        let mapping = Mapping::reserve(2 * page_size()).unwrap();
        for (offset, len) in [(0, 3 * page_size()), (usize::MAX, 2), (2 * page_size(), 1)] {
            let error = mapping.lock(offset, len).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
            let error = mapping.advise(offset, len, Advice::DontDump).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        }
    }

    #[test]
    fn a_placed_file_is_reached_through_the_reservation() {
        let page = page_size();
        let fd = memfd_create(c"envward-test").unwrap();
        set_len(fd.as_fd(), page).unwrap();
        let mut reservation = Mapping::reserve(3 * page).unwrap();
        // SAFETY: nobody refers to the fresh reservation.
        unsafe { reservation.place_shared(page, page, fd.as_fd()) }.unwrap();
        let view = Mapping::shared(fd.as_fd(), page).unwrap();
        // SAFETY: the middle page and the view are readable and writable.
        unsafe {
            reservation.base().as_ptr().add(page).write_volatile(9);
            assert_eq!(view.base().as_ptr().read_volatile(), 9);
        }
    }

    #[test]
    fn a_dropped_mapping_is_gone() {
        let mapping = Mapping::reserve(page_size()).unwrap();
        let address = mapping.base().as_ptr();
        drop(mapping);
        // SAFETY: msync of an unmapped range only reports ENOMEM.
        let result = unsafe { libc::msync(address.cast(), page_size(), libc::MS_ASYNC) };
        assert_eq!(result, -1);
        assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::ENOMEM));
    }
}
