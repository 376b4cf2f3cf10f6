//! The crash matrix: every row first without the library, until it fails, then with it.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::build::{self, Libc};
use super::newer::Glibc;
use crate::repository::Repository;
use crate::{Trouble, say};

/// Runs without the library until one fails, unless told otherwise, and their length in seconds.
const TRIES: u32 = 30;
const TRY_SECONDS: u32 = 3;

struct Options<'a> {
    seconds: u32,
    rows: Vec<&'a str>,
    libc: Libc,
    tries: u32,
    only_with: bool,
}

fn parse<'a>(arguments: &[&'a str]) -> Result<Options<'a>, Trouble> {
    let mut options = Options { seconds: 60, rows: Vec::new(), libc: Libc::Glibc, tries: TRIES, only_with: false };
    let mut rest = arguments;
    while !rest.is_empty() {
        rest = match *rest {
            ["--seconds", seconds, ref more @ ..] => {
                options.seconds = seconds.parse().map_err(|error| Trouble::new("--seconds", error))?;
                more
            }
            ["--rows", rows, ref more @ ..] => {
                options.rows = rows.split(',').collect();
                more
            }
            ["--libc", libc, ref more @ ..] => {
                let known = [Libc::Glibc, Libc::Newer, Libc::Musl].into_iter().find(|known| known.name() == libc);
                options.libc = known.ok_or_else(|| Trouble::new("--libc", format!("what is {libc}?")))?;
                more
            }
            ["--only-with", ref more @ ..] => {
                options.only_with = true;
                more
            }
            ["--tries", tries, ref more @ ..] => {
                options.tries = tries.parse().map_err(|error| Trouble::new("--tries", error))?;
                more
            }
            _ => return Err(Trouble::new("crash-matrix", format!("what is {}?", rest[0]))),
        };
    }
    Ok(options)
}

/// Runs the matrix and prints it as a table.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Trouble> {
    let options = parse(arguments)?;
    let repository = Repository::here()?;
    let directory = build::directory(&repository, options.libc.name())?;
    let library = build::library_copy(&repository, &directory)?;
    let program = build::program(&repository, options.libc, "matrix", &[], &directory)?;
    let listing = Command::new(&program).arg("list").output().map_err(|error| Trouble::new("matrix list", error))?;
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    let rows: Vec<&str> = listing.lines().filter(|row| options.rows.is_empty() || options.rows.contains(row)).collect();
    let name = match options.libc {
        Libc::Newer => format!("glibc {}", Glibc::fetch(&repository)?.version),
        Libc::Glibc | Libc::Musl => options.libc.name().to_owned(),
    };
    say(&format!("| row | {name} alone | with libenvward, {} s |\n| --- | --- | --- |", options.seconds));
    let mut failed = Vec::new();
    for row in rows {
        let alone = if options.only_with { "not run".to_owned() } else { alone(&program, row, options.tries)? };
        let with = once(&program, row, options.seconds, Some(&library))?;
        say(&format!("| {row} | {alone} | {} |", with.text));
        if !with.passed {
            failed.push(row);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Trouble(format!("failed with the library: {}", failed.join(", ")))) }
}

struct Outcome {
    passed: bool,
    text: String,
}

/// Without the library: until the first failure.
fn alone(program: &Path, row: &str, tries: u32) -> Result<String, Trouble> {
    for attempt in 1..=tries {
        let outcome = once(program, row, TRY_SECONDS, None)?;
        if !outcome.passed {
            return Ok(format!("{} (run {attempt} of {TRY_SECONDS} s)", outcome.text));
        }
    }
    Ok(format!("no failure in {tries} runs of {TRY_SECONDS} s"))
}

fn once(program: &Path, row: &str, seconds: u32, library: Option<&Path>) -> Result<Outcome, Trouble> {
    let mut command = Command::new("timeout");
    // The program watches itself; this is for one that is stopped or starved for a while.
    command.arg("--signal=KILL").arg((seconds + 200).to_string());
    if let Some(library) = library {
        command.arg("env").arg(format!("LD_PRELOAD={}", library.display()));
    }
    let output = command
        .arg(program)
        .args([row, &seconds.to_string()])
        .stderr(Stdio::null())
        .output()
        .map_err(|error| Trouble::new("cannot run timeout", error))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let text = match (output.status.code(), output.status.signal()) {
        (Some(0 | 2), _) => text,
        (Some(9), _) => "hang".to_owned(),
        // timeout(1) gives a death by signal back as 128 and the signal's number.
        (Some(137), _) | (_, Some(9)) => "hang, killed".to_owned(),
        (Some(code), _) if code > 128 => format!("died of signal {}", code - 128),
        (_, Some(signal)) => format!("died of signal {signal}"),
        (code, _) => return Err(Trouble::new(format!("matrix {row}"), format!("status {code:?}"))),
    };
    Ok(Outcome { passed: output.status.success(), text })
}
