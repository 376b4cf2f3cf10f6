//! The attacks on the kernels of Debian, what Yama changes about them, and what root can do
//! with one capability. Runs in guests, `cargo xtask guest`.

#![allow(clippy::expect_used, clippy::panic, reason = "a test says what went wrong by ending")]

mod stage;

mod attacks {
    mod promise;
    mod racer;
    mod victim;

    #[path = "../guest/capabilities.rs"]
    mod capabilities;
    #[path = "../guest/matrix.rs"]
    mod matrix;
    #[path = "../guest/yama.rs"]
    mod yama;
}

#[path = "guest/scope.rs"]
mod scope;
