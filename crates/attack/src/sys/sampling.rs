//! Copies of the stack, taken by the kernel's profiler:
//! [perf_event_open(2)](https://man7.org/linux/man-pages/man2/perf_event_open.2.html).
//!
//! The strings that `execve` was given lie at the top of the stack, within reach.
#![expect(unsafe_code, reason = "perf_event_open(2) and its ring buffer")]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Needle, Outcome};

/// Data pages of the ring buffer, within what an ordinary user may lock.
const PAGES: usize = 64;
const PAGE: usize = 4096;
/// Where the ring's head and tail are in its first page (`struct perf_event_mmap_page`).
const DATA_HEAD: usize = 1024;
const DATA_TAIL: usize = 1032;
/// How long samples are awaited.
const PATIENCE: Duration = Duration::from_secs(2);

/// `struct perf_event_attr` up to its fifth version, by words.
const fn attributes() -> [u64; 14] {
    const SOFTWARE: u64 = 1;
    const TASK_CLOCK: u64 = 1;
    const PERIOD_NANOSECONDS: u64 = 200_000;
    const SAMPLE_STACK_USER: u64 = 1 << 13;
    const EXCLUDE_KERNEL_AND_HYPERVISOR: u64 = 1 << 5 | 1 << 6;
    const MOST_STACK: u64 = 65_528;
    let mut words = [0; 14];
    words[0] = SOFTWARE | (size_of::<[u64; 14]>() as u64) << 32;
    words[1] = TASK_CLOCK;
    words[2] = PERIOD_NANOSECONDS;
    words[3] = SAMPLE_STACK_USER;
    words[5] = EXCLUDE_KERNEL_AND_HYPERVISOR;
    words[11] = MOST_STACK;
    words
}

/// Samples the stack of a process, which has to run meanwhile, not just wait.
pub(crate) fn by_profiler(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    let attributes = attributes();
    let any_cpu = -1;
    // SAFETY: the attributes are as long as they say.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), pid, any_cpu, -1, 0) };
    if fd < 0 {
        return Outcome::from_error(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    let event = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let length = (1 + PAGES) * PAGE;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses disturbs no other.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_SHARED, event.as_raw_fd(), 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let mut copy = vec![0_u8; PAGES * PAGE];
    let begun = Instant::now();
    let mut outcome = Outcome::NotFound;
    while outcome == Outcome::NotFound && begun.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(50));
        // SAFETY: the data pages follow the first, which holds the head and the tail of the
        // ring. The kernel writes data between the head and the tail only, so what is copied
        // may be torn at the head; the next sample is not.
        unsafe {
            let head = (*base.cast::<u8>().add(DATA_HEAD).cast::<AtomicU64>()).load(Ordering::Acquire);
            std::ptr::copy_nonoverlapping(base.cast::<u8>().add(PAGE), copy.as_mut_ptr(), copy.len());
            (*base.cast::<u8>().add(DATA_TAIL).cast::<AtomicU64>()).store(head, Ordering::Release);
        }
        if needle.is_in(&copy) {
            outcome = Outcome::Leaked;
        }
    }
    let sampled = copy.iter().any(|byte| *byte != 0);
    // SAFETY: exactly what was mapped, and no pointer into it is left.
    unsafe { libc::munmap(base, length) };
    if sampled { Ok(outcome) } else { Err(io::Error::other("the profiler took no sample: the process does not run")) }
}
