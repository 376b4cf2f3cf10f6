//! Attributes of the calling process, [prctl(2)](https://man7.org/linux/man-pages/man2/prctl.2.html).
#![expect(unsafe_code, reason = "prctl(2) is a raw system call")]

use std::io;

use crate::errno::check;

fn prctl(option: libc::c_int, value: libc::c_ulong) -> io::Result<libc::c_int> {
    // SAFETY: none of the options used in this module takes a pointer.
    check(unsafe { libc::prctl(option, value, 0 as libc::c_ulong, 0 as libc::c_ulong, 0 as libc::c_ulong) })
}

/// Makes the process dumpable or not (`PR_SET_DUMPABLE`, Linux 2.4). The kernel resets the
/// attribute at every `execve`.
///
/// # Errors
/// Those of prctl(2); none is expected for these two values.
pub fn set_dumpable(dumpable: bool) -> io::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(dumpable)).map(drop)
}

/// Whether the process is dumpable (`PR_GET_DUMPABLE`, Linux 2.4).
///
/// # Errors
/// Those of prctl(2).
pub fn dumpable() -> io::Result<bool> {
    prctl(libc::PR_GET_DUMPABLE, 0).map(|value| value == 1)
}

/// Adopts orphaned descendants instead of init (`PR_SET_CHILD_SUBREAPER`, Linux 3.4).
///
/// # Errors
/// Those of prctl(2).
pub fn become_subreaper() -> io::Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1).map(drop)
}

/// Has the kernel kill the caller when its parent ends (`PR_SET_PDEATHSIG`, Linux 2.1.57).
///
/// # Errors
/// None is expected.
pub fn die_with_parent() -> io::Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong).map(drop)
}

/// Whether `no_new_privs` is set for the calling thread (`PR_GET_NO_NEW_PRIVS`, Linux 3.5).
///
/// # Errors
/// Those of prctl(2).
pub fn no_new_privs() -> io::Result<bool> {
    prctl(libc::PR_GET_NO_NEW_PRIVS, 0).map(|value| value == 1)
}
