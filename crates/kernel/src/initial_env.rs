//! The environment that this process was started with, read where it lies and
//! wiped there.
//!
//! The strings are the ones that `execve(2)` copied above the initial stack
//! and that `/proc/PID/environ` shows. `std::env::vars` would copy every value
//! to the heap; this module never copies one.

#![expect(unsafe_code, reason = "reads and overwrites the strings of `environ`")]

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::io;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};

unsafe extern "C" {
    /// The C library's array of environment strings, ended by a null pointer.
    static mut environ: *mut *mut c_char;
}

static HELD: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The complete strings, between one use and the next: after a wipe they cannot be found
    /// again, because wiped bytes look like empty strings.
    static KNOWN: Cell<Option<Vec<*mut c_char>>> = const { Cell::new(None) };
}

/// Exclusive access to this process's environment strings.
///
/// One exists at a time, in a process with a single thread, and it cannot
/// leave its thread. Reading lends out the strings; [`wipe`](Self::wipe) needs
/// the exclusive borrow, so no lent string is ever overwritten.
#[derive(Debug)]
pub struct InitialEnv {
    /// All strings, where the loader has taken some out of `environ`.
    complete: Option<Vec<*mut c_char>>,
    not_send: PhantomData<*mut ()>,
}

impl InitialEnv {
    /// Takes hold of the environment.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Threads`] if this process has more than one thread,
    /// [`AcquireError::Held`] if another `InitialEnv` exists,
    /// [`AcquireError::Unknown`] if neither `unshare(2)` nor `/proc` tells.
    pub fn acquire() -> Result<Self, AcquireError> {
        require_single_thread()?;
        if HELD.swap(true, Ordering::Acquire) {
            return Err(AcquireError::Held);
        }
        Ok(Self { complete: KNOWN.take().map_or_else(complete_strings, Some), not_send: PhantomData })
    }

    /// The null-terminated array of the strings.
    fn array(&self) -> *mut *mut c_char {
        match &self.complete {
            Some(strings) => strings.as_ptr().cast_mut(),
            // SAFETY: `self` is the only access and there is one thread, so
            // the variable is not being changed.
            None => unsafe { environ },
        }
    }

    /// All strings in their order, `NAME=value` as a rule.
    ///
    /// In an executable with privileges of its own (`AT_SECURE`) these are the strings that it
    /// was given, also those that the loader hides from it (`TMPDIR`, `LD_LIBRARY_PATH`, …): the
    /// program that is started with them has no such privileges.
    pub fn iter(&self) -> Strings<'_> {
        Strings { next: self.array(), lifetime: PhantomData }
    }

    /// The value of the first string whose name is `name`.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<&CStr> {
        self.iter().find_map(|string| {
            let value_at = value_offset(string.to_bytes(), name)?;
            CStr::from_bytes_with_nul(&string.to_bytes_with_nul()[value_at..]).ok()
        })
    }

    /// Overwrites every string whose name is `name` with NUL bytes, where it
    /// lies, and takes it out of `environ`. Says how many there were.
    ///
    /// Afterwards `/proc/self/environ` does not show the name or the value,
    /// nor does a core dump. Whoever started this process may still have its
    /// own copy.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Threads`] if threads were started since
    /// [`acquire`](Self::acquire); nothing was changed then.
    pub fn wipe(&mut self, name: &[u8]) -> Result<usize, AcquireError> {
        require_single_thread()?;
        let mut wiped = 0;
        // SAFETY: one thread, and `&mut self` ends every lent string (the
        // strings of `std::env` are copies). The array and its strings are
        // the writable ones on the initial stack: changing the environment of
        // a Rust process is unsafe and this project never does it.
        unsafe {
            let array = match &mut self.complete {
                Some(strings) => strings.as_mut_ptr(),
                None => environ,
            };
            let mut from = array;
            let mut to = array;
            if from.is_null() {
                return Ok(0);
            }
            while !(*from).is_null() {
                let string = *from;
                let len = CStr::from_ptr(string).count_bytes();
                let bytes = std::slice::from_raw_parts(string.cast::<u8>(), len);
                if value_offset(bytes, name).is_some() {
                    for at in 0..len {
                        string.add(at).write_volatile(0);
                    }
                    wiped += 1;
                } else {
                    *to = string;
                    to = to.add(1);
                }
                from = from.add(1);
            }
            while to != from {
                *to = ptr::null_mut();
                to = to.add(1);
            }
        }
        compiler_fence(Ordering::SeqCst);
        Ok(wiped)
    }
}

/// The strings between the ends of the environment area of the initial stack, if the loader may
/// have changed the array; ended by a null pointer.
fn complete_strings() -> Option<Vec<*mut c_char>> {
    if !crate::process::is_privileged_executable() {
        return None;
    }
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Fields are counted from 1; the second, in parentheses, may hold blanks.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let start: usize = fields.nth(50 - 3)?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    if start == 0 || end <= start {
        return None;
    }
    let mut strings = Vec::new();
    let mut next = start;
    while next < end {
        let string = next as *mut c_char;
        // SAFETY: the kernel says that [start, end) is our environment area, whose last byte
        // is the NUL of the last string.
        let length = unsafe { CStr::from_ptr(string) }.count_bytes();
        strings.push(string);
        next += length + 1;
    }
    strings.push(ptr::null_mut());
    Some(strings)
}

impl Drop for InitialEnv {
    fn drop(&mut self) {
        KNOWN.set(self.complete.take());
        HELD.store(false, Ordering::Release);
    }
}

impl<'env> IntoIterator for &'env InitialEnv {
    type Item = &'env CStr;
    type IntoIter = Strings<'env>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The strings of an [`InitialEnv`], where they lie.
#[derive(Debug)]
pub struct Strings<'env> {
    next: *mut *mut c_char,
    lifetime: PhantomData<&'env CStr>,
}

impl<'env> Iterator for Strings<'env> {
    type Item = &'env CStr;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next.is_null() {
            return None;
        }
        // SAFETY: `next` points into the array of `environ` at or before its
        // null pointer, and nobody changes the array or its NUL-terminated
        // strings while the InitialEnv is borrowed.
        unsafe {
            let string = *self.next;
            if string.is_null() {
                return None;
            }
            self.next = self.next.add(1);
            Some(CStr::from_ptr(string))
        }
    }
}

/// Why the environment could not be taken hold of.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcquireError {
    /// This process has more than one thread.
    Threads,
    /// Another [`InitialEnv`] exists.
    Held,
    /// The number of threads could not be found out.
    Unknown(io::Error),
}

impl std::fmt::Display for AcquireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Threads => {
                f.write_str("the environment can only be wiped before this process starts its second thread")
            }
            Self::Held => f.write_str("the environment is in use elsewhere in this process"),
            Self::Unknown(error) => {
                write!(f, "cannot find out how many threads this process has: {error}")
            }
        }
    }
}

impl std::error::Error for AcquireError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unknown(error) => Some(error),
            Self::Threads | Self::Held => None,
        }
    }
}

fn require_single_thread() -> Result<(), AcquireError> {
    match crate::process::has_one_thread() {
        Ok(true) => Ok(()),
        Ok(false) => Err(AcquireError::Threads),
        Err(error) => Err(AcquireError::Unknown(error)),
    }
}

/// Where the value starts in `string` if its name is `name`.
fn value_offset(string: &[u8], name: &[u8]) -> Option<usize> {
    if name.is_empty() || name.contains(&b'=') {
        return None;
    }
    string.strip_prefix(name)?.strip_prefix(b"=")?;
    Some(name.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_whole_and_only_before_the_equals_sign() {
        for (string, name, expected) in [
            (&b"A=1"[..], &b"A"[..], Some(2)),
            (b"AB=1", b"A", None),
            (b"A", b"A", None),
            (b"=1", b"", None),
            (b"A=B=1", b"A=B", None),
            (b"", b"A", None),
        ] {
            assert_eq!(value_offset(string, name), expected);
        }
    }

    #[test]
    fn a_process_with_threads_is_refused() {
        let worker = std::thread::spawn(|| InitialEnv::acquire().map(drop));
        let outcome = worker.join().unwrap();
        assert!(matches!(outcome, Err(AcquireError::Threads)));
    }
}
