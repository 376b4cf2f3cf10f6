//! Every way in which an exec somewhere in the tree can carry a secret.
//!
//! What a program starts finds the secret as it would without envward: copied,
//! inherited, renamed, or gone where it was removed. And no environ of the tree
//! ever holds it: each test starts the same command plainly first, where the
//! secret must be found there.
#![cfg(test)]

#[path = "descendants/chains.rs"]
mod chains;
#[path = "descendants/daemons.rs"]
mod daemons;
#[path = "descendants/environments.rs"]
mod environments;
#[path = "descendants/fleets.rs"]
mod fleets;
#[path = "descendants/limits.rs"]
mod limits;
#[path = "descendants/modes.rs"]
mod modes;
#[path = "descendants/routes.rs"]
mod routes;
#[path = "descendants/rules.rs"]
mod rules;
#[path = "descendants/runtimes.rs"]
mod runtimes;
#[path = "descendants/shells.rs"]
mod shells;
#[path = "descendants/storms.rs"]
mod storms;

use std::ffi::OsString;

use envward_testkit::{Identity, Language, Stage};

/// Everything but what needs root is tried in both modes.
const BOTH: [Identity; 2] = [Identity::Caller, Identity::Unprivileged];

/// `sh check.sh NAME DIGEST` in front of a command: a shell that has the secret
/// and holds still for as long as the command does.
fn behind_a_shell(stage: &Stage, command: Vec<OsString>) -> Vec<OsString> {
    let mut all = stage.asked([stage.shell(), stage.script("check.sh")]);
    all.extend(command);
    all
}

/// `check NAME DIGEST`, the C program at the end of most chains.
fn leaf(stage: &Stage) -> Vec<OsString> {
    stage.asked([stage.program(Language::C, "check")])
}
