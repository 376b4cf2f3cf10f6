//! Builds the library and the C programs that exercise it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::newer::Glibc;
use crate::Trouble;
use crate::repository::Repository;

/// A C library to build programs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Libc {
    /// The machine's.
    Glibc,
    /// That of Debian 13.
    Newer,
    Musl,
}

impl Libc {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Glibc => "glibc",
            Self::Newer => "glibc-2.41",
            Self::Musl => "musl",
        }
    }

    fn compiler(self) -> &'static str {
        match self {
            Self::Glibc | Self::Newer => "gcc",
            Self::Musl => "musl-gcc",
        }
    }
}

/// The release build of the shared library.
pub(crate) fn library(repository: &Repository) -> Result<PathBuf, Trouble> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--locked", "--package", "envward-preload"]);
    succeed(cargo.current_dir(repository.root()))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.root().join("target"), PathBuf::from);
    Ok(target.join("release/libenvward.so"))
}

/// A copy of the release build, for long runs: a build in between would take the library away
/// from a program that is just starting.
pub(crate) fn library_copy(repository: &Repository, directory: &Path) -> Result<PathBuf, Trouble> {
    let copy = directory.join("libenvward.so");
    std::fs::copy(library(repository)?, &copy).map_err(|error| Trouble::new(copy.display(), error))?;
    Ok(copy)
}

/// A program of crates/preload/programs, compiled into `directory`.
pub(crate) fn program(
    repository: &Repository,
    libc: Libc,
    name: &str,
    options: &[&str],
    directory: &Path,
) -> Result<PathBuf, Trouble> {
    let output = directory.join(name);
    let linked: &[String] = match libc {
        Libc::Newer => &Glibc::fetch(repository)?.link_options(),
        Libc::Glibc | Libc::Musl => &[],
    };
    let mut compiler = Command::new(libc.compiler());
    compiler
        .args(["-O2", "-pthread", "-w", "-I"])
        .arg(repository.root().join("crates/preload/include"))
        .arg("-o")
        .arg(&output)
        .arg(repository.root().join("crates/preload/programs").join(format!("{name}.c")))
        .args(options)
        .args(linked);
    succeed(&mut compiler)?;
    Ok(output)
}

/// A directory for programs, below the build directory; `tests` have their own.
pub(crate) fn directory(repository: &Repository, name: &str) -> Result<PathBuf, Trouble> {
    let place = repository.root().join("target/environ").join(name);
    std::fs::create_dir_all(&place).map_err(|error| Trouble::new(place.display(), error))?;
    Ok(place)
}

/// Runs a command that must succeed.
pub(crate) fn succeed(command: &mut Command) -> Result<(), Trouble> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .map_err(|error| Trouble::new(format!("cannot run {name} (apt-get install gcc musl-tools valgrind)"), error))?;
    if status.success() { Ok(()) } else { Err(Trouble::new(format!("{command:?}"), status)) }
}
