//! A piece of protected memory between two guard pages.

#![expect(unsafe_code, reason = "makes slices of mappings and wipes them behind the optimiser's back")]

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{Ordering, compiler_fence};

use envward_kernel::memory::{self, Advice, Mapping};

use crate::{Backing, RegionError, Step};

/// Protected memory of a fixed length, zero-filled at first and wiped on drop.
///
/// It occupies whole pages with an inaccessible page before and after. The
/// rest of the last page holds a canary: if anything wrote behind the end,
/// dropping the region aborts the process. A child made by `fork` does not
/// have the memory: it must neither use nor drop a region.
pub struct Region {
    mapping: Mapping,
    /// The bytes that were asked for.
    len: usize,
    backing: Backing,
    /// How much of the body may have been written: pages behind that were never taken from the
    /// kernel, and wiping them would only take them.
    touched: usize,
    /// False once the bytes belong to whoever maps the descriptor.
    wipe: bool,
}

impl Region {
    /// A region of `len` bytes that only this process can map.
    ///
    /// A length of 0 is a region of one page without usable bytes.
    ///
    /// # Errors
    ///
    /// The step that failed with the kernel's answer; see [`RegionError`].
    pub fn new(len: usize, backing: Backing) -> Result<Self, RegionError> {
        // The descriptor is closed here: nobody can steal a closed one.
        let (fd, _) = create(len, backing)?;
        Self::place(fd.as_fd(), len, backing, false)
    }

    /// A region of whole pages, at least `len` bytes, that a forked child shares.
    ///
    /// The kernel wipes the pages of a secret file itself when they are given back, and only
    /// those that were used, so that is left to it.
    pub(crate) fn inherited(len: usize, backing: Backing) -> Result<Self, RegionError> {
        let (fd, body) = create(len, backing)?;
        let mut region = Self::place(fd.as_fd(), body, backing, true)?;
        region.wipe = backing == Backing::Locked;
        Ok(region)
    }

    /// A region of `len` bytes that is to be mapped by another process.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn for_delivery(len: usize, backing: Backing) -> Result<Delivery, RegionError> {
        Delivery::new(len, backing)
    }

    /// A region of `len` bytes whose memory may become a [`Delivery`] when it has served its
    /// purpose, which is cheaper than new memory: it keeps its descriptor.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub(crate) fn reusable(len: usize, backing: Backing) -> Result<(Self, OwnedFd), RegionError> {
        let (fd, _) = create(len, backing)?;
        Ok((Self::place(fd.as_fd(), len, backing, false)?, fd))
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `body` points to at least `len` mapped, initialised bytes
        // that only this region refers to, for as long as it lives.
        unsafe { std::slice::from_raw_parts(self.body(), self.len) }
    }

    /// The bytes, to be changed.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.touched = self.len;
        // SAFETY: as in `as_slice`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.body(), self.len) }
    }

    /// The first `end` bytes, to be changed, or all where there are fewer: what is never asked
    /// for costs no memory.
    #[must_use]
    pub fn prefix_mut(&mut self, end: usize) -> &mut [u8] {
        let end = end.min(self.len);
        self.touched = self.touched.max(end);
        // SAFETY: as in `as_slice`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.body(), end) }
    }

    /// Lets `write` fill what is behind the first `from` bytes and say how many it wrote.
    pub(crate) fn fill(
        &mut self,
        from: usize,
        write: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let touched = self.touched;
        let written = write(&mut self.as_mut_slice()[from..])?;
        self.touched = touched.max(from + written).min(self.len);
        Ok(written)
    }

    /// The number of usable bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there are no usable bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The kind of memory behind it.
    #[must_use]
    pub fn backing(&self) -> Backing {
        self.backing
    }

    /// Unpacks a region that a parent packed ([`Delivery::pack`]): how one gets into a child,
    /// which has none of its parent's.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn unpack(parcel: Parcel) -> Result<Self, RegionError> {
        let Parcel { fd, len, backing } = parcel;
        Self::place(fd.as_fd(), len, backing, false)
    }

    /// Maps the file between two guard pages and writes the canary.
    fn place(fd: BorrowedFd<'_>, len: usize, backing: Backing, inherited: bool) -> Result<Self, RegionError> {
        let failed = |step| move |source| RegionError::new(backing, step, len, source);
        let page = memory::page_size();
        let body = body_len(len).map_err(failed(Step::Reserve))?;
        let whole = body.checked_add(2 * page).ok_or_else(too_large).map_err(failed(Step::Reserve))?;
        let mut mapping = Mapping::reserve(whole).map_err(failed(Step::Reserve))?;
        // SAFETY: the reservation is new and nobody refers to it.
        unsafe { mapping.place_shared(page, body, fd) }.map_err(failed(Step::Map))?;
        // A secret file is locked and left out of dumps by nature.
        if backing == Backing::Locked {
            mapping.lock(page, body).map_err(failed(Step::Lock))?;
            mapping.advise(page, body, Advice::DontDump).map_err(failed(Step::Advise))?;
        }
        if !inherited {
            mapping.advise(page, body, Advice::DontFork).map_err(failed(Step::Advise))?;
        }
        let mut region = Self { mapping, len, backing, touched: 0, wipe: true };
        for (byte, expected) in region.slack().iter_mut().zip(canary()) {
            *byte = expected;
        }
        Ok(region)
    }

    /// The first byte after the leading guard page.
    fn body(&self) -> *mut u8 {
        self.mapping.base().as_ptr().wrapping_add(memory::page_size())
    }

    fn body_len(&self) -> usize {
        self.mapping.size() - 2 * memory::page_size()
    }

    /// What is left of the last page.
    fn slack(&mut self) -> &mut [u8] {
        // SAFETY: the body has `body_len` mapped, initialised bytes of which
        // these are the last; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.body().add(self.len), self.body_len() - self.len) }
    }

    /// Wipes the region, whose whole pages are usable from now on.
    pub(crate) fn clear(&mut self) {
        self.check_canary();
        self.wipe_touched();
        self.len = self.body_len();
    }

    /// Wipes what may have been written, and the canary.
    fn wipe_touched(&mut self) {
        let slack = self.body_len() - self.len;
        let end = if slack > 0 { self.body_len() } else { self.touched.next_multiple_of(memory::page_size()) };
        // SAFETY: the body has `body_len` mapped bytes, at least `end` as both are whole pages,
        // and it is aligned to a page.
        unsafe { wipe(self.body(), end.min(self.body_len())) };
    }

    /// Aborts if anything wrote behind the end: the process can no longer
    /// vouch for its memory, and unwinding would run more of its code.
    fn check_canary(&mut self) {
        let intact = self.slack().iter().zip(canary()).all(|(byte, expected)| *byte == expected);
        if !intact {
            std::process::abort();
        }
    }
}

/// Makes the file behind a region, and says how long it is.
fn create(len: usize, backing: Backing) -> Result<(OwnedFd, usize), RegionError> {
    let failed = |step| move |source| RegionError::new(backing, step, len, source);
    let fd = match backing {
        Backing::MemfdSecret => memory::memfd_secret(),
        Backing::Locked => memory::memfd_create(c"envward"),
    }
    .map_err(failed(Step::Create))?;
    let body = body_len(len).map_err(failed(Step::Reserve))?;
    memory::set_len(fd.as_fd(), body).map_err(failed(Step::Resize))?;
    Ok((fd, body))
}

/// Whole pages for `len` bytes.
fn body_len(len: usize) -> io::Result<usize> {
    len.max(1).checked_next_multiple_of(memory::page_size()).ok_or_else(too_large)
}

fn too_large() -> io::Error {
    io::ErrorKind::OutOfMemory.into()
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.wipe {
            self.check_canary();
            self.wipe_touched();
        }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("len", &self.len)
            .field("backing", &self.backing)
            .field("bytes", &format_args!("[redacted]"))
            .finish_non_exhaustive()
    }
}

/// Memory that another process is to map: it keeps its descriptor, and is here for as long as it
/// takes to fill it, so it needs neither guard pages nor a canary.
///
/// Dropped without [`deliver`](Self::deliver) it is wiped like any other.
pub struct Delivery {
    memory: Memory,
    len: usize,
    backing: Backing,
    fd: OwnedFd,
}

enum Memory {
    New(Filling),
    /// What was something else before.
    Reused(Region),
}

/// The memory of a new delivery.
struct Filling {
    mapping: Mapping,
    /// False once the bytes belong to whoever maps the descriptor.
    wipe: bool,
}

impl Delivery {
    pub(crate) fn new(len: usize, backing: Backing) -> Result<Self, RegionError> {
        let failed = |step| move |source| RegionError::new(backing, step, len, source);
        let (fd, body) = create(len, backing)?;
        let mapping = Mapping::shared(fd.as_fd(), body).map_err(failed(Step::Map))?;
        if backing == Backing::Locked {
            mapping.lock(0, body).map_err(failed(Step::Lock))?;
            mapping.advise(0, body, Advice::DontDump).map_err(failed(Step::Advise))?;
        }
        Ok(Self { memory: Memory::New(Filling { mapping, wipe: true }), len, backing, fd })
    }

    /// Makes a delivery of a region that has served its purpose; its bytes are wiped.
    pub(crate) fn reusing(mut region: Region, fd: OwnedFd) -> Self {
        region.clear();
        Self { len: region.len, backing: region.backing, memory: Memory::Reused(region), fd }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.memory {
            // SAFETY: the mapping has at least `len` initialised bytes that only this delivery
            // refers to, for as long as it lives.
            Memory::New(filling) => unsafe { std::slice::from_raw_parts(filling.mapping.base().as_ptr(), self.len) },
            Memory::Reused(region) => region.as_slice(),
        }
    }

    /// The bytes, to be changed.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match &mut self.memory {
            // SAFETY: as in `as_slice`, and the borrow is exclusive.
            Memory::New(filling) => unsafe {
                std::slice::from_raw_parts_mut(filling.mapping.base().as_ptr(), self.len)
            },
            Memory::Reused(region) => region.as_mut_slice(),
        }
    }

    /// The length in bytes that the other process maps: whole pages.
    #[must_use]
    pub fn mapped_len(&self) -> usize {
        match &self.memory {
            Memory::New(filling) => filling.mapping.size(),
            Memory::Reused(region) => region.body_len(),
        }
    }

    /// Gives the bytes to a child that is to be forked, which can [unpack](Region::unpack) them;
    /// `None` when they were given away already.
    #[must_use = "dropping the parcel destroys the bytes"]
    pub fn pack(self) -> Parcel {
        let (len, backing) = (self.len, self.backing);
        Parcel { fd: self.deliver(), len, backing }
    }

    /// Gives the bytes away: takes them out of this process's memory without
    /// wiping them, and returns the descriptor, whose pages are the bytes and
    /// zeros up to the end of the last one.
    ///
    /// An open secret descriptor can be stolen (`pidfd_getfd(2)`), so close it
    /// as soon as the other process has mapped it. For [`Backing::Locked`] the
    /// pages are not locked again until that process does so.
    #[must_use = "closing the descriptor destroys the bytes"]
    pub fn deliver(self) -> OwnedFd {
        let Self { mut memory, fd, .. } = self;
        match &mut memory {
            Memory::New(filling) => filling.wipe = false,
            Memory::Reused(region) => region.wipe = false,
        }
        fd
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        if self.wipe {
            // SAFETY: the mapping is aligned to a page and a multiple of one long.
            unsafe { wipe(self.mapping.base().as_ptr(), self.mapping.size()) };
        }
    }
}

impl AsFd for Delivery {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A region on its way into a child process: nobody maps it, and its file has its length.
#[derive(Debug)]
pub struct Parcel {
    fd: OwnedFd,
    len: usize,
    backing: Backing,
}

impl AsFd for Parcel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("len", &self.len)
            .field("backing", &self.backing)
            .field("bytes", &format_args!("[redacted]"))
            .finish_non_exhaustive()
    }
}

/// Overwrites bytes that are about to be given up, in a way that the compiler
/// must not leave out.
pub(crate) fn wipe_slice(bytes: &mut [u8]) {
    for byte in bytes {
        // SAFETY: the reference is valid and exclusive.
        unsafe { std::ptr::write_volatile(byte, 0) };
    }
    compiler_fence(Ordering::SeqCst);
}

/// Overwrites `len` bytes word by word.
///
/// # Safety
///
/// `start` must be aligned to a word, `len` a multiple of one, and the range
/// mapped writable with no reference into it.
unsafe fn wipe(start: *mut u8, len: usize) {
    let words = start.cast::<u64>();
    for at in 0..len / size_of::<u64>() {
        // SAFETY: inside the range that the caller vouches for.
        unsafe { words.add(at).write_volatile(0) };
    }
    compiler_fence(Ordering::SeqCst);
}

/// The endless canary of this process: random, never zero, the same for all
/// regions.
fn canary() -> impl Iterator<Item = u8> {
    static PATTERN: OnceLock<[u8; 8]> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| {
        let random = RandomState::new().hash_one(0u8);
        random.to_le_bytes().map(|byte| byte | 1)
    });
    pattern.iter().copied().cycle()
}
