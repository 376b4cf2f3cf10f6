//! The commands of the store, and `envward run` from it.
//!
//! Needs gcc, ssh-keygen, unshare, mount and ed.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "test code: a failed expectation ends the test")]

#[path = "store/commands.rs"]
mod commands;
#[path = "store/editing.rs"]
mod editing;
#[path = "store/interrupted.rs"]
mod interrupted;
#[path = "store/keys.rs"]
mod keys;
#[path = "store/memory.rs"]
mod memory;
#[path = "store/room.rs"]
mod room;
#[path = "store/trouble.rs"]
mod trouble;
