//! The environment table: `environ` and its strings, read and changed by any number of
//! threads, by signal handlers and by forked children.
//!
//! This is the algorithm under `envward-environ` (the safe Rust API) and `libenvward` (the C
//! functions). It needs no allocator of its own, no `std`, and only symbols that glibc and
//! musl both have.
//!
//! The rules that everything rests on, because libc and programs read `environ` directly and
//! take no lock of ours:
//!
//! 1. A published array is never written except by one store into a slot: a new entry over the
//!    old one of the same name, or an entry into a slot that has been null since before the
//!    publication. Removal and clearing publish another array.
//! 2. An array or string that was ever published stays mapped and terminated. It is used
//!    again only after a quarantine.
//! 3. Reading allocates nothing, takes no lock, and may be done from a signal handler. A
//!    mutation may be interrupted anywhere by a signal handler that mutates, or by `fork`.
#![no_std]

#[cfg(test)]
extern crate std;

mod arena;
mod environment;
mod host;
mod lock;
mod name;
mod published;
mod read;
mod reclaim;
mod snapshot;
mod sync;
#[cfg(test)]
mod tests;
mod write;

pub use environment::{Environment, Error};
pub use snapshot::Iter;

/// The symbol by which `libenvward` shows its environment to `envward-environ` in the same
/// process: `extern "C" fn() -> *const Environment`. Holds the version, because the layout is
/// that of this very crate.
pub const SHARED: &core::ffi::CStr = c"envward_environment_0_1_0";
