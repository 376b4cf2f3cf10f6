//! Every runtime sees its secret, and no environ in its tree ever holds it.
//!
//! One test for each runtime. Each starts its program plainly first, where the
//! secret must be found in `/proc/PID/environ`, then under `envward run`, where
//! it must not: alone, and between a shell that inherited the secret and a C
//! program that inherits it from the runtime. While they run, a thread reads
//! every environ of the tree in a tight loop.
#![cfg(test)]

#[path = "runtimes/compiled.rs"]
mod compiled;
#[path = "runtimes/interpreted.rs"]
mod interpreted;
#[path = "runtimes/servers.rs"]
mod servers;
#[path = "runtimes/shells.rs"]
mod shells;
#[path = "runtimes/titles.rs"]
mod titles;

use std::ffi::OsStr;
use std::path::Path;

use envward_testkit::{Identity, Language, Stage, interpreter};

/// Proves a runtime: `program` is how it is told to run its check, `exe` what
/// `/proc/PID/exe` then shows.
fn prove<I>(stage: &Stage, program: I, exe: &Path)
where
    I: IntoIterator + Clone,
    I::Item: AsRef<OsStr>,
{
    stage.trial(stage.asked(program.clone())).says(&["seen"]).holders(&[exe]).run();
    prove_between(stage, program, exe, Identity::Caller);
}

/// Proves it as an unprivileged user, in the mode without capabilities.
fn prove_unprivileged<I>(stage: &Stage, program: I, exe: &Path)
where
    I: IntoIterator + Clone,
    I::Item: AsRef<OsStr>,
{
    prove_between(stage, program, exe, Identity::Unprivileged);
}

/// A shell starts the runtime, the runtime starts a C program.
fn prove_between<I>(stage: &Stage, program: I, exe: &Path, identity: Identity)
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    let shell = interpreter("sh", "dash");
    let leaf = stage.program(Language::C, "check");
    let mut command = stage.asked([shell.as_os_str(), stage.script("check.sh").as_os_str()]);
    command.extend(stage.asked(program));
    command.extend(stage.asked([&leaf]));
    stage.trial(command).identity(identity).says(&["seen", "seen", "seen"]).holders(&[&shell, exe, &leaf]).run();
}
