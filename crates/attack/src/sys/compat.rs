//! System calls as 32-bit programs make them, which a watcher of the 64-bit ones does not see. Needs a kernel with
//! `CONFIG_IA32_EMULATION`; Debian's have it.
#![expect(unsafe_code, reason = "the 32-bit entry into the kernel, and memory that it can address")]

use std::arch::asm;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr::NonNull;

/// Numbers of the i386 table.
const READ: u32 = 3;
const OPEN: u32 = 5;

const BYTES: usize = 1 << 16;

/// Memory below 4 GiB.
struct Low(NonNull<u8>);

impl Low {
    fn new() -> io::Result<Self> {
        let (access, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT);
        // SAFETY: a new mapping at an address that the kernel chooses disturbs no other.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), BYTES, access, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(base.cast()).map(Self).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
    }

    fn address(&self) -> u32 {
        self.0.as_ptr() as usize as u32
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the range was mapped for reads and writes by `new`, zeroed, and is only reached through `self`.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr(), BYTES) }
    }
}

impl Drop for Low {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `new` mapped; no reference outlives `self`.
        unsafe { libc::munmap(self.0.as_ptr().cast(), BYTES) };
    }
}

/// # Safety
/// What the call does with its arguments must be sound.
unsafe fn call(number: u32, first: u32, second: u32, third: u32) -> io::Result<u32> {
    let mut result = u64::from(number);
    // SAFETY: the kernel preserves all registers but `rax`, and on some versions clears `r8` to `r11`; the compiler
    // keeps `rbx` for itself and has it back afterwards. The stack is not touched.
    unsafe {
        asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) u64::from(first) => _,
            inout("rax") result,
            in("rcx") u64::from(second),
            in("rdx") u64::from(third),
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
            options(nostack),
        );
    }
    let result = result as i32;
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result as u32) }
}

/// A file that is opened and read by 32-bit calls: open(2) and read(2).
pub(crate) struct CompatFile {
    file: File,
    memory: Low,
}

impl CompatFile {
    pub(crate) fn open(path: &CStr) -> io::Result<Self> {
        let mut memory = Low::new()?;
        let path = path.to_bytes_with_nul();
        memory.bytes().get_mut(..path.len()).ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(path);
        // SAFETY: the path is NUL-terminated and in memory that the call can address.
        let number = unsafe { call(OPEN, memory.address(), (libc::O_RDONLY | libc::O_CLOEXEC) as u32, 0) }?;
        // SAFETY: the kernel has just given us this descriptor.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(number as i32) });
        Ok(Self { file, memory })
    }
}

impl io::Read for CompatFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(BYTES);
        // SAFETY: the memory has room for as many bytes, and nobody refers to it meanwhile.
        let count = unsafe { call(READ, self.file.as_raw_fd() as u32, self.memory.address(), wanted as u32) }? as usize;
        let count = count.min(wanted);
        buffer[..count].copy_from_slice(&self.memory.bytes()[..count]);
        Ok(count)
    }
}
