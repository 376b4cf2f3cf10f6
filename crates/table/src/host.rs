//! What the table asks of its host: a handful of functions that glibc and musl both export,
//! and Linux system calls. Nothing here is called by the read path except
//! [`thread_pointer`] and [`length`].
#![expect(unsafe_code, reason = "calls the C library and the kernel")]

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

/// The length of a C string, by aligned 16-byte loads that never leave the page of a byte of
/// the string. The loads are in assembly because they may touch bytes behind the terminator,
/// in the same aligned 16 bytes.
///
/// # Safety
/// `text` points to a NUL-terminated string.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) unsafe fn length(text: *const c_char) -> usize {
    let address = text as usize;
    let lead = address & 15;
    let mut block = address - lead;
    let mut bits: u32;
    // SAFETY: an aligned 16-byte load that holds at least one byte of the string cannot fault:
    // pages are multiples of 16 bytes. It reads only.
    unsafe {
        core::arch::asm!(
            "pxor {zero}, {zero}",
            "pcmpeqb {zero}, xmmword ptr [{block}]",
            "pmovmskb {bits:e}, {zero}",
            zero = out(xmm_reg) _, block = in(reg) block, bits = lateout(reg) bits,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    bits >>= lead;
    if bits != 0 {
        return bits.trailing_zeros() as usize;
    }
    loop {
        block += 16;
        // SAFETY: no terminator was seen before `block`, so its first byte is in the string.
        unsafe {
            core::arch::asm!(
                "pxor {zero}, {zero}",
                "pcmpeqb {zero}, xmmword ptr [{block}]",
                "pmovmskb {bits:e}, {zero}",
                zero = out(xmm_reg) _, block = in(reg) block, bits = lateout(reg) bits,
                options(pure, readonly, nostack, preserves_flags)
            );
        }
        if bits != 0 {
            return block + bits.trailing_zeros() as usize - address;
        }
    }
}

/// The length of a C string.
///
/// # Safety
/// `text` points to a NUL-terminated string.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(crate) unsafe fn length(text: *const c_char) -> usize {
    // SAFETY: the caller's promise is the function's.
    unsafe { libc::strlen(text) }
}

/// The thread pointer: one address per thread, known without a system call.
#[inline(always)]
pub(crate) fn thread_pointer() -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        let id: usize;
        // SAFETY: the ABI stores the thread pointer at its own address, %fs:0.
        unsafe {
            core::arch::asm!("mov {}, qword ptr fs:[0]", out(reg) id,
                options(pure, readonly, nostack, preserves_flags));
        }
        id
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        // SAFETY: no precondition; both libcs return the address of the thread's descriptor.
        unsafe { libc::pthread_self() as usize }
    }
}

/// Fresh zeroed pages, or null.
pub(crate) fn map(bytes: usize) -> *mut u8 {
    // SAFETY: an anonymous private mapping at an address of the kernel's choice.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED { ptr::null_mut() } else { page.cast() }
}

/// Fresh zeroed pages that are neither swapped nor dumped, or null.
pub(crate) fn map_locked(bytes: usize) -> *mut u8 {
    let pages = map(bytes);
    if !pages.is_null() {
        // SAFETY: our own pages.
        unsafe {
            if libc::mlock(pages.cast(), bytes) != 0 || libc::madvise(pages.cast(), bytes, libc::MADV_DONTDUMP) != 0 {
                unmap(pages, bytes);
                return ptr::null_mut();
            }
        }
    }
    pages
}

/// Gives pages from [`map`] back.
///
/// # Safety
/// `page` and `bytes` are those of one `map` call and nothing refers to the pages any more.
pub(crate) unsafe fn unmap(page: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe { libc::munmap(page.cast(), bytes) };
}

/// A page that reads as zero in a forked child (Linux 4.14), or null.
pub(crate) fn map_wiped_on_fork() -> *mut u8 {
    let page = map(4096);
    if !page.is_null() {
        // SAFETY: our own page. Where the kernel refuses, a child inherits the lock word; that
        // is the behaviour of the C libraries, and 4.14 is documented as the minimum.
        unsafe { libc::madvise(page.cast(), 4096, libc::MADV_WIPEONFORK) };
    }
    page
}

/// `slots` zeroed pointers from the process's allocator, or null.
///
/// The published array is an allocation of its own because there are programs that call
/// `free(environ)`.
pub(crate) fn allocate_slots(slots: usize) -> *mut *mut c_char {
    // SAFETY: no precondition.
    unsafe { libc::calloc(slots, size_of::<*mut c_char>()).cast() }
}

/// Whether the calling thread has a signal blocked, as a signal handler does: then the
/// allocator may be what the signal interrupted, and is left alone.
pub(crate) fn may_be_in_handler() -> bool {
    let mut mask = 0_u64;
    // SAFETY: asks for the current mask, eight bytes in the kernel's layout.
    let result = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, ptr::null::<c_void>(), &raw mut mask, size_of::<u64>())
    };
    result != 0 || mask != 0
}

/// Whether the process has one thread, by the link count of its task directory. Without procfs
/// the answer is no.
pub(crate) fn alone() -> bool {
    let errno = Errno::save();
    // SAFETY: all-zero bytes are a valid `stat`.
    let mut status: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: a C string and a buffer of the right type.
    let result = unsafe { libc::stat(c"/proc/self/task".as_ptr(), &raw mut status) };
    errno.restore();
    result == 0 && status.st_nlink == 3
}

/// Milliseconds of the coarse monotonic clock.
pub(crate) fn milliseconds() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a buffer of the right type.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1000 + time.tv_nsec.cast_unsigned() / 1_000_000
}

/// Sleeps for a millisecond.
pub(crate) fn pause() {
    let errno = Errno::save();
    let time = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    // SAFETY: a valid time and no remainder wanted.
    unsafe { libc::nanosleep(&raw const time, ptr::null_mut()) };
    errno.restore();
}

/// Sleeps until `word` is woken or no longer holds `value`.
pub(crate) fn wait(word: *const u32, value: u32) {
    let errno = Errno::save();
    // SAFETY: a futex wait on a mapped word, no time limit.
    unsafe {
        libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, value, ptr::null::<c_void>())
    };
    errno.restore();
}

/// Wakes one sleeper on `word`.
pub(crate) fn wake(word: *const u32) {
    let errno = Errno::save();
    // SAFETY: a futex wake on a mapped word.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1) };
    errno.restore();
}

/// The calling thread's `errno`, kept across calls that may change it.
struct Errno(c_int);

impl Errno {
    fn save() -> Self {
        // SAFETY: both libcs export the address of the thread's `errno` under this name.
        Self(unsafe { *libc::__errno_location() })
    }
    fn restore(self) {
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = self.0 };
    }
}

/// The addresses between which the kernel put the strings of `execve`: the arguments and the
/// initial environment. Empty when the auxiliary vector does not tell.
pub(crate) fn initial_strings() -> (usize, usize) {
    // SAFETY: no precondition.
    let (low, high) = unsafe { (libc::getauxval(libc::AT_RANDOM), libc::getauxval(libc::AT_EXECFN)) };
    (low as usize, high as usize)
}
