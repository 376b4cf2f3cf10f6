//! An exact array for `execve`.

use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::ptr;

use crate::process::environment;

/// The environment at one instant, as a null-terminated array of pointers.
///
/// The pointers are those of the environment itself: of a variable that was delivered in
/// protected memory, the pointer into that memory. That is how exec supervision recognises it.
/// While one exists the table recycles no memory.
pub struct ExecSnapshot {
    array: Vec<*const c_char>,
    copies: Vec<CString>,
}

// SAFETY: what the pointers lead to does not change while the snapshot exists.
unsafe impl Send for ExecSnapshot {}
// SAFETY: as above.
unsafe impl Sync for ExecSnapshot {}

impl ExecSnapshot {
    pub(crate) fn new() -> Self {
        let environment = environment();
        environment.pin();
        let mut entries: Vec<*mut c_char> = Vec::with_capacity(128);
        let count = loop {
            // SAFETY: the vector has that much room.
            match unsafe { environment.capture(entries.as_mut_ptr(), entries.capacity()) } {
                Ok(count) => break count,
                Err(count) => entries.reserve(count + count / 8),
            }
        };
        // SAFETY: `count` pointers were written.
        unsafe { entries.set_len(count) };
        let mut copies = Vec::new();
        let mut array: Vec<*const c_char> = Vec::with_capacity(count + 1);
        for entry in entries {
            if environment.is_stable(entry) {
                array.push(entry);
            } else {
                // SAFETY: an entry of the environment is a terminated string.
                let copy = unsafe { CStr::from_ptr(entry) }.to_owned();
                array.push(copy.as_ptr());
                copies.push(copy);
            }
        }
        array.push(ptr::null());
        Self { array, copies }
    }

    /// The array, for the last argument of `execve`. Valid as long as the snapshot.
    #[must_use]
    pub fn as_ptr(&self) -> *const *const c_char {
        self.array.as_ptr()
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.array.len() - 1
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries.
    pub fn entries(&self) -> impl Iterator<Item = &CStr> {
        let entries = &self.array[..self.len()];
        // SAFETY: entries are terminated strings, kept by the snapshot.
        entries.iter().map(|entry| unsafe { CStr::from_ptr(*entry) })
    }
}

impl Drop for ExecSnapshot {
    fn drop(&mut self) {
        self.copies.clear();
        environment().unpin();
    }
}

impl fmt::Debug for ExecSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExecSnapshot({} entries)", self.len())
    }
}
