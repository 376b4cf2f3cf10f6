//! The functions that the draft adds, and NetBSD's `getenv_r`.

use core::ffi::{c_char, c_int};

use envward_table::{Environment, Iter};

use crate::environment::{ENVIRONMENT, set_errno, status};

/// The entry of a variable, held until `env_release`.
pub(crate) unsafe extern "C" fn env_lookup(name: *const c_char) -> *const c_char {
    if name.is_null() {
        return core::ptr::null();
    }
    // SAFETY: the caller passes a string.
    unsafe { ENVIRONMENT.lookup(name) }
}

/// Gives an entry back.
pub(crate) unsafe extern "C" fn env_release(entry: *const c_char) {
    // SAFETY: the caller passes what it was given.
    unsafe { ENVIRONMENT.release(entry) };
}

/// Replaces everything, and takes the array and its strings over.
pub(crate) unsafe extern "C" fn env_replace_all(envp: *mut *const c_char) {
    // SAFETY: the caller passes a null-terminated array of strings, or null for none; the
    // array and the strings that are not ours came from `malloc`.
    unsafe {
        let mut count = 0;
        while !envp.is_null() && !(*envp.add(count)).is_null() {
            count += 1;
        }
        let result = ENVIRONMENT.replace_all(envp, count, |entry| {
            if ENVIRONMENT.has_secrets() {
                // It may be one, and is nobody's any more.
                for at in 0..libc::strlen(entry) {
                    entry.cast_mut().add(at).write_volatile(0);
                }
            }
            libc::free(entry.cast_mut().cast());
        });
        if status(result) == 0 {
            libc::free(envp.cast());
        }
    }
}

/// Begins an iteration.
pub(crate) extern "C" fn env_iter() -> *mut Iter {
    let iter = ENVIRONMENT.iterate();
    if iter.is_null() {
        set_errno(libc::ENOMEM);
    }
    iter
}

/// The next entry, held until `env_release`.
pub(crate) unsafe extern "C" fn env_next(iter: *mut Iter) -> *const c_char {
    // SAFETY: the caller passes what `env_iter` returned.
    unsafe { ENVIRONMENT.next_entry(iter) }
}

/// Ends an iteration.
pub(crate) unsafe extern "C" fn env_iter_close(iter: *mut Iter) {
    // SAFETY: the caller passes what `env_iter` returned.
    unsafe { ENVIRONMENT.close(iter) };
}

/// Copies a value: 0, or -1 with `ENOENT` or `ERANGE`.
pub(crate) unsafe extern "C" fn getenv_r(name: *const c_char, buffer: *mut c_char, size: usize) -> c_int {
    // SAFETY: the caller passes a string and a buffer of this size; the entry is held while it
    // is read.
    unsafe {
        let entry = env_lookup(name);
        if entry.is_null() {
            set_errno(libc::ENOENT);
            return -1;
        }
        let value = entry.add(libc::strlen(name) + 1);
        let length = libc::strlen(value);
        let fits = length < size;
        if fits {
            buffer.copy_from_nonoverlapping(value, length + 1);
        }
        env_release(entry);
        if fits {
            0
        } else {
            set_errno(libc::ERANGE);
            -1
        }
    }
}

/// The table, for `envward-environ` in the same process.
pub(crate) extern "C" fn shared_environment() -> *const Environment {
    &raw const ENVIRONMENT
}
