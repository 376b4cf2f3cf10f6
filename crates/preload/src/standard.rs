//! The functions of the C library, in place of libc's.

use core::ffi::{c_char, c_int};
use core::ptr;

use crate::environment::{ENVIRONMENT, is_secure, set_errno, status};

/// getenv(3).
///
/// # Safety
/// `name` is a NUL-terminated string, or null, which is no variable.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getenv(name: *const c_char) -> *mut c_char {
    if name.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the caller's promise.
    unsafe { ENVIRONMENT.get(name) }
}

/// secure_getenv(3): nothing in a program with privileges that its caller lacks.
///
/// # Safety
/// As [`getenv`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn secure_getenv(name: *const c_char) -> *mut c_char {
    if is_secure() {
        return ptr::null_mut();
    }
    // SAFETY: the caller's promise.
    unsafe { getenv(name) }
}

/// setenv(3).
///
/// # Safety
/// Both are NUL-terminated strings, or null, which is an error.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn setenv(name: *const c_char, value: *const c_char, overwrite: c_int) -> c_int {
    if name.is_null() || value.is_null() {
        set_errno(libc::EINVAL);
        return -1;
    }
    // SAFETY: the caller's promise.
    status(unsafe { ENVIRONMENT.set(name, value, overwrite != 0) })
}

/// unsetenv(3).
///
/// # Safety
/// `name` is a NUL-terminated string, or null, which is an error.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn unsetenv(name: *const c_char) -> c_int {
    if name.is_null() {
        set_errno(libc::EINVAL);
        return -1;
    }
    // SAFETY: the caller's promise.
    status(unsafe { ENVIRONMENT.remove(name) })
}

/// putenv(3).
///
/// # Safety
/// `entry` is a NUL-terminated string that stays readable while it is in the environment, or
/// null, which is an error.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn putenv(entry: *mut c_char) -> c_int {
    if entry.is_null() {
        set_errno(libc::EINVAL);
        return -1;
    }
    // SAFETY: the caller's promise.
    status(unsafe { ENVIRONMENT.put(entry) })
}

/// clearenv(3).
#[unsafe(no_mangle)]
pub(crate) extern "C" fn clearenv() -> c_int {
    status(ENVIRONMENT.clear())
}
