//! Capabilities of the calling thread, [capabilities(7)](https://man7.org/linux/man-pages/man7/capabilities.7.html).
#![expect(unsafe_code, reason = "capget(2) and capset(2) are raw system calls")]

use std::io;

use crate::errno::check;

/// One capability; the value is the kernel's bit number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// `CAP_SYS_PTRACE`: trace any process, read non-dumpable ones.
    SysPtrace = 19,
    /// `CAP_SYS_ADMIN`: among much else, install a seccomp filter without `no_new_privs`.
    SysAdmin = 21,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`: two 32-bit words a set.
const VERSION_3: u32 = 0x2008_0522;

fn get() -> io::Result<[Data; 2]> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 makes the kernel write exactly two `Data`.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) })?;
    Ok(data)
}

/// Whether `capability` is in the effective set of the calling thread.
///
/// # Errors
/// Those of capget(2).
pub fn is_effective(capability: Capability) -> io::Result<bool> {
    let bit = capability as u32;
    Ok(get()?[(bit / 32) as usize].effective >> (bit % 32) & 1 == 1)
}

/// Puts `capability` into the effective set or takes it out; it stays in the permitted set.
///
/// # Errors
/// `EPERM` when it is to be raised and is not permitted.
pub fn set_effective(capability: Capability, effective: bool) -> io::Result<()> {
    let mut data = get()?;
    let bit = capability as u32;
    let word = &mut data[(bit / 32) as usize].effective;
    *word = (*word & !(1 << (bit % 32))) | (u32::from(effective) << (bit % 32));
    let mut header = Header { version: VERSION_3, pid: 0 };
    // SAFETY: version 3 makes the kernel read exactly two `Data`.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) }).map(drop)
}

/// Whether `capability` is in the permitted set of process `pid`.
///
/// # Errors
/// `ESRCH` when there is no such process.
pub fn is_permitted_to(pid: i32, capability: Capability) -> io::Result<bool> {
    let mut header = Header { version: VERSION_3, pid };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 makes the kernel write exactly two `Data`.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) })?;
    let bit = capability as u32;
    Ok(data[(bit / 32) as usize].permitted >> (bit % 32) & 1 == 1)
}

/// The inheritable set, bit by bit.
///
/// # Errors
/// Those of capget(2).
pub fn inheritable() -> io::Result<u64> {
    let [low, high] = get()?;
    Ok(u64::from(low.inheritable) | u64::from(high.inheritable) << 32)
}

/// Whether `capability` is in the ambient set: programs that are executed keep it (Linux 4.3).
///
/// # Errors
/// `EINVAL` before Linux 4.3.
pub fn is_ambient(capability: Capability) -> io::Result<bool> {
    ambient(libc::PR_CAP_AMBIENT_IS_SET, capability as libc::c_ulong).map(|set| set == 1)
}

/// Puts `capability`, which is permitted, into the inheritable and the ambient set.
/// Async-signal-safe.
///
/// # Errors
/// `EPERM` when it is not permitted, or the secure bits forbid it.
pub(crate) fn make_ambient(capability: Capability) -> io::Result<()> {
    let mut data = get()?;
    let bit = capability as u32;
    data[(bit / 32) as usize].inheritable |= 1 << (bit % 32);
    let mut header = Header { version: VERSION_3, pid: 0 };
    // SAFETY: version 3 makes the kernel read exactly two `Data`.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) })?;
    ambient(libc::PR_CAP_AMBIENT_RAISE, capability as libc::c_ulong).map(drop)
}

fn ambient(operation: libc::c_int, capability: libc::c_ulong) -> io::Result<libc::c_int> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, operation as libc::c_ulong, capability, 0_u64, 0_u64) })
}

/// What capset(2) is to read to leave a process with the inheritable set only: header and data.
#[must_use]
pub fn only_inheritable(inheritable: u64) -> [u32; 8] {
    [VERSION_3, 0, 0, 0, inheritable as u32, 0, 0, (inheritable >> 32) as u32]
}

/// Sets the permitted and the effective set, bit by bit; the inheritable one is emptied.
///
/// # Errors
/// `EPERM` for a permitted capability that the caller does not have, or an effective one that
/// is not permitted.
pub fn set_all(permitted: u64, effective: u64) -> io::Result<()> {
    let half = |shift: u32| Data {
        effective: (effective >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: 0,
    };
    let data = [half(0), half(32)];
    let mut header = Header { version: VERSION_3, pid: 0 };
    // SAFETY: version 3 makes the kernel read exactly two `Data`.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) }).map(drop)
}
