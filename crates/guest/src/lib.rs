//! Tests that need a kernel of their own.
//!
//! `cargo xtask guest` boots stock Debian kernels in QEMU with nothing but the test programs
//! and what they need. This crate is what both sides know of each other: the [`manifest`] that
//! tells the guest what to run, the [`record`]s that it answers with, the [`fact`]s about the
//! kernel that a boot promises, and [`Guest`], by which a test knows that it is in one.
//!
//! A test for the guest is an ordinary `#[test]` in `crates/NAME/tests/guest_SOMETHING.rs`.
//! docs/guest-tests.md tells how to write one.

pub mod fact;
pub mod manifest;
pub mod record;

mod guest;

pub use fact::Fact;
pub use guest::Guest;

/// The value that init writes to the exit port when every test has passed.
pub const PASSED: u8 = 0x10;

/// The value when one has not.
pub const FAILED: u8 = 0x11;

/// QEMU's exit status for a value written to its `isa-debug-exit` device.
#[must_use]
pub const fn exit_status(value: u8) -> i32 {
    ((value as i32) << 1) | 1
}

/// The port of the `isa-debug-exit` device.
pub const EXIT_PORT: u16 = 0xf4;

/// The serial port that the records go to.
pub const RESULTS: &str = "/dev/ttyS1";

/// The word on the kernel's command line by which a guest is known.
pub const MARK: &str = "envward.guest=1";
