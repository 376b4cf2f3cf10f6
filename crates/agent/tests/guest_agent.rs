//! The agent on the kernels of Debian: every route without it, which has to leak, and with it.
//! Runs in guests, `cargo xtask guest`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test says what went wrong by ending")]

#[path = "guest/stage.rs"]
mod stage;

mod agent {
    #[path = "../guest/inherited.rs"]
    mod inherited;
    #[path = "../guest/load.rs"]
    mod load;
    #[path = "../guest/quiet.rs"]
    mod quiet;
    #[path = "../guest/refusals.rs"]
    mod refusals;
    #[path = "../guest/routes.rs"]
    mod routes;
    #[path = "../guest/system.rs"]
    mod system;
}
