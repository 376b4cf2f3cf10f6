//! Everything that has to pass, in the order in which it fails fastest; the tests come last,
//! so that cargo's own closing lines close the output.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::repository::Repository;
use crate::{Trouble, say};

/// One program of the run.
struct Step {
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

/// How long all of it may take. With the packages that are installed before, it ends within
/// half an hour on two CPUs.
const BUDGET: Duration = Duration::from_secs(27 * 60);

const BEFORE_CHECKS: &[Step] = &[
    Step { name: "format", program: "cargo", arguments: &["fmt", "--all", "--check"] },
    Step {
        name: "lints",
        program: "cargo",
        arguments: &["clippy", "--workspace", "--all-targets", "--all-features", "--locked", "--", "-D", "warnings"],
    },
    Step {
        // Not among all targets, because `cargo test` is to leave them alone.
        name: "lints of tests for guests",
        program: "cargo",
        arguments: &["clippy", "--workspace", "--test=guest_*", "--all-features", "--locked", "--", "-D", "warnings"],
    },
];

const AFTER_CHECKS: &[Step] = &[
    Step { name: "release build", program: "cargo", arguments: &["build", "--release", "--workspace", "--locked"] },
    Step {
        name: "Debian package",
        program: "cargo",
        arguments: &["run", "--quiet", "--locked", "--package=xtask", "--", "deb"],
    },
    Step { name: "first command of the README", program: "./try", arguments: &[] },
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
    },
    Step { name: "fuzz targets", program: "fuzz/all", arguments: &[] },
    Step { name: "tests", program: "cargo", arguments: &["test", "--workspace", "--locked", "--no-fail-fast"] },
];

/// Runs everything. Up to the checks the first failure ends it; after them each step tells
/// something of its own, and the first failure is the one that is reported.
pub(crate) fn run() -> Result<(), Trouble> {
    let repository = Repository::here()?;
    let deadline = Instant::now() + BUDGET;
    for step in BEFORE_CHECKS {
        step.run(&repository, deadline)?;
    }
    crate::check()?;
    let mut done = Ok(());
    for step in AFTER_CHECKS {
        done = done.and(step.run(&repository, deadline));
    }
    done
}

impl Step {
    fn run(&self, repository: &Repository, deadline: Instant) -> Result<(), Trouble> {
        let command: Vec<&str> = [self.program].iter().chain(self.arguments).copied().collect();
        say(&format!("ci: {}: {}", self.name, command.join(" ")));
        let began = Instant::now();
        // `timeout 0` would be no limit.
        let left = deadline.saturating_duration_since(began).as_secs().max(1);
        let status = Command::new("timeout")
            .args(["--kill-after=10s", &left.to_string()])
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
            Some(124 | 137) => {
                let budget = BUDGET.as_secs() / 60;
                Err(Trouble(format!("{}: stopped: all of it may take {budget} minutes", self.name)))
            }
            _ => Err(Trouble(format!("{}: failed after {seconds} s", self.name))),
        }
    }
}
