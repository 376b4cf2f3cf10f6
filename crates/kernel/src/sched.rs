//! CPU affinity, [sched_setaffinity(2)](https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html).
#![expect(unsafe_code, reason = "sched_setaffinity(2) takes a pointer to a CPU mask")]

use std::io;

use crate::errno::check;

/// The number of 64-bit words in a [`CpuSet`]: enough for 8192 CPUs, the kernel's maximum.
const WORDS: usize = 128;

/// A set of CPUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuSet([u64; WORDS]);

impl CpuSet {
    /// Every CPU; the kernel cuts it down to those that the task's cpuset allows.
    pub const ALL: Self = Self([u64::MAX; WORDS]);

    /// The set of one CPU, `cpu` counted from 0.
    #[must_use]
    pub fn only(cpu: usize) -> Self {
        let mut set = [0; WORDS];
        set[cpu / 64 % WORDS] = 1 << (cpu % 64);
        Self(set)
    }

    /// How many CPUs are in the set.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

/// The CPUs that the task `tid` may run on (0: the caller).
///
/// # Errors
/// `ESRCH` when there is no such task.
pub fn affinity(tid: i32) -> io::Result<CpuSet> {
    let mut set = CpuSet([0; WORDS]);
    // SAFETY: the kernel writes at most `size_of_val` bytes to the array.
    check(unsafe { libc::syscall(libc::SYS_sched_getaffinity, tid, size_of_val(&set.0), set.0.as_mut_ptr()) })?;
    Ok(set)
}

/// Restricts the task `tid` (0: the caller) to `set`.
///
/// # Errors
/// `EPERM` for another user's task without `CAP_SYS_NICE`, `EINVAL` when no CPU is left.
pub fn set_affinity(tid: i32, set: &CpuSet) -> io::Result<()> {
    // SAFETY: the kernel reads `size_of_val` bytes of the array.
    check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, tid, size_of_val(&set.0), set.0.as_ptr()) }).map(drop)
}

/// The CPU that the caller runs on at this moment.
#[must_use]
pub fn current_cpu() -> Option<usize> {
    // SAFETY: takes no argument.
    usize::try_from(unsafe { libc::sched_getcpu() }).ok()
}
