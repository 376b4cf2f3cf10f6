//! What the library exports and what it needs.

use std::process::Command;

use super::harness::library;

fn symbols(options: &[&str]) -> Vec<String> {
    let output = Command::new("nm")
        .args(options)
        .arg(library())
        .output()
        .unwrap_or_else(|error| panic!("nm: {error} (apt-get install binutils)"));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
}

/// New functions carry the library's version. The ones that stand before libc's have none: with
/// one the dynamic linker would pass them over.
#[test]
fn exports_are_versioned_as_they_must_be() {
    let defined = symbols(&["--dynamic", "--defined-only"]);
    for name in ["env_lookup", "env_release", "env_replace_all", "env_iter", "env_next", "env_iter_close", "getenv_r"] {
        assert!(defined.contains(&format!("{name}@@ENVWARD_0.1")), "{name} in {defined:?}");
    }
    for name in "getenv secure_getenv setenv unsetenv putenv clearenv execve execv execvp execvpe execl execlp execle \
                 fexecve posix_spawn posix_spawnp pidfd_spawn pidfd_spawnp system popen pclose wordexp"
        .split_whitespace()
    {
        assert!(defined.contains(&name.to_owned()), "{name} in {defined:?}");
    }
    assert!(!defined.iter().any(|name| name == "environ" || name == "__environ"), "{defined:?}");
}

/// Every function that a program can call has a manual page, and no page is left over.
#[test]
fn every_function_has_a_manual_page() {
    let pages: Vec<String> = std::fs::read_dir(super::harness::root().join("crates/preload/man/man3"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut expected = Vec::new();
    for symbol in symbols(&["--dynamic", "--defined-only"]) {
        match symbol.split_once('@') {
            // What the functions are made of, and the name of the version itself.
            _ if symbol.starts_with("envward_") || symbol.starts_with("ENVWARD_") => {}
            Some((name, _)) => expected.push(format!("{name}.3")),
            None => expected.push(format!("envward_{symbol}.3")),
        }
    }
    assert!(expected.len() >= 27, "{expected:?}");
    for page in &expected {
        assert!(pages.contains(page), "no manual page {page}");
    }
    for page in &pages {
        assert!(expected.contains(page), "{page} describes nothing that is there");
        let output = Command::new("man")
            .args(["--warnings=w", "--local-file"])
            .arg(page)
            .current_dir(super::harness::root().join("crates/preload/man/man3"))
            .env("MANPATH", "..")
            .output()
            .unwrap_or_else(|error| panic!("man: {error} (apt-get install man-db)"));
        assert!(output.status.success() && output.stderr.is_empty(), "{page}: {output:?}");
    }
}

/// One object for both libcs: everything that it needs is in musl too.
#[test]
fn needs_only_what_both_libcs_have() {
    let musl = Command::new("nm").args(["--dynamic", "--defined-only", "/lib/ld-musl-x86_64.so.1"]).output().unwrap();
    let musl = String::from_utf8(musl.stdout).unwrap();
    assert!(musl.len() > 10_000, "no musl (apt-get install musl)");
    for needed in symbols(&["--dynamic", "--undefined-only"]) {
        let name = needed.split('@').next().unwrap();
        let optional = name.starts_with("_ITM_") || name == "__gmon_start__";
        assert!(
            optional || musl.lines().any(|line| line.split_whitespace().next_back() == Some(name)),
            "{name} is not in musl"
        );
    }
}
