//! Another process's memory, [process_vm_readv(2)](https://man7.org/linux/man-pages/man2/process_vm_readv.2.html)
//! (Linux 3.2). Fails with `EFAULT` on `memfd_secret` mappings, which is what they are for.
#![expect(unsafe_code, reason = "process_vm_readv(2) takes arrays of pointers")]

use std::io;

use crate::errno::check;

/// The most ranges that one call takes (`IOV_MAX`).
pub const MAX_RANGES: usize = 1024;

/// A range of addresses in the other process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Range {
    /// First address.
    pub address: usize,
    /// Length in bytes.
    pub length: usize,
}

/// Reads into `buffer` what stands at `address` in process `pid`; returns how many bytes
/// could be read, which is less than asked for when an unmapped page follows.
///
/// # Errors
/// `EFAULT` when not even the first byte is readable, `EPERM`, `ESRCH`.
pub fn read(pid: i32, address: usize, buffer: &mut [u8]) -> io::Result<usize> {
    read_ranges(pid, &[Range { address, length: buffer.len() }], buffer)
}

/// Reads several ranges of process `pid` back to back into `buffer`. Stops at the first
/// byte that cannot be read and returns how many were.
///
/// # Errors
/// As [`read`]; `EINVAL` for more than [`MAX_RANGES`].
pub fn read_ranges(pid: i32, ranges: &[Range], buffer: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: `local` covers exactly `buffer`, which is exclusively borrowed; `Range` has the
    // layout of `iovec`, whose remote addresses the kernel checks itself.
    let read = check(unsafe {
        libc::process_vm_readv(pid, &raw const local, 1, ranges.as_ptr().cast(), ranges.len() as libc::c_ulong, 0)
    })?;
    Ok(read.unsigned_abs())
}

/// Writes `bytes` at `address` in process `pid`.
///
/// # Errors
/// `EFAULT` when not all of it can be written, `EPERM`, `ESRCH`.
pub fn write(pid: i32, address: usize, bytes: &[u8]) -> io::Result<()> {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: the kernel only reads the local range; it checks the remote one itself.
    let written = check(unsafe { libc::process_vm_writev(pid, &raw const local, 1, &raw const remote, 1, 0) })?;
    if written.unsigned_abs() == bytes.len() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EFAULT)) }
}
