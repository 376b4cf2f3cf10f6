//! What the process inherited, recorded before the language runtime changes it.
//!
//! Rust's runtime ignores `SIGPIPE` and opens `/dev/null` on closed standard streams before
//! `main`. A launcher must pass on what *it* was given, so a constructor notes it first.
#![expect(unsafe_code, reason = "a constructor must be placed in .init_array by hand")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::descriptor;

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
        closed.store(!descriptor::is_open(number), Ordering::Relaxed);
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
