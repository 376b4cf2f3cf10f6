//! `envward.toml` as its users have it: declarations, profiles, what is inherited, `check` and
//! `env explain`, on the real binary.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "declarations/checked.rs"]
mod checked;
#[path = "declarations/example.rs"]
mod example;
#[path = "declarations/explained.rs"]
mod explained;
#[path = "declarations/inherited.rs"]
mod inherited;
#[path = "declarations/leftovers.rs"]
mod leftovers;
#[path = "declarations/project.rs"]
mod project;
#[path = "declarations/started.rs"]
mod started;
