//! libenvward from C: on the machine's glibc, on Debian 13's and on musl, preloaded, linked
//! dynamically and statically.
//!
//! Needs gcc, musl-tools (for `musl-gcc`), binutils, pkg-config and, for set-user-ID programs,
//! root and setpriv (util-linux). Debian 13's glibc is fetched (`cargo xtask glibc-2.41`).

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code: a failed expectation ends the test")]

mod corners;
mod harness;
mod hazards;
mod matrix;
mod package;
mod symbols;

use harness::{Libc, Program, library};

#[test]
fn the_interface_keeps_its_promises() {
    for libc in [Libc::Glibc, Libc::Musl] {
        for link in ["dynamic", "static", "wrapped"] {
            let program = Program::linked("interface", libc, link);
            let output = program.command().output().unwrap();
            assert!(output.status.success(), "{libc:?} {link}: {output:?}");
        }
    }
    let output = Program::linked("interface", Libc::Newer, "dynamic").command().output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Random operations print the same with the library and without it.
#[test]
fn operations_look_as_on_the_host() {
    for libc in [Libc::Glibc, Libc::Newer, Libc::Musl] {
        let program = Program::new("differential", libc);
        for seed in 1..=25 {
            let arguments = [seed.to_string(), "2000".to_owned()];
            let host = program.command().args(&arguments).output().unwrap();
            let ours = program.preloaded().args(&arguments).output().unwrap();
            assert!(host.status.success() && ours.status.success(), "{libc:?} seed {seed}: {ours:?}");
            assert!(host.stdout.len() > 10_000);
            let (host, ours) = (String::from_utf8_lossy(&host.stdout), String::from_utf8_lossy(&ours.stdout));
            for (line, (one, other)) in host.lines().zip(ours.lines()).enumerate() {
                assert_eq!(one, other, "{libc:?} seed {seed} line {}", line + 1);
            }
            assert_eq!(host.lines().count(), ours.lines().count());
        }
    }
}

fn growth(program: &Program, what: &str) -> (i64, i64) {
    let output = program.preloaded().args([what, "1000000"]).output().unwrap();
    assert!(output.status.success(), "{what}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    (words[1].parse().unwrap(), words[3].parse().unwrap())
}

#[test]
fn a_million_changes_run_in_constant_memory() {
    for libc in [Libc::Glibc, Libc::Newer, Libc::Musl] {
        let program = Program::new("memory", libc);
        for what in ["distinct", "pairs", "overwrite", "getenv"] {
            let (resident, mapped) = growth(&program, what);
            assert!(resident < 1 << 20, "{libc:?} {what}: {resident} bytes resident");
            assert!(mapped < 1 << 20, "{libc:?} {what}: {mapped} bytes mapped");
        }
    }
}

/// The measurement sees a leak: glibc keeps every value for ever.
#[test]
fn the_measurement_of_memory_sees_the_leak_of_glibc() {
    for libc in [Libc::Glibc, Libc::Newer] {
        let output = Program::new("memory", libc).command().args(["distinct", "1000000"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let resident: i64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(resident > 1 << 20, "{libc:?} {resident}");
    }
}

/// Programs as they are start under the library and hand variables on.
#[test]
fn programs_run_under_the_library() {
    for (program, arguments) in [
        ("sh", ["-c", "export V=x; sh -c 'printf %s $V'"]),
        ("bash", ["-c", "V=x bash -c 'printf %s $V'"]),
        ("perl", ["-e", "$ENV{V}='x'; print `printf %s \\$V`"]),
        ("python3", ["-c", "import os; os.environ['V']='x'; os.system('printf %s $V')"]),
    ] {
        let output = std::process::Command::new(program)
            .args(arguments)
            .env("LD_PRELOAD", library())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error} (apt-get install {program})"));
        assert_eq!(output.stdout, b"x", "{program}: {output:?}");
    }
}
