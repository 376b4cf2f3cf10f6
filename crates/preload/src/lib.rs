//! libenvward: the C functions over the environment table.
//!
//! No `std` and no allocator: one shared object that needs only symbols which glibc and musl
//! both have, and so loads into programs of either.
#![no_std]
#![expect(unsafe_code, reason = "the C interface")]

mod environment;
mod exec;
mod exports;
mod extended;
mod secrets;
mod spawn;
mod standard;
mod stream;

/// Stops the process. Nothing here panics by design.
#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: no precondition.
    unsafe { libc::abort() }
}
