//! What the tests that start real programs share.
//!
//! A test makes a [`Room`] (a directory of its own), a [`TestSecret`] (fresh
//! random bytes), builds the programs that it needs ([`Workshop`]), and puts a
//! command on [`Trial`]: first started plainly, where every program must see
//! the secret *and* the [`Watch`] must find it in `/proc/PID/environ`, then
//! under `envward run`, where every program must see it and the watch must not.
//! The first half is what makes the second mean something: a check that finds
//! nothing on an unprotected process proves nothing.
//!
//! Everything here panics with a message when it cannot do its job: these are
//! assertions of tests, and a tool that the machine lacks is a failure that
//! names the package, never a skip.
#![expect(clippy::panic, clippy::expect_used, reason = "this crate is test code: a failed expectation ends the test")]

mod document;
mod launch;
mod program;
mod room;
mod secret;
mod sha256;
mod stage;
mod tool;
mod tree;
mod trial;
mod watch;

pub use document::{Block, blocks};
pub use launch::{Ended, Identity, Launch, Running};
pub use program::{Language, Workshop};
pub use room::Room;
pub use secret::TestSecret;
pub use sha256::{hex, sha256};
pub use stage::Stage;
pub use tool::{Capability, interpreter, is_root, require_root, tool};
pub use tree::{Process, Tree, signal};
pub use trial::Trial;
pub use watch::{Hit, Report, Watch};

/// How long any one wait of a test may take before the test fails.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
