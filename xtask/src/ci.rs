//! Everything that has to pass, in the order in which it fails fastest; the tests come last,
//! so that cargo's own closing lines close the output.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::repository::Repository;
use crate::{Trouble, say};

/// One program of the run.
struct Step {
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    /// How long it may take, for `timeout(1)`. On two slow CPUs all of it together ends within
    /// half an hour.
    limit: &'static str,
}

const BEFORE_CHECKS: &[Step] = &[
    Step { name: "format", program: "cargo", arguments: &["fmt", "--all", "--check"], limit: "1m" },
    Step {
        name: "lints",
        program: "cargo",
        arguments: &["clippy", "--workspace", "--all-targets", "--all-features", "--locked", "--", "-D", "warnings"],
        limit: "8m",
    },
];

const AFTER_CHECKS: &[Step] = &[
    Step {
        name: "release build",
        program: "cargo",
        arguments: &["build", "--release", "--workspace", "--locked"],
        limit: "8m",
    },
    Step { name: "first command of the README", program: "./try", arguments: &[], limit: "2m" },
    // What the optimiser makes of wiping, and of values on their way, only this shows.
    Step {
        name: "attacks on the release binary",
        program: "cargo",
        arguments: &[
            "test",
            "--release",
            "--locked",
            "--no-fail-fast",
            "--package=envward",
            "--package=envward-secret",
            "--test=attacks",
            "--test=region",
            "--test=vault",
        ],
        limit: "8m",
    },
    Step {
        name: "tests",
        program: "cargo",
        arguments: &["test", "--workspace", "--locked", "--no-fail-fast"],
        limit: "20m",
    },
];

/// Runs everything; the first failure ends it.
pub(crate) fn run() -> Result<(), Trouble> {
    let repository = Repository::here()?;
    for step in BEFORE_CHECKS {
        step.run(&repository)?;
    }
    crate::check()?;
    for step in AFTER_CHECKS {
        step.run(&repository)?;
    }
    Ok(())
}

impl Step {
    fn run(&self, repository: &Repository) -> Result<(), Trouble> {
        let command: Vec<&str> = [self.program].iter().chain(self.arguments).copied().collect();
        say(&format!("ci: {}: {}", self.name, command.join(" ")));
        let began = Instant::now();
        let status = Command::new("timeout")
            .args(["--kill-after=10s", self.limit])
            .args(command)
            .current_dir(repository.root())
            .stdin(Stdio::null())
            .status()
            .map_err(|error| Trouble::new("cannot run timeout", error))?;
        let seconds = began.elapsed().as_secs();
        match status.code() {
            Some(0) => {
                say(&format!("ci: {}: passed in {seconds} s", self.name));
                Ok(())
            }
            Some(124 | 137) => Err(Trouble(format!("{}: not done after {}: stopped", self.name, self.limit))),
            _ => Err(Trouble(format!("{}: failed after {seconds} s", self.name))),
        }
    }
}
