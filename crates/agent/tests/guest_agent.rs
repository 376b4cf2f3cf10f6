//! The agent on the kernels of Debian: every route without it, which has to leak, and with it.
//! Runs in guests, `cargo xtask guest`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test says what went wrong by ending")]

#[path = "agent/stage.rs"]
mod stage;

mod agent {
    mod inherited;
    mod load;
    mod pinned;
    mod quiet;
    mod refusals;
    mod routes;
    mod system;
}
