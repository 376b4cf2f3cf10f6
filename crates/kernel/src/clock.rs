//! Clocks, [clock_gettime(2)](https://man7.org/linux/man-pages/man2/clock_gettime.2.html).
#![expect(unsafe_code, reason = "clock_gettime(2) writes into a structure")]

use std::time::Duration;

/// Time since the machine started, sleep included: `CLOCK_BOOTTIME`.
#[must_use]
pub fn since_boot() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is the only memory that the kernel writes.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}
