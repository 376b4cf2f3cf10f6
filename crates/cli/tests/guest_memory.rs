//! Kernels with and without memfd_secret. Runs in guests, `cargo xtask guest`.

#![allow(clippy::expect_used, clippy::panic, reason = "a test says what went wrong by ending")]

mod stage;

mod attacks {
    mod victim;

    #[path = "../guest/memory.rs"]
    mod memory;
}

#[path = "guest/scope.rs"]
mod scope;
