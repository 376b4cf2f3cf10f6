//! The preload tier, where ptrace is refused by a seccomp filter.
//!
//! Needs gcc, musl-tools and python3.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code: a failed expectation ends the test")]

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory with envward, its library, a program that refuses ptrace and an env file.
struct Room {
    directory: tempfile::TempDir,
    /// The library to link statically.
    archive: PathBuf,
    secret: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn succeed(command: &mut Command) {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error} (apt-get install gcc musl-tools)"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Room {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        succeed(
            Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--release", "--locked", "--package", "envward-preload"])
                .current_dir(root()),
        );
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        fs::copy(target.join("release/libenvward.so"), directory.path().join("libenvward.so")).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_envward"), directory.path().join("envward")).unwrap();
        succeed(
            Command::new("gcc")
                .arg("-o")
                .arg(directory.path().join("no_ptrace"))
                .arg(root().join("tests/programs/c/no_ptrace.c")),
        );
        let mut random = [0; 16];
        fs::File::open("/dev/urandom").unwrap().read_exact(&mut random).unwrap();
        let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(directory.path().join("env"), format!("PT_SECRET={secret}\n")).unwrap();
        fs::set_permissions(directory.path().join("env"), fs::Permissions::from_mode(0o600)).unwrap();
        let archive = target.canonicalize().unwrap().join("release/libenvward.a");
        Self { directory, archive, secret }
    }

    fn run(&self, options: &[&str], command: &[&str]) -> Output {
        Command::new(self.directory.path().join("no_ptrace"))
            .arg(self.directory.path().join("envward"))
            .args(["run", "--no-config", "--env-file"])
            .arg(self.directory.path().join("env"))
            .args(options)
            .arg("--")
            .args(command)
            .env("PT_HASH", self.hash())
            .output()
            .unwrap()
    }

    /// What a program compares its secret with, so that the test need not pass the secret.
    fn hash(&self) -> String {
        let mut sum: u64 = 0;
        for byte in self.secret.bytes() {
            sum = (sum * 257 + u64::from(byte)) % 1_000_000_007;
        }
        sum.to_string()
    }
}

/// Looks at every environ from this process up to the first of the tree, and at its own value.
const LOOK: &str = r#"
import os, sys
value = os.environ["PT_SECRET"]
sum = 0
for byte in value.encode():
    sum = (sum * 257 + byte) % 1000000007
assert str(sum) == os.environ["PT_HASH"], "another value"
pid = os.getpid()
while True:
    with open(f"/proc/{pid}/environ", "rb") as file:
        assert value.encode() not in file.read(), "an environ holds the secret"
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    name = open(f"/proc/{pid}/comm").read().strip()
    if name in ("no_ptrace", "cargo") or int(fields[1]) <= 1:
        break
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        try:
            assert "secretmem" not in os.readlink(f"/proc/{pid}/fd/{descriptor}"), "an open descriptor"
        except FileNotFoundError:
            pass
    parent = int(fields[1])
    if "PT_SECRET" not in open(f"/proc/{parent}/cmdline").read() and b"ENVWARD_SECRETS=" not in open(f"/proc/{parent}/environ", "rb").read():
        break
    pid = parent
print("well")
"#;

#[test]
fn without_ptrace_the_injected_tier_refuses_and_the_preload_tier_delivers() {
    let room = Room::new();
    let injected = room.run(&["--mode", "supervised"], &["true"]);
    assert_eq!(injected.status.code(), Some(125), "ptrace was not refused: {injected:?}");
    let look = ["python3", "-c", LOOK];
    let output = room.run(&["--tier", "preload"], &look);
    assert_eq!(output.stdout, b"well\n", "{}", String::from_utf8_lossy(&output.stderr));
}

/// Descendants have the secret and a clean environ, however they were started.
#[test]
fn descendants_take_it_over_in_the_same_way() {
    let room = Room::new();
    let look = room.directory.path().join("look.py");
    fs::write(&look, LOOK).unwrap();
    let look = look.display();
    for script in [
        format!("python3 {look}"),
        format!("export PT_SECRET; sh -c 'python3 {look}; true'"),
        format!("bash -c 'bash -c \"python3 {look}; true\"; true'"),
        format!("env python3 {look}"),
        format!("perl -e 'system(\"python3 {look}\")'"),
        format!("perl -e 'print `python3 {look}`'"),
        format!("python3 -c 'import os; os.system(\"python3 {look}\")'"),
        format!("python3 -c 'import subprocess; subprocess.run([\"python3\", \"{look}\"])'"),
        format!(
            "python3 -c 'import os; os.posix_spawnp(\"python3\", [\"python3\", \"{look}\"], os.environ); os.wait()'"
        ),
        format!("echo {look} | xargs python3"),
    ] {
        let output = room.run(&["--tier", "preload"], &["sh", "-c", &script]);
        assert_eq!(output.stdout, b"well\n", "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A newer libc has more functions that start a program; its children have the secret and a clean
/// environ too. (Debian 13's libc is fetched.)
#[test]
fn children_of_a_newer_libc_take_it_over_in_the_same_way() {
    let room = Room::new();
    let fetched = Command::new(env!("CARGO")).args(["xtask", "glibc-2.41"]).current_dir(root()).output().unwrap();
    let text = String::from_utf8(fetched.stdout).unwrap();
    assert!(fetched.status.success(), "Debian 13's glibc: {text}{}", String::from_utf8_lossy(&fetched.stderr));
    let libc = text.lines().next_back().unwrap();
    let program = room.directory.path().join("handed");
    succeed(
        Command::new("gcc")
            .arg("-o")
            .arg(&program)
            .arg(root().join("crates/preload/programs/handed.c"))
            .arg(format!("-Wl,--dynamic-linker={libc}/ld-linux-x86-64.so.2,--disable-new-dtags,-rpath,{libc}")),
    );
    let program = program.display().to_string();
    for function in ["posix_spawn", "posix_spawnp", "pidfd_spawn", "pidfd_spawnp"] {
        let output = room.run(&["--tier", "preload"], &[&program, function]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "2.41: there, clean\n", "{function}: {error}");
    }
}

/// The library in a program with injected secrets, preloaded or linked statically: they stay
/// where they are, what replaces them is locked, and `environ` hands them on. The supervisor
/// keeps every environ clean as ever.
#[test]
fn injected_secrets_are_recognised_by_the_library() {
    let room = Room::new();
    let look = room.directory.path().join("look.py");
    fs::write(&look, LOOK).unwrap();
    let archive = room.archive.display().to_string();
    for (compiler, options) in [("gcc", &[][..]), ("gcc", &["-static", &archive]), ("musl-gcc", &["-static", &archive])]
    {
        let program = room.directory.path().join("injected");
        succeed(
            Command::new(compiler)
                .arg("-o")
                .arg(&program)
                .arg(root().join("crates/preload/programs/injected.c"))
                .args(options),
        );
        let preload = if options.is_empty() {
            format!("LD_PRELOAD={}", room.directory.path().join("libenvward.so").display())
        } else {
            "UNUSED=".to_owned()
        };
        let output = Command::new(room.directory.path().join("envward"))
            .args(["run", "--no-config", "--quiet", "--mode", "supervised", "--env-file"])
            .arg(room.directory.path().join("env"))
            .args(["--", "env", &preload])
            .arg(&program)
            .args(["PT_SECRET", &format!("python3 {}", look.display())])
            .env("PT_HASH", room.hash())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "well\n".repeat(4), "{compiler} {options:?}: {error}");
        assert!(output.status.success(), "{compiler} {options:?}: {error}");
    }
}

#[test]
fn what_the_tier_cannot_keep_is_refused() {
    let room = Room::new();
    for options in [&["--tier", "preload", "--mode", "full"][..], &["--tier", "other"]] {
        assert_eq!(room.run(options, &["true"]).status.code(), Some(125));
    }
    assert_eq!(room.run(&["--tier", "preload"], &["/nonexistent"]).status.code(), Some(127));
    assert_eq!(room.run(&["--tier", "preload"], &["/etc/passwd"]).status.code(), Some(126));
    assert_eq!(room.run(&["--tier", "preload"], &["sh", "-c", "exit 7"]).status.code(), Some(7));
    fs::remove_file(room.directory.path().join("libenvward.so")).unwrap();
    assert_eq!(room.run(&["--tier", "preload"], &["true"]).status.code(), Some(125));
}
