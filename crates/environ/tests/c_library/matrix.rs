//! The crash matrix, a second a row. `cargo xtask crash-matrix` runs it for a minute a
//! row, and each row without the library until it fails.

use std::process::Command;
use std::sync::Mutex;

use super::harness::{Libc, Program};

fn run(program: &Program, row: &str, seconds: u32, with: bool) -> (bool, String) {
    let template = if with { program.preloaded() } else { program.command() };
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "60"]).arg(program.path()).args([row, &seconds.to_string()]);
    for (name, value) in template.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.output().unwrap();
    (output.status.success(), format!("{row}: {}", String::from_utf8_lossy(&output.stdout).trim()))
}

/// The rows measure nothing if they keep each other from running.
static ALONE: Mutex<()> = Mutex::new(());

fn run_all(libc: Libc, link: &str, wanted: &[&str]) {
    let _alone = ALONE.lock();
    // The children search PATH for a program of this name.
    let program = match link {
        "preloaded" => Program::new("matrix", libc),
        _ => Program::linked("matrix", libc, link),
    };
    let directory = program.path().parent().unwrap().join(format!("matrix-{libc:?}-{link}"));
    std::fs::create_dir_all(&directory).unwrap();
    let named = directory.join("matrix");
    std::fs::copy(program.path(), &named).unwrap();
    let listing = program.command().arg("list").output().unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    let rows: Vec<_> = listing.lines().filter(|row| wanted.is_empty() || wanted.contains(row)).collect();
    assert!(rows.len() >= wanted.len().max(4), "{rows:?}");
    let mut failures = Vec::new();
    for row in rows {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "100"]).arg(&named).args([row, "1"]);
        if link == "preloaded" {
            command.env("LD_PRELOAD", super::library());
        }
        let output = command.output().unwrap();
        if !output.status.success() {
            failures.push(format!("{row}: {} {}", output.status, String::from_utf8_lossy(&output.stdout)));
        }
    }
    assert_eq!(failures, [""; 0]);
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn no_row_fails_with_the_library_on_glibc() {
    run_all(Libc::Glibc, "preloaded", &[]);
}

#[test]
fn no_row_fails_with_the_library_on_a_newer_glibc() {
    run_all(Libc::Newer, "preloaded", &[]);
}

#[test]
fn no_row_fails_with_the_library_on_musl() {
    run_all(Libc::Musl, "preloaded", &[]);
}

/// One row of each kind. Without the options of pkg-config `posix_spawn`, `system` and `popen`
/// are libc's own in a static program, and a child may see two variables of two instants.
#[test]
fn no_row_fails_in_static_programs() {
    for libc in [Libc::Glibc, Libc::Musl] {
        run_all(libc, "static", &["getenv-hit", "walk", "tzset", "fork-setenv", "exec", "handler-setenv"]);
        run_all(libc, "wrapped", &["posix_spawn-middle", "posix_spawnp", "system", "popen"]);
    }
}

/// The rows can fail: without the library the host's libc does, in each way that is counted, and
/// a newer one still in some.
#[test]
fn rows_fail_without_the_library() {
    let _alone = ALONE.lock();
    for (libc, rows) in [
        (Libc::Glibc, &["tzset", "walk", "posix_spawn", "fork-setenv", "handler-setenv"][..]),
        (Libc::Newer, &["posix_spawn", "pidfd_spawn"]),
    ] {
        let program = Program::new("matrix", libc);
        for row in rows {
            let failed = (0..30).any(|_| !run(&program, row, 2, false).0);
            assert!(failed, "{libc:?}: {row} never failed without the library");
        }
    }
}
