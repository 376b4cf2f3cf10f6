//! What the process inherited, recorded before the language runtime changes it.
//!
//! Rust's runtime ignores `SIGPIPE` before `main`, and whoever opens a file while a standard
//! stream is closed gets that number. A launcher must pass on what *it* was given, so a
//! constructor notes it first, and puts `/dev/null` where nothing is open.
#![expect(unsafe_code, reason = "a constructor must be placed in .init_array by hand")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{descriptor, process};

static IGNORED: AtomicU64 = AtomicU64::new(0);
static CLOSED: [AtomicBool; 3] = [AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false)];

extern "C" fn record() {
    for signal in [libc::SIGPIPE, libc::SIGCHLD, libc::SIGTRAP] {
        // SAFETY: a null `act` makes sigaction(2) only report; glibc refuses its two private
        // signals with EINVAL and leaves `old` as it was.
        let ignored = unsafe {
            let mut old: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &raw mut old) == 0 && old.sa_sigaction == libc::SIG_IGN
        };
        IGNORED.fetch_or(u64::from(ignored) << (signal - 1), Ordering::Relaxed);
    }
    for (number, closed) in (0..).zip(&CLOSED) {
        if !descriptor::is_open(number) {
            closed.store(true, Ordering::Relaxed);
            // So that nothing of ours is opened there; close-on-exec, so that the program
            // finds it closed. The lowest free number is this one.
            // SAFETY: the path is a C string.
            unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
        } else if process::is_privileged_executable() && is_the_loaders(number) {
            closed.store(true, Ordering::Relaxed);
            // If this fails the program finds the loader's file, which gives it nothing.
            let _ = descriptor::set_close_on_exec(number, true);
        }
    }
}

/// Whether the loader has put a file of its own in place of a closed standard stream, as glibc
/// does in executables with privileges: `/dev/full` to be written to, on 0, and `/dev/null` to be
/// read from, on 1 and 2.
fn is_the_loaders(number: i32) -> bool {
    let (device, access) =
        if number == 0 { (libc::makedev(1, 7), libc::O_WRONLY) } else { (libc::makedev(1, 3), libc::O_RDONLY) };
    // SAFETY: all-zero is a valid `stat`, the only memory that the kernel writes.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        libc::fstat(number, &raw mut stat) == 0
            && stat.st_rdev == device
            && libc::fcntl(number, libc::F_GETFL) & (libc::O_ACCMODE | libc::O_NOFOLLOW) == access | libc::O_NOFOLLOW
    }
}

// SAFETY: .init_array holds pointers to C functions, which the loader calls before `main`;
// `record` needs nothing that is not set up by then.
#[used]
#[unsafe(link_section = ".init_array")]
static RECORD: extern "C" fn() = record;

/// Whether `signal` was ignored when the process started.
#[must_use]
pub fn was_ignored(signal: i32) -> bool {
    (1..=64).contains(&signal) && IGNORED.load(Ordering::Relaxed) >> (signal - 1) & 1 == 1
}

/// Whether standard stream `number` (0 to 2) was closed when the process started.
#[must_use]
pub fn was_closed(number: usize) -> bool {
    CLOSED.get(number).is_some_and(|closed| closed.load(Ordering::Relaxed))
}
