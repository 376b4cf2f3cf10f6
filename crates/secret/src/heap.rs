//! A heap in protected memory, for processes that live for one task.

#![expect(unsafe_code, reason = "a global allocator hands out raw memory")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

use envward_kernel::memory::{self, Advice, Mapping};

use crate::Backing;

/// The global allocator of a program whose [confined](crate::confined) children have their heap
/// in protected memory. Until one calls [`protect`](Heap::protect) in itself, and in every other
/// process for ever, this is the system's allocator.
///
/// Blocks of more than 2 MiB, which is the working memory of passphrase hashing and nothing
/// else, are ordinary memory that is left out of dumps and wiped when it is freed: limits on
/// locked memory do not allow for them.
#[derive(Debug, Default)]
pub struct Heap;

/// The first piece in bytes, and all others: small, because they count against the limit on
/// locked memory in whole.
const FIRST_CHUNK: usize = 256 * 1024;
const CHUNK: usize = 1024 * 1024;
const MOST_CHUNKS: usize = 64;
/// From here on blocks are ordinary memory.
const LARGE: usize = 2 * 1024 * 1024;
const MOST_LARGE: usize = 16;
const SMALLEST: usize = 16;
/// Sizes are powers of two from [`SMALLEST`] up to [`LARGE`].
const CLASSES: usize = 18;

static PROTECTED: AtomicBool = AtomicBool::new(false);
static HEAP: Exclusive = Exclusive(UnsafeCell::new(Chunks::new()));

struct Exclusive(UnsafeCell<Chunks>);

// SAFETY: the chunks are only used once `PROTECTED` is set, which happens in a process with one
// thread that can start no other (`Heap::protect`).
unsafe impl Sync for Exclusive {}

impl Heap {
    /// Has all allocations from now on made in memory of this kind. What was allocated before
    /// stays where it is, and is freed there.
    ///
    /// # Safety
    ///
    /// The process has one thread, and never has another from now on.
    pub unsafe fn protect(backing: Backing) {
        // SAFETY: one thread, by the caller's promise, and no reference is kept anywhere.
        unsafe { (*HEAP.0.get()).backing = backing };
        PROTECTED.store(true, Ordering::Relaxed);
    }

    /// Whether allocations are made in protected memory: not if this is not the program's
    /// global allocator.
    #[must_use]
    pub fn is_protected() -> bool {
        let probe = Box::new(0_u8);
        let address = ptr::from_ref(&*probe) as usize;
        // SAFETY: once `PROTECTED` is set there is one thread, and the reference ends here.
        PROTECTED.load(Ordering::Relaxed) && unsafe { (*HEAP.0.get()).holds(address) }
    }
}

// SAFETY: blocks come from the system's allocator or from `Chunks`, which keep the contract; a
// block goes back to where it came from.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if PROTECTED.load(Ordering::Relaxed) {
            // SAFETY: there is one thread (`protect`), and `allocate` calls nothing that
            // allocates, so this is the only reference.
            return unsafe { (*HEAP.0.get()).allocate(layout).0 };
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if PROTECTED.load(Ordering::Relaxed) {
            // SAFETY: as in `alloc`.
            let (block, is_zero) = unsafe { (*HEAP.0.get()).allocate(layout) };
            if !block.is_null() && !is_zero {
                // SAFETY: the block has this size.
                unsafe { ptr::write_bytes(block, 0, layout.size()) };
            }
            return block;
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`; the block is the caller's.
        if PROTECTED.load(Ordering::Relaxed) && unsafe { (*HEAP.0.get()).free(block, layout) } {
            return;
        }
        // SAFETY: it is none of ours, so it was allocated before.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !PROTECTED.load(Ordering::Relaxed) {
            // SAFETY: the caller's promise.
            return unsafe { System.realloc(block, layout, new_size) };
        }
        // SAFETY: as in `alloc`.
        if unsafe { (*HEAP.0.get()).fits(block, layout, new_size) } {
            return block;
        }
        // SAFETY: the caller promises that the size is valid for this alignment.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the new block is valid for `new_size` bytes and apart from the old one, which
        // is freed where it was allocated.
        unsafe {
            let new = self.alloc(new_layout);
            if !new.is_null() {
                ptr::copy_nonoverlapping(block, new, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

/// Blocks of a power of two, cut off the end of the newest chunk; freed ones are kept in a list
/// for each size, each holding the address of the next.
struct Chunks {
    backing: Backing,
    /// Start and length of each chunk; the mappings stay until the process ends.
    chunks: [(usize, usize); MOST_CHUNKS],
    count: usize,
    next: usize,
    end: usize,
    free: [usize; CLASSES],
    large: [(usize, usize); MOST_LARGE],
}

impl Chunks {
    const fn new() -> Self {
        Self {
            backing: Backing::MemfdSecret,
            chunks: [(0, 0); MOST_CHUNKS],
            count: 0,
            next: 0,
            end: 0,
            free: [0; CLASSES],
            large: [(0, 0); MOST_LARGE],
        }
    }

    fn holds(&self, address: usize) -> bool {
        self.chunks[..self.count].iter().any(|(start, len)| (*start..*start + *len).contains(&address))
    }

    /// A block, and whether it is known to be zero.
    fn allocate(&mut self, layout: Layout) -> (*mut u8, bool) {
        let size = block_size(layout);
        if size > LARGE {
            return (self.allocate_large(size), true);
        }
        let class = class_of(size);
        let freed = self.free[class];
        if freed != 0 && freed.is_multiple_of(layout.align()) {
            let block = ptr::with_exposed_provenance_mut::<u8>(freed);
            // SAFETY: a freed block of this class begins with the address of the next.
            self.free[class] = unsafe { block.cast::<usize>().read() };
            return (block, false);
        }
        let at = self.next.next_multiple_of(layout.align().max(SMALLEST));
        if self.next != 0 && at + size <= self.end {
            self.next = at + size;
            return (ptr::with_exposed_provenance_mut(at), true);
        }
        if layout.align() > memory::page_size() || !self.add_chunk(size) {
            return (ptr::null_mut(), false);
        }
        let at = self.next;
        self.next += size;
        (ptr::with_exposed_provenance_mut(at), true)
    }

    fn add_chunk(&mut self, least: usize) -> bool {
        let usual = if self.count == 0 { FIRST_CHUNK } else { CHUNK };
        let len = usual.max(least);
        let Some(place) = self.chunks.get_mut(self.count) else { return false };
        let Some(start) = map(self.backing, len) else { return false };
        *place = (start, len);
        self.count += 1;
        (self.next, self.end) = (start, start + len);
        true
    }

    fn allocate_large(&mut self, size: usize) -> *mut u8 {
        let Some(place) = self.large.iter_mut().find(|(start, _)| *start == 0) else { return ptr::null_mut() };
        let Ok(mapping) = Mapping::anonymous(size) else { return ptr::null_mut() };
        if mapping.advise(0, size, Advice::DontDump).is_err() {
            return ptr::null_mut();
        }
        let block = ManuallyDrop::new(mapping).base().as_ptr();
        *place = (block.expose_provenance(), size);
        block
    }

    /// Takes a block back; false if it is none of these.
    fn free(&mut self, block: *mut u8, layout: Layout) -> bool {
        let address = block.addr();
        if let Some(place) = self.large.iter_mut().find(|(start, _)| *start == address) {
            // SAFETY: the mapping is this long, and its owner gives it up.
            unsafe { ptr::write_bytes(block, 0, place.1) };
            // The pages stay zero and are used no more; one task makes few of them.
            *place = (0, 0);
            return true;
        }
        if !self.holds(address) {
            return false;
        }
        let class = class_of(block_size(layout));
        // SAFETY: the block has at least 16 bytes, aligned to 16, and its owner gives it up.
        unsafe { block.cast::<usize>().write(self.free[class]) };
        self.free[class] = block.expose_provenance();
        true
    }

    /// Whether a block of ours can hold `new_size` bytes where it is.
    fn fits(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> bool {
        let old = block_size(layout);
        let Ok(new) = Layout::from_size_align(new_size, layout.align()) else { return false };
        old <= LARGE && self.holds(block.addr()) && block_size(new) == old
    }
}

/// The size of the block for a layout.
fn block_size(layout: Layout) -> usize {
    let size = layout.size().max(SMALLEST);
    if size > LARGE { size.next_multiple_of(memory::page_size()) } else { size.next_power_of_two() }
}

fn class_of(size: usize) -> usize {
    (size.trailing_zeros() - SMALLEST.trailing_zeros()) as usize
}

/// Maps fresh protected memory between inaccessible pages, to stay until the process ends.
fn map(backing: Backing, len: usize) -> Option<usize> {
    let page = memory::page_size();
    let file = match backing {
        Backing::MemfdSecret => memory::memfd_secret(),
        Backing::Locked => memory::memfd_create(c"envward"),
    }
    .ok()?;
    memory::set_len(file.as_fd(), len).ok()?;
    let mut mapping = Mapping::reserve(len + 2 * page).ok()?;
    // SAFETY: the reservation is new and nobody refers to it.
    unsafe { mapping.place_shared(page, len, file.as_fd()) }.ok()?;
    if backing == Backing::Locked {
        mapping.lock(page, len).ok()?;
        mapping.advise(page, len, Advice::DontDump).ok()?;
    }
    let base: NonNull<u8> = ManuallyDrop::new(mapping).base();
    Some(base.as_ptr().wrapping_add(page).expose_provenance())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn blocks_are_apart_aligned_and_used_again() {
        let mut heap = Chunks::new();
        let mut blocks = Vec::new();
        for round in 0..3_usize {
            for size in [1, 8, 16, 17, 100, 4096, 70_000] {
                for align in [1, 8, 16] {
                    let (block, zero) = heap.allocate(layout(size, align));
                    assert!(!block.is_null() && block.addr().is_multiple_of(align));
                    assert!(heap.holds(block.addr()));
                    // SAFETY: the block has `size` bytes.
                    let bytes = unsafe { std::slice::from_raw_parts_mut(block, size) };
                    assert!(!zero || bytes.iter().all(|byte| *byte == 0));
                    bytes.fill(blocks.len() as u8);
                    blocks.push((block, layout(size, align)));
                }
            }
            for (index, (block, layout)) in blocks.iter().enumerate() {
                // SAFETY: the block is still allocated.
                let bytes = unsafe { std::slice::from_raw_parts(*block, layout.size()) };
                assert!(bytes.iter().all(|byte| *byte == index as u8), "round {round}, block {index}");
            }
        }
        let (wide, _) = heap.allocate(layout(10, 64));
        assert!(wide.addr().is_multiple_of(64));
        let before = heap.next;
        for (block, layout) in &blocks {
            assert!(heap.free(*block, *layout));
        }
        for (_, layout) in &blocks {
            assert!(!heap.allocate(*layout).0.is_null());
        }
        assert_eq!(heap.next, before, "freed blocks are used again");
        assert!(!heap.free(ptr::dangling_mut(), layout(1, 1)));
    }

    #[test]
    fn blocks_grow_in_place_within_their_size() {
        let mut heap = Chunks::new();
        let (block, _) = heap.allocate(layout(20, 1));
        assert!(heap.fits(block, layout(20, 1), 32));
        assert!(!heap.fits(block, layout(20, 1), 33));
        assert!(!heap.fits(ptr::dangling_mut(), layout(20, 1), 21));
    }

    #[test]
    fn large_blocks_are_elsewhere_and_wiped() {
        let mut heap = Chunks::new();
        let large = layout(LARGE + 1, 1);
        let (block, _) = heap.allocate(large);
        assert!(!heap.holds(block.addr()));
        // SAFETY: the block has this size; it stays mapped when it is freed.
        unsafe {
            block.write(7);
            assert!(heap.free(block, large));
            assert_eq!(block.read(), 0);
        }
    }
}
