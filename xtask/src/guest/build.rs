//! The programs of a guest: test binaries named `guest_…`, what they ask for in their package's
//! `Cargo.toml`, and init.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use envward_guest::manifest::{PROGRAMS, TESTS, Test};
use serde::Deserialize;

use crate::guest::Workshop;
use crate::guest::image::Image;
use crate::guest::kernel::KERNELS;
use crate::repository::Repository;
use crate::{Trouble, say};

/// What the names of test targets for guests begin with.
const PREFIX: &str = "guest_";

/// Where init is built, so that its own flags leave everything else alone.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What a test binary needs, `[package.metadata.guest.NAME]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Needs {
    /// The boots that it runs in.
    boots: Vec<String>,
    /// Binaries of the workspace, by their names.
    binaries: Vec<String>,
    /// Packages of the workspace whose shared libraries to build; they are among the programs.
    libraries: Vec<String>,
    /// Commands of this machine.
    commands: Vec<String>,
    /// Programs to compile: sources (below the package's directory) and compiler options.
    c: BTreeMap<String, Vec<String>>,
    /// Files in the guest, each with its source below the package's directory.
    files: BTreeMap<String, String>,
    /// The seconds that one test may take.
    seconds: u64,
    /// Whether it leaves the kernel in a state that other tests cannot bear.
    pub(super) last: bool,
}

impl Default for Needs {
    fn default() -> Self {
        Self {
            boots: vec!["standard".to_owned()],
            binaries: Vec::new(),
            libraries: Vec::new(),
            commands: Vec::new(),
            c: BTreeMap::new(),
            files: BTreeMap::new(),
            seconds: 60,
            last: false,
        }
    }
}

/// A test binary, built.
#[derive(Debug)]
pub(super) struct Suite {
    name: String,
    package: PathBuf,
    executable: PathBuf,
    /// What was built for it besides, by the name that it gets.
    programs: BTreeMap<String, PathBuf>,
    /// What it needs.
    pub(super) needs: Needs,
    /// Its tests that were asked for.
    pub(super) tests: Vec<Test>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    #[serde(default)]
    metadata: Option<PackageMetadata>,
}

#[derive(Debug, Deserialize)]
struct PackageMetadata {
    #[serde(default)]
    guest: BTreeMap<String, Needs>,
}

#[derive(Clone, Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    test: bool,
}

/// A line of `cargo build --message-format=json`.
#[derive(Debug, Deserialize)]
struct Message {
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
}

impl Suite {
    /// Builds the binaries with tests that match one of `filters` (all, if there are none), and
    /// what they need.
    pub(super) fn load(repository: &Repository, filters: &[String]) -> Result<Vec<Self>, Trouble> {
        let packages = Metadata::load(repository)?.packages;
        let mut wanted: Vec<(&Package, &Target)> = Vec::new();
        for package in &packages {
            package.judge()?;
            let targets = package.targets.iter().filter(|target| target.is_for_guests());
            // A filter that names no binary may name a test in any.
            wanted.extend(targets.map(|target| (package, target)));
        }
        let named = |target: &Target| filters.iter().any(|filter| filter.split("::").next() == Some(&target.name));
        if !filters.is_empty() && filters.iter().all(|filter| filter.starts_with(PREFIX)) {
            wanted.retain(|(_, target)| named(target));
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut cargo = vec!["test".to_owned(), "--no-run".to_owned()];
        for (package, target) in &wanted {
            cargo.extend([format!("--package={}", package.name), format!("--test={}", target.name)]);
        }
        let built = run_cargo(repository, &cargo)?;
        let mut suites = Vec::new();
        for (package, target) in wanted {
            let executable = find(&built, "test", &target.name)?;
            let needs = package.needs(&target.name);
            let tests = list(&executable, &target.name, needs.seconds)?;
            let matches = |test: &Test| {
                let name = format!("{}::{}", test.binary, test.name);
                filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
            };
            let all = tests.len();
            let tests: Vec<Test> = tests.into_iter().filter(matches).collect();
            if all == 0 {
                return Err(Trouble(format!("guest: {} has no test", target.name)));
            }
            if !tests.is_empty() {
                suites.push(Self {
                    name: target.name.clone(),
                    package: package.manifest_path.with_file_name(""),
                    executable,
                    programs: BTreeMap::new(),
                    needs,
                    tests,
                });
            }
        }
        build_binaries(repository, &packages, &mut suites)?;
        build_libraries(repository, &mut suites)?;
        let directory = repository.root().join("target/guest/programs");
        for suite in &mut suites {
            suite.compile(&directory)?;
        }
        Ok(suites)
    }

    /// Whether it belongs to boots of this name.
    pub(super) fn runs_in(&self, variant: &str) -> bool {
        self.needs.boots.iter().any(|boot| boot == variant)
    }

    /// Puts everything into an image.
    pub(super) fn pack(&self, image: &mut Image) -> Result<(), Trouble> {
        image.built(&format!("{TESTS}/{}", self.name), &self.executable)?;
        for (name, path) in &self.programs {
            image.built(&format!("{PROGRAMS}/{name}"), path)?;
        }
        for name in &self.needs.commands {
            image.command(name)?;
        }
        for (place, source) in &self.needs.files {
            image.file(place, &self.package.join(source))?;
        }
        Ok(())
    }

    fn compile(&mut self, directory: &Path) -> Result<(), Trouble> {
        for (name, words) in &self.needs.c {
            let directory = directory.join(&self.name);
            std::fs::create_dir_all(&directory).map_err(|error| Trouble::new(directory.display(), error))?;
            let output = directory.join(name);
            let compiled = Command::new("cc")
                .args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"])
                .arg(&output)
                .args(words)
                .current_dir(&self.package)
                .output()
                .map_err(|error| Trouble::new("cc: apt-get install gcc libc6-dev", error))?;
            if !compiled.status.success() {
                return Err(Trouble::new(format!("guest: cc {name}"), String::from_utf8_lossy(&compiled.stderr)));
            }
            self.programs.insert(name.clone(), output);
        }
        Ok(())
    }
}

impl Metadata {
    fn load(repository: &Repository) -> Result<Self, Trouble> {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--no-deps", "--locked"])
            .current_dir(repository.root())
            .output()
            .map_err(|error| Trouble::new("cargo metadata", error))?;
        if !output.status.success() {
            return Err(Trouble::new("cargo metadata", String::from_utf8_lossy(&output.stderr).trim()));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| Trouble::new("cargo metadata", error))
    }
}

impl Package {
    fn needs(&self, target: &str) -> Needs {
        self.metadata.as_ref().and_then(|metadata| metadata.guest.get(target)).cloned().unwrap_or_default()
    }

    /// Whether what its manifest says of guests can be true.
    fn judge(&self) -> Result<(), Trouble> {
        let wrong = |what: String| Err(Trouble(format!("guest: {}: {what}", self.manifest_path.display())));
        for target in self.targets.iter().filter(|target| target.is_for_guests()) {
            if target.test {
                return wrong(format!(
                    "{0} would be run by `cargo test`: add [[test]] name = \"{0}\", test = false",
                    target.name
                ));
            }
        }
        for (name, needs) in self.metadata.iter().flat_map(|metadata| &metadata.guest) {
            if !self.targets.iter().any(|target| target.is_for_guests() && target.name == *name) {
                return wrong(format!("there is no test target {name} for guests"));
            }
            let known =
                |boot: &String| KERNELS.iter().any(|kernel| kernel.variants.iter().any(|variant| variant.name == boot));
            if let Some(boot) = needs.boots.iter().find(|boot| !known(boot)) {
                return wrong(format!("{name}: there is no boot {boot}"));
            }
            if needs.boots.is_empty() {
                return wrong(format!("{name} is in no boot"));
            }
        }
        Ok(())
    }
}

impl Target {
    fn is(&self, kind: &str) -> bool {
        self.kind.iter().any(|found| found == kind)
    }

    fn is_for_guests(&self) -> bool {
        self.is("test") && self.name.starts_with(PREFIX)
    }
}

/// Builds every binary that one of the suites asks for, in one go.
fn build_binaries(repository: &Repository, packages: &[Package], suites: &mut [Suite]) -> Result<(), Trouble> {
    let names: BTreeSet<String> = suites.iter().flat_map(|suite| suite.needs.binaries.iter().cloned()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let mut cargo = vec!["build".to_owned()];
    for name in &names {
        let package = packages
            .iter()
            .find(|package| package.targets.iter().any(|target| target.is("bin") && target.name == *name));
        let package = package.ok_or_else(|| Trouble(format!("guest: no package has a binary {name}")))?;
        cargo.extend([format!("--package={}", package.name), format!("--bin={name}")]);
    }
    let built = run_cargo(repository, &cargo)?;
    for suite in &mut *suites {
        for name in &suite.needs.binaries {
            suite.programs.insert(name.clone(), find(&built, "bin", name)?);
        }
    }
    Ok(())
}

/// Builds the shared libraries of every package that one of the suites asks for.
fn build_libraries(repository: &Repository, suites: &mut [Suite]) -> Result<(), Trouble> {
    for suite in suites {
        for package in &suite.needs.libraries {
            let cargo = ["build".to_owned(), format!("--package={package}"), "--lib".to_owned()];
            let built = run_cargo(repository, &cargo)?;
            let libraries =
                built.iter().map(|(_, path)| path).filter(|path| path.extension().is_some_and(|e| e == "so"));
            let before = suite.programs.len();
            for library in libraries {
                let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
                suite.programs.insert(name, library.clone());
            }
            if suite.programs.len() == before {
                return Err(Trouble(format!("guest: {package} has no shared library")));
            }
        }
    }
    Ok(())
}

/// Runs cargo; what it has built.
fn run_cargo(repository: &Repository, arguments: &[String]) -> Result<Vec<(Target, PathBuf)>, Trouble> {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).args(["--quiet", "--locked", "--message-format=json-render-diagnostics"]);
    build(command.current_dir(repository.root()))
}

fn build(command: &mut Command) -> Result<Vec<(Target, PathBuf)>, Trouble> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Trouble::new("guest: cargo", error))?;
    if !output.status.success() {
        return Err(Trouble(format!("guest: the programs for the guest cannot be built: {}", output.status)));
    }
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let mut built = Vec::new();
    for message in messages {
        let Some(target) = message.target else { continue };
        let libraries = message.filenames.into_iter().filter(|_| target.is("cdylib"));
        built.extend(message.executable.into_iter().chain(libraries).map(|path| (target.clone(), path)));
    }
    Ok(built)
}

fn find(built: &[(Target, PathBuf)], kind: &str, name: &str) -> Result<PathBuf, Trouble> {
    let found = built.iter().find(|(target, _)| target.is(kind) && target.name == name);
    found.map(|(_, path)| path.clone()).ok_or_else(|| Trouble(format!("guest: cargo has built no {kind} {name}")))
}

/// The tests of a binary, as its harness lists them, ignored ones too.
fn list(executable: &Path, name: &str, seconds: u64) -> Result<Vec<Test>, Trouble> {
    let output = Command::new(executable)
        .args(["--list", "--format=terse", "--include-ignored"])
        .output()
        .map_err(|error| Trouble::new(executable.display(), error))?;
    if !output.status.success() {
        return Err(Trouble::new(executable.display(), "its tests cannot be listed"));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(names.map(|test| Test { binary: name.to_owned(), name: test.to_owned(), seconds }).collect())
}

/// Init, static: it has to say what is wrong even where nothing else works.
pub(super) fn init(workshop: &Workshop) -> Result<PathBuf, Trouble> {
    find(&static_programs(workshop)?, "bin", "envward-guest-init")
}

/// The program that does everything wrong, static too.
pub(super) fn misbehave(workshop: &Workshop) -> Result<PathBuf, Trouble> {
    find(&static_programs(workshop)?, "bin", "envward-guest-misbehave")
}

fn static_programs(workshop: &Workshop) -> Result<Vec<(Target, PathBuf)>, Trouble> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--quiet", "--locked", "--package=envward-guest", "--bins", "--target", TARGET])
        .args(["--message-format=json-render-diagnostics", "--target-dir"])
        .arg(workshop.path("build"))
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    build(&mut command).inspect_err(|_| say("guest: a static program needs libc.a: apt-get install libc6-dev"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(json: &str) -> Package {
        let text = format!(
            "{{\"name\":\"p\",\"manifest_path\":\"/p/Cargo.toml\",\"metadata\":{{\"guest\":{json}}},\
             \"targets\":[{{\"name\":\"guest_a\",\"kind\":[\"test\"],\"test\":false}}]}}"
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_target_may_say_what_it_needs() {
        let package = package(r#"{"guest_a":{"binaries":["envward"],"seconds":5,"boots":["without-secretmem"]}}"#);
        assert!(package.judge().is_ok());
        let needs = package.needs("guest_a");
        assert_eq!((needs.seconds, &*needs.binaries[0], &*needs.boots[0]), (5, "envward", "without-secretmem"));
        assert_eq!(package.needs("guest_b").boots, ["standard"]);
    }

    #[test]
    fn what_cannot_be_true_is_found() {
        for (json, what) in [
            (r#"{"guest_b":{}}"#, "no test target guest_b"),
            (r#"{"guest_a":{"boots":["other"]}}"#, "no boot other"),
            (r#"{"guest_a":{"boots":[]}}"#, "in no boot"),
        ] {
            let error = package(json).judge().unwrap_err();
            assert!(error.0.contains(what), "{error}");
        }
        let mut run_by_cargo = package("{}");
        run_by_cargo.targets[0].test = true;
        assert!(run_by_cargo.judge().unwrap_err().0.contains("test = false"));
    }
}
