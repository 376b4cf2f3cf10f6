//! Names of variables: their length, their hash, and whether an entry has them.
#![expect(unsafe_code, reason = "reads C strings")]

use core::ffi::c_char;

use crate::host;

/// A name to look for: the bytes, and a hash of them.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    pub(crate) bytes: *const u8,
    pub(crate) length: usize,
    pub(crate) hash: u32,
}

impl Name {
    /// The name that a C string holds.
    ///
    /// # Safety
    /// `text` is a NUL-terminated string that outlives the value.
    #[inline(always)]
    pub(crate) unsafe fn from_c(text: *const c_char) -> Self {
        // SAFETY: the caller's promise.
        let length = unsafe { host::length(text) };
        // SAFETY: `length` bytes precede the terminator.
        unsafe { Self::from_raw(text.cast(), length) }
    }

    /// The name that `length` bytes hold.
    ///
    /// # Safety
    /// `bytes` points to `length` readable bytes that outlive the value.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(bytes: *const u8, length: usize) -> Self {
        Self {
            bytes,
            length,
            // SAFETY: the caller's promise.
            hash: unsafe { hash(bytes, length) },
        }
    }

    /// The name in `entry`, or `None` for an entry without `=`.
    ///
    /// # Safety
    /// `entry` is a NUL-terminated string that outlives the value.
    pub(crate) unsafe fn of_entry(entry: *const c_char) -> Option<Self> {
        let bytes = entry.cast::<u8>();
        let mut length = 0;
        loop {
            // SAFETY: no terminator was seen before `length`.
            match unsafe { *bytes.add(length) } {
                0 => return None,
                // SAFETY: `length` bytes precede the sign.
                b'=' => return Some(unsafe { Self::from_raw(bytes, length) }),
                _ => length += 1,
            }
        }
    }

    /// Whether the name holds `=`, and so is none.
    pub(crate) fn has_sign(&self) -> bool {
        // SAFETY: `bytes` and `length` describe readable memory since construction.
        unsafe { core::slice::from_raw_parts(self.bytes, self.length) }.contains(&b'=')
    }

    /// Whether the name is one that an environment can hold: not empty, no `=`.
    pub(crate) fn is_valid(&self) -> bool {
        // SAFETY: `bytes` and `length` describe readable memory since construction.
        let bytes = unsafe { core::slice::from_raw_parts(self.bytes, self.length) };
        !bytes.is_empty() && !bytes.contains(&b'=') && !bytes.contains(&0)
    }

    /// Whether `entry` begins with the name and `=`.
    ///
    /// # Safety
    /// `entry` is a NUL-terminated string.
    #[inline(always)]
    pub(crate) unsafe fn heads(&self, entry: *const c_char) -> bool {
        let entry = entry.cast::<u8>();
        // Within one page a comparison by words cannot fault, however short the entry is.
        if (entry as usize & 4095) + self.length < 4096 {
            // SAFETY: `length + 1` bytes from `entry` on lie in the page of its first byte.
            unsafe { *entry.add(self.length) == b'=' && equal(entry, self.bytes, self.length) }
        } else {
            // SAFETY: stops at the first difference, hence at the entry's terminator: a name
            // has none.
            unsafe { self.heads_bytewise(entry) }
        }
    }

    /// [`Self::heads`], but false also when the entry lies across a page boundary.
    ///
    /// # Safety
    /// As [`Self::heads`].
    #[inline(always)]
    pub(crate) unsafe fn heads_quickly(&self, entry: *const c_char) -> bool {
        let entry = entry.cast::<u8>();
        // SAFETY: the first condition keeps the reads within the page of the first byte.
        (entry as usize & 4095) + self.length < 4096
            && unsafe { *entry.add(self.length) == b'=' && equal(entry, self.bytes, self.length) }
    }

    #[cold]
    unsafe fn heads_bytewise(&self, entry: *const u8) -> bool {
        for at in 0..self.length {
            // SAFETY: `at` is within the name; the entry's bytes before it were equal to those
            // of the name, so none was a terminator.
            if unsafe { *entry.add(at) != *self.bytes.add(at) } {
                return false;
            }
        }
        // SAFETY: as above for `length`.
        unsafe { *entry.add(self.length) == b'=' }
    }
}

#[inline(always)]
unsafe fn read64(at: *const u8) -> u64 {
    // SAFETY: the callers stay within their lengths.
    unsafe { at.cast::<u64>().read_unaligned() }
}

#[inline(always)]
unsafe fn read32(at: *const u8) -> u64 {
    // SAFETY: the callers stay within their lengths.
    unsafe { u64::from(at.cast::<u32>().read_unaligned()) }
}

const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// A 32-bit hash of `length` bytes: all of them, in words, the last one overlapping.
///
/// # Safety
/// `bytes` points to `length` readable bytes.
#[inline(always)]
pub(crate) unsafe fn hash(bytes: *const u8, length: usize) -> u32 {
    // SAFETY: every read below stays within `length`, by the condition that guards it.
    let (mut first, last) = unsafe {
        if length >= 8 {
            (read64(bytes), read64(bytes.add(length - 8)))
        } else if length >= 4 {
            (read32(bytes), read32(bytes.add(length - 4)))
        } else if length > 0 {
            let middle = u64::from(*bytes.add(length / 2));
            (u64::from(*bytes) | middle << 8, u64::from(*bytes.add(length - 1)))
        } else {
            (0, 0)
        }
    };
    let mut at = 8;
    while at + 8 < length {
        // SAFETY: `at + 8` is below `length`.
        first = (first.rotate_left(23) ^ unsafe { read64(bytes.add(at)) }).wrapping_mul(MIX);
        at += 8;
    }
    let product = u128::from(first ^ MIX) * u128::from(last ^ 0xd6e8_feb8_6659_fd93 ^ (length as u64) << 56);
    let folded = (product as u64) ^ ((product >> 64) as u64);
    (folded ^ (folded >> 32)) as u32
}

/// Whether `length` bytes are equal. Reads exactly those.
///
/// # Safety
/// Both pointers lead to `length` readable bytes.
#[inline(always)]
pub(crate) unsafe fn equal(left: *const u8, right: *const u8, length: usize) -> bool {
    // SAFETY: every read stays within `length`, by the condition that guards it.
    unsafe {
        if length >= 8 {
            let mut at = 0;
            while at + 8 < length {
                if read64(left.add(at)) != read64(right.add(at)) {
                    return false;
                }
                at += 8;
            }
            read64(left.add(length - 8)) == read64(right.add(length - 8))
        } else if length >= 4 {
            read32(left) == read32(right) && read32(left.add(length - 4)) == read32(right.add(length - 4))
        } else if length > 0 {
            *left == *right
                && *left.add(length / 2) == *right.add(length / 2)
                && *left.add(length - 1) == *right.add(length - 1)
        } else {
            true
        }
    }
}
