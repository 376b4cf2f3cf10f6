//! Memory that stays what it is: blocks that are recycled, never unmapped, always terminated.
//!
//! Readers that we cannot see (a `tzset` inside libc, a loop over `environ`) may look at a
//! block at any time, so a block keeps its place and its class for ever. Allocation and
//! release are lock-free and consistent at every instant: a signal handler may use the arena
//! while the thread below it is inside it, and so may a child forked in the middle.
#![expect(unsafe_code, reason = "hands out raw memory")]

use core::ffi::c_char;
use core::ptr;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::host;
use crate::sync::{Pointer, Word, Word32, Word64};

/// Set in a block's state: the string was handed out by `getenv` and lives for ever.
pub(crate) const IMMORTAL: u32 = 1 << 31;
/// Set in a block's state: the string is listed for reuse by value.
pub(crate) const INTERNED: u32 = 1 << 30;
/// Set in a block's state: the string is on a quarantine list.
pub(crate) const LISTED: u32 = 1 << 29;
/// The part of a state that counts references.
const COUNT: u32 = LISTED - 1;
/// Counts above this become immortal instead of overflowing.
const SATURATED: u32 = 1 << 28;

const CLASSES: usize = 96;
const CHUNKS: usize = 40;
/// So large that most processes need no other; pages that are not touched cost nothing. Below the
/// size of a huge page.
const FIRST_CHUNK: usize = 1 << 20;
const FIRST_LOCKED_CHUNK: usize = 32 << 10;
const GRAIN: usize = 16;

/// What precedes the bytes of every block.
#[repr(C, align(16))]
pub(crate) struct Block {
    /// References to a string; zero once it was given up.
    pub(crate) state: Word32,
    /// Size class; fixed for the life of the arena.
    class: u16,
    /// Whether the payload is a [`crate::published::Published`].
    pub(crate) is_table: bool,
    /// Whether the block is in locked memory, for secrets.
    pub(crate) is_locked: bool,
    /// Link of whatever list the block is on.
    pub(crate) next: Pointer<Block>,
}

const HEADER: usize = size_of::<Block>();

/// What precedes the blocks of every chunk; a bitmap of block starts follows it.
#[repr(C, align(16))]
struct Chunk {
    end: usize,
    first: usize,
    cursor: Word,
}

/// Blocks by size class, from chunks of growing size.
#[repr(C)]
pub(crate) struct Arena {
    /// Whether the memory is locked and left out of dumps.
    locked: bool,
    /// Where the first chunk is: most processes have no other.
    first: Pointer<Chunk>,
    first_bytes: Word,
    count: Word,
    chunks: [Pointer<Chunk>; CHUNKS],
    free: [Stack; CLASSES],
    own_free: [OwnStack; CLASSES],
}

/// Bytes of a block of this class, header included.
const fn class_bytes(class: usize) -> usize {
    match class {
        0 => 32,
        1 => 48,
        _ => ((4 + ((class - 2) & 3)) * GRAIN) << ((class - 2) >> 2),
    }
}

/// The smallest class that holds this many bytes, header included.
const fn class_for(bytes: usize) -> usize {
    if bytes <= 32 {
        return 0;
    }
    if bytes <= 48 {
        return 1;
    }
    let units = bytes.div_ceil(GRAIN);
    if units <= 4 {
        return 2;
    }
    let mut shift = units.ilog2() as usize - 2;
    let mut mantissa = units.div_ceil(1 << shift);
    if mantissa == 8 {
        shift += 1;
        mantissa = 4;
    }
    2 + 4 * shift + mantissa - 4
}

/// A stack of blocks whose head carries a counter, against a block that left and came back.
#[repr(transparent)]
pub(crate) struct Stack(Word64);

impl Stack {
    pub(crate) const fn new() -> Self {
        Self(Word64::new(0))
    }

    fn block(head: u64) -> *mut Block {
        ptr::with_exposed_provenance_mut(((head & ((1 << 44) - 1)) << 4) as usize)
    }

    fn head(block: *mut Block, previous: u64) -> u64 {
        ((previous >> 44) + 1) << 44 | (block.expose_provenance() as u64) >> 4
    }

    /// Puts a block that nobody else uses on the stack.
    ///
    /// # Safety
    /// The block belongs to an arena, is on no list, and was given up by its last user.
    pub(crate) unsafe fn push(&self, block: *mut Block) {
        let mut old = self.0.load(Relaxed);
        loop {
            // SAFETY: blocks stay mapped and their headers stay headers.
            unsafe { (*block).next.store(Self::block(old), Relaxed) };
            match self.0.replace(old, Self::head(block, old)) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    /// Takes a block off the stack, or null.
    pub(crate) fn pop(&self) -> *mut Block {
        let mut old = self.0.load(Acquire);
        loop {
            let block = Self::block(old);
            if block.is_null() {
                return block;
            }
            // SAFETY: blocks stay mapped and their headers stay headers; if this one was taken
            // meanwhile the counter differs and the link is not used.
            let next = unsafe { (*block).next.load(Relaxed) };
            match self.0.replace(old, Self::head(next, old)) {
                Ok(_) => return block,
                Err(now) => old = now,
            }
        }
    }
}

/// A stack that only the owner of the writers' lock uses, and never a nested mutation: no
/// locked operations. Whole at every instant, for the child of a fork.
#[repr(transparent)]
pub(crate) struct OwnStack(Pointer<Block>);

impl OwnStack {
    pub(crate) const fn new() -> Self {
        Self(Pointer::null())
    }

    /// Puts a block that nobody else uses on the stack.
    ///
    /// # Safety
    /// As [`Stack::push`], under the lock.
    #[inline(always)]
    pub(crate) unsafe fn push(&self, block: *mut Block) {
        // SAFETY: blocks stay mapped and their headers stay headers.
        unsafe { (*block).next.store(self.0.load(Relaxed), Relaxed) };
        self.0.store(block, Relaxed);
    }

    /// Takes a block off the stack, or null. Under the lock.
    #[inline(always)]
    pub(crate) fn pop(&self) -> *mut Block {
        let block = self.0.load(Relaxed);
        if !block.is_null() {
            // SAFETY: as above.
            self.0.store(unsafe { (*block).next.load(Relaxed) }, Relaxed);
        }
        block
    }

    /// Takes all blocks, linked.
    pub(crate) fn take(&self) -> *mut Block {
        let block = self.0.load(Relaxed);
        self.0.store(ptr::null_mut(), Relaxed);
        block
    }
}

impl Arena {
    pub(crate) const fn new(locked: bool) -> Self {
        Self {
            locked,
            first: Pointer::null(),
            first_bytes: Word::new(0),
            count: Word::new(0),
            chunks: [const { Pointer::null() }; CHUNKS],
            free: [const { Stack::new() }; CLASSES],
            own_free: [const { OwnStack::new() }; CLASSES],
        }
    }

    /// A block with room for `bytes`, or null when there is no memory. A recycled one holds
    /// what it held.
    pub(crate) fn take(&self, bytes: usize) -> *mut Block {
        let class = class_for(bytes.saturating_add(HEADER));
        let Some(free) = self.free.get(class) else {
            return ptr::null_mut();
        };
        let block = free.pop();
        if block.is_null() { self.carve(class) } else { block }
    }

    /// [`Arena::take`] by the owner of the writers' lock, if `own` says so.
    #[inline]
    pub(crate) fn take_as(&self, bytes: usize, own: bool) -> *mut Block {
        if own {
            let class = class_for(bytes.saturating_add(HEADER));
            if let Some(free) = self.own_free.get(class) {
                let block = free.pop();
                if !block.is_null() {
                    return block;
                }
            }
        }
        self.take(bytes)
    }

    /// [`Arena::give`] by the owner of the writers' lock.
    ///
    /// # Safety
    /// As [`Arena::give`], under the lock.
    pub(crate) unsafe fn give_own(&self, block: *mut Block) {
        // SAFETY: headers stay headers, and `class` was valid when the block was carved.
        let class = unsafe { (*block).class } as usize;
        if let Some(free) = self.own_free.get(class) {
            // SAFETY: the caller's promise.
            unsafe { free.push(block) };
        }
    }

    /// Gives the writers' own free blocks up for ever.
    #[cold]
    pub(crate) fn forget_own(&self) {
        for free in &self.own_free {
            free.take();
        }
    }

    /// Gives a block back for reuse.
    ///
    /// # Safety
    /// The block came from [`Arena::take`] of this arena and was given up by its last user.
    pub(crate) unsafe fn give(&self, block: *mut Block) {
        // SAFETY: headers stay headers, and `class` was valid when the block was carved.
        let class = unsafe { (*block).class } as usize;
        if let Some(free) = self.free.get(class) {
            // SAFETY: the caller's promise.
            unsafe { free.push(block) };
        }
    }

    /// A block that was never used, zeroed.
    fn carve(&self, class: usize) -> *mut Block {
        let bytes = class_bytes(class);
        loop {
            let count = self.count.load(Acquire);
            if let Some(index) = count.checked_sub(1) {
                let chunk = self.chunks[index].load(Acquire);
                // SAFETY: chunks below `count` are set and stay mapped.
                let chunk_ref = unsafe { &*chunk };
                let at = chunk_ref.cursor.fetch_add(bytes, Relaxed);
                if at.saturating_add(bytes) <= chunk_ref.end {
                    let block = chunk.with_addr(at).cast::<Block>();
                    // SAFETY: `cursor` gave these bytes to us alone; they are inside the chunk
                    // and zero. The start bit is set before anybody can learn the address.
                    unsafe {
                        (*block).class = class as u16;
                        (*block).is_locked = self.locked;
                        let (word, bit) = Self::start_word(chunk, at);
                        word.fetch_or(bit, Release);
                    }
                    return block;
                }
                // An overshoot must not wrap around, however often it happens.
                chunk_ref.cursor.store(chunk_ref.end, Relaxed);
            }
            if !self.grow(count, bytes) {
                return ptr::null_mut();
            }
        }
    }

    /// Adds a chunk after the first `count`; false when there is no memory.
    fn grow(&self, count: usize, bytes: usize) -> bool {
        let Some(place) = self.chunks.get(count) else {
            return false;
        };
        if place.load(Acquire).is_null() {
            // One bit per grain in front; a tail so that word reads near the end stay inside.
            let wanted = bytes.saturating_mul(2).saturating_add(8192).next_multiple_of(4096);
            let least = if self.locked { FIRST_LOCKED_CHUNK } else { FIRST_CHUNK };
            let size = wanted.max(least << count.min(12));
            let chunk = if self.locked { host::map_locked(size) } else { host::map(size) }.cast::<Chunk>();
            if chunk.is_null() {
                return false;
            }
            let start = chunk.addr();
            let first = (start + size_of::<Chunk>() + size / GRAIN / 8).next_multiple_of(64);
            // SAFETY: fresh zeroed pages, larger than the header.
            unsafe {
                (*chunk).end = start + size - 64;
                (*chunk).first = first;
                (*chunk).cursor.store(first, Relaxed);
            }
            if place.replace(ptr::null_mut(), chunk).is_err() {
                // SAFETY: nobody else has seen these pages.
                unsafe { host::unmap(chunk.cast(), size) };
            }
        }
        if count == 0 {
            let chunk = place.load(Acquire);
            // The same for every thread that comes here.
            self.first.store(chunk, Relaxed);
            // SAFETY: set above or by another thread, stays mapped.
            self.first_bytes.store(unsafe { (*chunk).end } - chunk.addr(), Release);
        }
        // Whoever set the place, the count may be raised; losing the race is fine.
        let _ = self.count.replace(count, count + 1);
        true
    }

    /// The word of the start bitmap for `address`, and the bit.
    ///
    /// # Safety
    /// `address` lies in the chunk.
    unsafe fn start_word<'a>(chunk: *mut Chunk, address: usize) -> (&'a Word32, u32) {
        let grain = (address - chunk.addr()) / GRAIN;
        // SAFETY: the bitmap has one bit per grain of the chunk, behind the chunk's header.
        let word = unsafe { &*chunk.add(1).cast::<Word32>().add(grain / 32) };
        (word, 1 << (grain % 32))
    }

    /// The chunk that `address` lies in, or null.
    #[inline(always)]
    fn chunk_of(&self, address: usize) -> *mut Chunk {
        let mut index = self.count.load(Acquire);
        while index > 0 {
            index -= 1;
            let chunk = self.chunks[index].load(Acquire);
            // SAFETY: chunks below `count` are set and stay mapped.
            if address.wrapping_sub(chunk.addr()) < unsafe { (*chunk).end } - chunk.addr() {
                return chunk;
            }
        }
        ptr::null_mut()
    }

    /// The block of a string that is known to be the start of one if it is in the arena at
    /// all, or null.
    #[inline(always)]
    pub(crate) fn block_of(&self, text: *const c_char) -> *mut Block {
        let chunk = self.chunk_of(text.addr());
        if chunk.is_null() { ptr::null_mut() } else { chunk.with_addr(text.addr() - HEADER).cast() }
    }

    /// [`Self::block_of`] for a string in the first chunk.
    #[inline(always)]
    pub(crate) fn first_block_of(&self, text: *const c_char) -> Option<*mut Block> {
        let chunk = self.first.load(Relaxed);
        (text.addr().wrapping_sub(chunk.addr()) < self.first_bytes.load(Relaxed))
            .then(|| chunk.with_addr(text.addr().wrapping_sub(HEADER)).cast())
    }

    /// Whether nothing was ever allocated.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// Whether a string that is not in the first chunk is not in the arena.
    #[inline(always)]
    pub(crate) fn has_one_chunk(&self) -> bool {
        self.count.load(Relaxed) <= 1
    }

    /// The block of a string from anywhere: null when it is not in the arena, an error when it
    /// points into the middle of a block.
    pub(crate) fn verified_block_of(&self, text: *const c_char) -> Result<*mut Block, Interior> {
        let chunk = self.chunk_of(text.addr());
        if chunk.is_null() {
            return Ok(ptr::null_mut());
        }
        let at = text.addr().wrapping_sub(HEADER);
        // SAFETY: `chunk` is mapped; its header does not change.
        if !at.is_multiple_of(GRAIN) || at < unsafe { (*chunk).first } {
            return Err(Interior);
        }
        // SAFETY: `at` lies in the chunk, by the two tests above.
        let (word, bit) = unsafe { Self::start_word(chunk, at) };
        if word.load(Acquire) & bit == 0 {
            return Err(Interior);
        }
        Ok(chunk.with_addr(at).cast())
    }

    /// Unmaps everything.
    ///
    /// # Safety
    /// Nothing refers to any block of the arena any more.
    #[cfg(test)]
    pub(crate) unsafe fn unmap_all(&self) {
        for place in &self.chunks {
            let chunk = place.swap(ptr::null_mut(), Relaxed);
            if !chunk.is_null() {
                // SAFETY: the caller's promise; `end` is 64 bytes before the end of the pages.
                unsafe { host::unmap(chunk.cast(), (*chunk).end + 64 - chunk.addr()) };
            }
        }
    }
}

/// A pointer into the middle of one of our blocks.
pub(crate) struct Interior;

impl Block {
    /// The bytes of the block.
    pub(crate) fn payload(block: *mut Self) -> *mut u8 {
        block.wrapping_add(1).cast()
    }

    /// The bytes that the block has room for.
    pub(crate) fn room(&self) -> usize {
        class_bytes(self.class as usize) - HEADER
    }

    /// Adds a reference; false when the string was given up.
    #[inline(always)]
    pub(crate) fn pin(&self) -> bool {
        self.add(false)
    }

    /// Adds a reference even if the string was given up: for the holder of a snapshot, which
    /// keeps the quarantine from ending.
    pub(crate) fn revive(&self) {
        self.add(true);
    }

    #[inline(always)]
    fn add(&self, revive: bool) -> bool {
        let mut state = self.state.load(Relaxed);
        loop {
            if state & IMMORTAL != 0 {
                return true;
            }
            let new = match state & COUNT {
                0 if !revive => return false,
                SATURATED.. => state | IMMORTAL,
                _ => state + 1,
            };
            match self.state.replace(state, new) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
    }

    /// Drops a reference; true when it was the last one and the string is to be listed.
    #[inline(always)]
    pub(crate) fn unpin(&self) -> bool {
        let mut state = self.state.load(Relaxed);
        loop {
            if state & IMMORTAL != 0 || state & COUNT == 0 {
                return false;
            }
            let new = if state == 1 { LISTED } else { state - 1 };
            match self.state.replace(state, new) {
                Ok(_) => return state == 1,
                Err(now) => state = now,
            }
        }
    }

    /// Ends the quarantine; false when the string was revived and is in use.
    pub(crate) fn unlist(&self) -> bool {
        let state = self.state.fetch_and(!LISTED, AcqRel);
        state & (COUNT | IMMORTAL) == 0
    }

    /// Keeps a string that was given up on a list; false when it was revived and is in use.
    pub(crate) fn relist(&self) -> bool {
        let mut state = self.state.load(Acquire);
        loop {
            let free = state & (COUNT | IMMORTAL) == 0;
            match self.state.replace(state, if free { state } else { state & !LISTED }) {
                Ok(_) => return free,
                Err(now) => state = now,
            }
        }
    }

    /// Makes the string live for ever; false when it was given up.
    #[inline(always)]
    pub(crate) fn immortalize(&self) -> bool {
        let mut state = self.state.load(Relaxed);
        loop {
            if state & IMMORTAL != 0 {
                return true;
            }
            if state & COUNT == 0 {
                return false;
            }
            match self.state.replace(state, state | IMMORTAL) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_every_size() {
        for bytes in 1..100_000 {
            let class = class_for(bytes);
            assert!(class_bytes(class) >= bytes, "{bytes}");
            assert!(class == 0 || class_bytes(class - 1) < bytes, "{bytes}");
            assert_eq!(class_bytes(class) % GRAIN, 0);
        }
    }

    #[test]
    fn blocks_are_recognised_by_their_start() {
        let arena = Arena::new(false);
        let block = arena.take(100);
        let text = Block::payload(block).cast::<c_char>();
        assert!(arena.verified_block_of(text).is_ok_and(|found| found == block));
        for offset in 1..100 {
            assert!(arena.verified_block_of(text.wrapping_add(offset)).is_err());
        }
        let outside = 0_u8;
        assert!(arena.verified_block_of((&raw const outside).cast()).is_ok_and(<*mut Block>::is_null));
        // SAFETY: nothing refers to the arena any more.
        unsafe { arena.unmap_all() };
    }

    #[test]
    fn large_blocks_get_a_chunk_of_their_own() {
        let arena = Arena::new(false);
        for bytes in [10, 1 << 20, 5 << 20, 100, 3 << 20] {
            let block = arena.take(bytes);
            assert!(!block.is_null());
            // SAFETY: the block has that much room.
            unsafe { Block::payload(block).write_bytes(1, bytes) };
        }
        // SAFETY: nothing refers to the arena any more.
        unsafe { arena.unmap_all() };
    }
}
