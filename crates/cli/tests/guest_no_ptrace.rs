//! A kernel on which nobody may trace, not even root, until it is booted anew. Runs in guests,
//! `cargo xtask guest`, as the last of its boot.

#![allow(clippy::expect_used, clippy::panic, reason = "a test says what went wrong by ending")]

mod stage;

#[path = "guest/no_ptrace.rs"]
mod no_ptrace;
#[path = "guest/scope.rs"]
mod scope;
