//! Real programs whose environment crashes are known, without the library and with it.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::build::{self, Libc, succeed};
use crate::repository::Repository;
use crate::{Trouble, say};

const SOURCES: &str = "crates/preload/programs/real";

struct Case {
    name: &'static str,
    command: Vec<PathBuf>,
    /// Whether resolv.conf keeps changing beside it, so that glibc's resolver reads the
    /// environment every time and not only the first time.
    churn: bool,
}

/// Runs each program several times without the library and as often with it.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Trouble> {
    let runs: u32 = match arguments {
        [] => 5,
        ["--runs", runs] => runs.parse().map_err(|error| Trouble::new("--runs", error))?,
        _ => return Err(Trouble("real-programs takes --runs N".to_owned())),
    };
    let repository = Repository::here()?;
    let directory = build::directory(&repository, "real")?;
    let library = build::library_copy(&repository, &directory)?;
    let churn = build::program(&repository, Libc::Glibc, "matrix", &[], &directory)?;
    say("| program | alone, of 5 s runs | with libenvward |\n| --- | --- | --- |");
    let mut failed = Vec::new();
    for case in cases(&repository, &directory)? {
        let alone = count(&case, &churn, None, runs)?;
        let with = count(&case, &churn, Some(&library), runs)?;
        say(&format!("| {} | {alone} of {runs} died | {with} of {runs} died |", case.name));
        if with > 0 {
            failed.push(case.name);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Trouble(format!("died with the library: {}", failed.join(", ")))) }
}

fn cases(repository: &Repository, directory: &Path) -> Result<Vec<Case>, Trouble> {
    let sources = repository.root().join(SOURCES);
    let time = directory.join("time02");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--manifest-path"]).arg(sources.join("time02/Cargo.toml"));
    succeed(cargo.arg("--target-dir").arg(&time))?;
    let sockets = directory.join("sockets");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2021", "-O", "-o"]).arg(&sockets).arg(sources.join("sockets.rs"));
    succeed(&mut rustc)?;
    let resolver = directory.join("resolver");
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&resolver).arg(sources.join("resolver.go"));
    succeed(go.env("CGO_ENABLED", "1").env("GO111MODULE", "off"))?;
    Ok(vec![
        Case { name: "Rust, time 0.2.22 (CVE-2020-26235)", command: vec![time.join("debug/time02")], churn: false },
        Case { name: "Rust, ToSocketAddrs and set_var", command: vec![sockets], churn: true },
        Case {
            name: "Node, dns.lookup and process.env",
            command: vec!["node".into(), sources.join("dns.js")],
            churn: true,
        },
        Case { name: "Go, cgo resolver and os.Setenv", command: vec![resolver], churn: true },
        Case {
            name: "CPython, getaddrinfo and os.environ",
            command: vec!["python3".into(), sources.join("resolver.py")],
            churn: true,
        },
    ])
}

/// How many runs end by a signal.
fn count(case: &Case, churn: &Path, library: Option<&Path>, runs: u32) -> Result<u32, Trouble> {
    let mut died = 0;
    for _ in 0..runs {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "30"]).env("GODEBUG", "netdns=cgo");
        if let Some(library) = library {
            command.env("LD_PRELOAD", library);
        }
        if case.churn {
            command.arg(churn).arg("churn");
        }
        let status = command
            .args(&case.command)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|error| Trouble::new(case.name, error))?;
        match status.code() {
            Some(0) => {}
            // Go turns a signal into status 2; timeout(1) into 128 and its number.
            Some(2 | 128..) => died += 1,
            None if status.signal().is_some() => died += 1,
            other => return Err(Trouble::new(case.name, format!("status {other:?}"))),
        }
    }
    Ok(died)
}
