//! `envward run --redact`: what comes out, when, and what is left in memory.
//!
//! That it is otherwise as if it were not there is what `conformance` compares on terminals,
//! and what `redaction::process` compares in pipes.

#![allow(clippy::expect_used, clippy::panic, reason = "a test says what went wrong by ending")]

mod stage;

mod redaction {
    mod memory;
    mod output;
    mod process;
}
