//! The runner's own tests: guests in which something goes wrong in every way that matters, each
//! of which has to be found out, and one in which all is well.

use std::time::Duration;

use envward_guest::manifest::{Manifest, TESTS, Test};

use crate::guest::boot::{self, Machine};
use crate::guest::kernel::KERNELS;
use crate::guest::{Workshop, build, image::Image, verdict};
use crate::{Trouble, say};

/// The binary that misbehaves, as a test.
const BINARY: &str = "misbehave";

/// A guest.
struct Case {
    name: &'static str,
    /// Its tests, each named after what it does.
    tests: &'static [&'static str],
    /// What to boot instead of init.
    instead_of_init: &'static str,
    /// After which it counts as hanging.
    seconds: u64,
    /// What has to be found; nothing if it has to pass.
    found: &'static [&'static str],
}

/// Enough for a boot on a busy machine.
const ENOUGH: u64 = 120;

const CASES: &[Case] = &[
    Case { name: "all is well", tests: &["passes"], instead_of_init: "", seconds: ENOUGH, found: &[] },
    Case {
        name: "tests fail, hang and do nothing",
        tests: &["fails", "hangs", "runs_no_test", "passes"],
        instead_of_init: "",
        seconds: ENOUGH,
        found: &[
            "init says that it failed",
            "misbehave fails: exit status 101",
            "misbehave hangs: not done after 2 s",
            "misbehave runs_no_test: ended well, but no test was run",
        ],
    },
    Case {
        name: "the kernel panics",
        tests: &["panics"],
        instead_of_init: "",
        seconds: ENOUGH,
        found: &["QEMU's status 0", "misbehave panics was not reported", "closing record"],
    },
    Case {
        name: "a test switches the machine off",
        tests: &["powers_off"],
        instead_of_init: "",
        seconds: ENOUGH,
        found: &["QEMU's status 0", "misbehave powers_off was not reported"],
    },
    Case {
        name: "a test ends the machine early, as if all had passed",
        tests: &["claims_success", "passes"],
        instead_of_init: "",
        seconds: ENOUGH,
        found: &["misbehave claims_success was not reported", "misbehave passes was not reported", "closing record"],
    },
    Case {
        name: "nothing is reported, as if all had passed",
        tests: &["passes"],
        instead_of_init: "claims_success",
        seconds: ENOUGH,
        found: &["init never said that it runs", "misbehave passes was not reported"],
    },
    Case {
        name: "init hangs",
        tests: &["passes"],
        instead_of_init: "hangs",
        seconds: 25,
        found: &["not done after 25 s", "misbehave passes was not reported"],
    },
];

/// Boots all cases; a line for each that was not found out.
pub(super) fn run(workshop: &Workshop) -> Result<Vec<String>, Trouble> {
    // The runner is the same for each; the first boots fastest.
    let Some(kernel) = KERNELS.first() else { return Ok(Vec::new()) };
    let program = build::misbehave(workshop)?;
    let mut failures = Vec::new();
    for case in CASES {
        let tests = case.tests.iter().map(|name| {
            let seconds = if *name == "hangs" { 2 } else { 20 };
            Test { binary: BINARY.to_owned(), name: (*name).to_owned(), seconds }
        });
        let manifest = Manifest { expected: Vec::new(), tests: tests.collect() };
        let mut image = Image::new(workshop)?;
        image.built(&format!("{TESTS}/{BINARY}"), &program)?;
        image.text("/guest/manifest", &manifest.to_string());
        let instead = match case.instead_of_init {
            "" => String::new(),
            how => format!("rdinit={TESTS}/{BINARY} -- {how}"),
        };
        let console = workshop.path("self-test.console");
        let machine = Machine {
            kernel: &kernel.fetch(workshop)?,
            image: &image.write(&workshop.path("self-test.cpio"))?,
            command_line: &instead,
            limit: Duration::from_secs(case.seconds),
            console: &console,
        };
        let report = machine.run(&mut |_| {})?;
        let problems = verdict::judge(&manifest, &report);
        let missed: Vec<&str> = case
            .found
            .iter()
            .copied()
            .filter(|found| !problems.iter().any(|problem| problem.contains(found)))
            .collect();
        let well = missed.is_empty() && problems.is_empty() == case.found.is_empty();
        say(&format!("guest self-test: {}: {}", case.name, if well { "ok" } else { "FAILED" }));
        if !well {
            say(&format!("  not found: {missed:?}; found: {problems:?}; {:?}", report.ending));
            boot::show_end_of(&console);
            failures.push(format!("self-test: {}", case.name));
        }
    }
    Ok(failures)
}
