//! The table under ThreadSanitizer and AddressSanitizer, the C programs under valgrind.

use std::path::Path;
use std::process::Command;

use super::build::{self, Libc, succeed};
use crate::repository::Repository;
use crate::{Trouble, say};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Runs all of it; the first finding ends it.
pub(crate) fn run() -> Result<(), Trouble> {
    let repository = Repository::here()?;
    for sanitizer in ["thread", "address"] {
        say(&format!("sanitize: {sanitizer}"));
        sanitized(&repository, sanitizer)?;
    }
    interface(&repository)?;
    valgrind(&repository)
}

/// The C interface in a program that is instrumented, linked with the library statically.
fn interface(repository: &Repository) -> Result<(), Trouble> {
    let archive = build::library(repository)?.with_extension("a").display().to_string();
    let directory = build::directory(repository, "sanitized")?;
    for option in ["-fsanitize=address", "-fsanitize=thread"] {
        say(&format!("sanitize: gcc {option} interface"));
        let binary = build::program(repository, Libc::Glibc, "interface", &[option, "-g", &archive], &directory)?;
        succeed(Command::new(binary).env("ASAN_OPTIONS", "detect_leaks=0"))?;
    }
    Ok(())
}

/// The stress tests of `envward-environ` and the unit tests of the table, built with a
/// sanitizer. `RUSTC_BOOTSTRAP` opens the unstable option on the stable compiler; the standard
/// library is not instrumented, hence the switch about the ABI.
fn sanitized(repository: &Repository, sanitizer: &str) -> Result<(), Trouble> {
    let flags = format!("-Zsanitizer={sanitizer} -Cunsafe-allow-abi-mismatch=sanitizer");
    let directory = repository.root().join("target").join(sanitizer);
    let suppressions = repository.root().join("crates/environ/tests/tsan.supp");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(repository.root())
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", flags)
        .env("CARGO_TARGET_DIR", directory)
        .env("TSAN_OPTIONS", format!("halt_on_error=1:suppressions={}", suppressions.display()))
        // Memory that is given up stays on lists that the leak check cannot follow.
        .env("ASAN_OPTIONS", "detect_leaks=0")
        .args(["test", "--locked", "--target", TARGET, "--package", "envward-environ", "--test", "stress"]);
    succeed(&mut cargo)
}

fn valgrind(repository: &Repository) -> Result<(), Trouble> {
    let library = build::library(repository)?;
    let directory = build::directory(repository, "valgrind")?;
    let link = [
        format!("-L{}", library.parent().unwrap_or(Path::new(".")).display()),
        "-lenvward".to_owned(),
        format!("-Wl,-rpath,{}", library.parent().unwrap_or(Path::new(".")).display()),
    ];
    let link: Vec<&str> = link.iter().map(String::as_str).collect();
    for (program, options, arguments) in [
        ("interface", &link[..], &[][..]),
        ("differential", &[][..], &["7", "3000"][..]),
        ("memory", &[][..], &["distinct", "20000"][..]),
    ] {
        say(&format!("sanitize: valgrind {program}"));
        let binary = build::program(repository, Libc::Glibc, program, options, &directory)?;
        let mut valgrind = Command::new("valgrind");
        valgrind
            .env("LD_PRELOAD", &library)
            .args(["--quiet", "--error-exitcode=99", "--trace-children=no"])
            .arg(binary)
            .args(arguments)
            .stdout(std::process::Stdio::null());
        succeed(&mut valgrind)?;
    }
    Ok(())
}
