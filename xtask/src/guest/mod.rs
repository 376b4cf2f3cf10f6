//! `cargo xtask guest`: tests on stock Debian kernels, each boot a QEMU without KVM.
//!
//! What a test may ask for and how to write one is in docs/guest-tests.md. A run passes only
//! if every boot ended with the exit status that init alone sets, a closing record, and every
//! packed test reported once and as passed; see [`verdict`].

mod boot;
mod build;
mod cpio;
mod image;
mod kernel;
mod options;
mod self_test;
mod verdict;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use envward_guest::manifest::Manifest;
use envward_guest::record::Record;

use self::boot::{Ending, Machine};
use self::build::Suite;
use self::image::Image;
use self::kernel::{Kernel, Variant};
use self::options::Options;
use crate::repository::Repository;
use crate::{Trouble, say};

/// The longest that one boot may take, whatever its tests ask for.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// What a boot may take beside its tests.
const BOOTING: Duration = Duration::from_secs(120);

/// Runs what the arguments ask for.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Trouble> {
    let options = match Options::parse(arguments)? {
        Some(options) => options,
        None => {
            say(options::USAGE);
            return Ok(());
        }
    };
    let repository = Repository::here()?;
    let workshop = Workshop::open(&repository)?;
    boot::find_qemu()?;
    let mut failures = Vec::new();
    if options.self_test {
        failures.extend(self_test::run(&workshop)?);
    }
    let suites = match options.tests {
        true => Suite::load(&repository, &options.filters)?,
        false => Vec::new(),
    };
    if options.tests && suites.is_empty() {
        return Err(Trouble("guest: no test matches".to_owned()));
    }
    let mut boots = 0;
    for kernel in &options.kernels {
        for variant in kernel.variants.iter().filter(|variant| options.has_variant(variant)) {
            let manifest = manifest(variant, &suites);
            if !manifest.tests.is_empty() {
                boots += 1;
                failures.extend(boot(&workshop, kernel, variant, &suites, &manifest)?);
            }
        }
    }
    if options.tests && boots == 0 {
        return Err(Trouble("guest: no kernel was to run any of the tests".to_owned()));
    }
    if failures.is_empty() { Ok(()) } else { Err(Trouble(format!("guest: failed: {}", failures.join(", ")))) }
}

/// Where everything for guests is kept, used by one run at a time.
struct Workshop {
    directory: PathBuf,
    _lock: File,
}

impl Workshop {
    fn open(repository: &Repository) -> Result<Self, Trouble> {
        let directory = repository.root().join("target/guest");
        let failed = |error| Trouble::new(directory.display(), error);
        fs::create_dir_all(&directory).map_err(failed)?;
        let lock = File::create(directory.join("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(Self { directory, _lock: lock })
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.join(name)
    }
}

/// What a boot runs. What cannot be undone comes last.
fn manifest(variant: &Variant, suites: &[Suite]) -> Manifest {
    let mut manifest = Manifest { expected: variant.expected.to_vec(), tests: Vec::new() };
    for last in [false, true] {
        for suite in suites.iter().filter(|suite| suite.needs.last == last && suite.runs_in(variant.name)) {
            manifest.tests.extend(suite.tests.iter().cloned());
        }
    }
    manifest
}

/// Runs one boot; a line for it if it failed.
fn boot(
    workshop: &Workshop,
    kernel: &Kernel,
    variant: &Variant,
    suites: &[Suite],
    manifest: &Manifest,
) -> Result<Option<String>, Trouble> {
    let name = format!("{}-{}", kernel.series, variant.name);
    let mut image = Image::new(workshop)?;
    for suite in suites.iter().filter(|suite| suite.runs_in(variant.name)) {
        suite.pack(&mut image)?;
    }
    image.text("/guest/manifest", &manifest.to_string());
    let wanted: u64 = manifest.tests.iter().map(|test| test.seconds).sum();
    let machine = Machine {
        kernel: &kernel.fetch(workshop)?,
        image: &image.write(&workshop.path(format!("{name}.cpio")))?,
        command_line: variant.command_line,
        limit: LONGEST.min(BOOTING + Duration::from_secs(wanted)),
        console: &workshop.path(format!("{name}.console")),
    };
    say(&format!("guest {name}: {} tests, {}", manifest.tests.len(), variant.about));
    let began = Instant::now();
    let mut show = Show { name: &name, held: Vec::new() };
    let report = machine.run(&mut |record| show.take(record))?;
    let problems = verdict::judge(manifest, &report);
    let seconds = began.elapsed().as_secs();
    let release = report.release().unwrap_or("unknown kernel").to_owned();
    if problems.is_empty() {
        say(&format!("guest {name}: {release}: {} tests passed in {seconds} s", manifest.tests.len()));
        return Ok(None);
    }
    for problem in &problems {
        say(&format!("guest {name}: {release}: {problem}"));
    }
    if !matches!(report.ending, Ending::Exited(code) if code == envward_guest::exit_status(envward_guest::FAILED)) {
        boot::show_end_of(machine.console);
    }
    say(&format!("guest {name}: {release}: FAILED after {seconds} s"));
    Ok(Some(name))
}

/// Shows a report as it comes; a test's output after its result.
struct Show<'a> {
    name: &'a str,
    held: Vec<String>,
}

impl Show<'_> {
    fn take(&mut self, record: &Record) {
        let name = self.name;
        match record {
            Record::Begin { release, modules } => {
                say(&format!("guest {name}: kernel {release}, security modules {modules}"));
            }
            Record::Output(line) => self.held.push(line.clone()),
            Record::Done { binary, test, milliseconds, failure } => {
                let result = failure.as_ref().map_or("ok".to_owned(), |reason| format!("FAILED: {reason}"));
                say(&format!("guest {name}: {binary} {test}: {result} ({milliseconds} ms)"));
                for line in self.held.drain(..) {
                    say(&format!("  {line}"));
                }
            }
            Record::Fact { .. } | Record::Start { .. } | Record::Broken(_) | Record::End { .. } => {}
        }
    }
}
