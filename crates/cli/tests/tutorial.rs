//! Executes `docs/tutorial.md`: the lines of its `console` blocks that begin with `$ `, with the
//! lines that follow up to the output, in one shell and an empty directory; the outputs have to be
//! what the document says. `…` stands for any text in a line, alone in a line for any lines.
//!
//! Needs root, bash, git, python3 and perl.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use envward_testkit::{Room, blocks, require_root, tool};

const PAGE: &str = include_str!("../../../docs/tutorial.md");
/// Between the outputs of two commands.
const MARK: &str = "--- next command ---";

/// A command as it is typed, and the output that the document shows.
struct Step {
    line: usize,
    command: String,
    output: Vec<String>,
}

/// The commands of the document. A here-document belongs to its command.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in blocks(page).into_iter().filter(|block| block.language == "console") {
        let mut inside = false;
        for (index, line) in block.text.lines().enumerate() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) if !inside => {
                    inside = command.contains("<<'END'");
                    steps.push(Step { line: block.line + index + 1, command: command.to_owned(), output: Vec::new() });
                }
                (_, Some(step)) if inside => {
                    let _ = write!(step.command, "\n{line}");
                    inside = line != "END";
                }
                (_, Some(step)) => step.output.push(line.to_owned()),
                (_, None) => {}
            }
        }
    }
    steps
}

/// Whether lines are as a pattern has them.
fn fits(pattern: &[String], lines: &[&str]) -> bool {
    match (pattern.split_first(), lines.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "…" => {
            fits(rest, lines) || lines.split_first().is_some_and(|(_, later)| fits(pattern, later))
        }
        (Some((first, rest)), Some((line, later))) => line_fits(first, line) && fits(rest, later),
        _ => false,
    }
}

fn line_fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        if index + 1 == parts.len() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

#[test]
fn every_command_does_what_the_tutorial_says() {
    require_root("the full mode");
    for (name, package) in [("git", "git"), ("python3", "python3"), ("perl", "perl")] {
        let _ = tool(name, package);
    }
    let steps = steps(PAGE);
    assert!(steps.len() > 25, "{} commands", steps.len());
    let room = Room::new();
    let _ = room.place_as(Path::new(env!("CARGO_BIN_EXE_envward")), "envward");
    let work = room.path().join("work");
    std::fs::create_dir(&work).unwrap();
    // Job control off, so that nothing is said of jobs that end.
    let mut script = format!("exec 2>&1\nnext() {{ local status=$?; echo '{MARK}'; return $status; }}\n");
    for step in &steps {
        let _ = writeln!(script, "{}\nnext", step.command);
    }
    let output = Command::new(tool("bash", "bash"))
        .args(["--norc", "--noprofile", "-c", &script])
        .current_dir(&work)
        .env_clear()
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", room.path().display()))
        .env("HOME", &work)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    for step in &steps {
        let said: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with(MARK)).collect();
        assert!(fits(&step.output, &said), "docs/tutorial.md:{}: $ {}\n{}", step.line, step.command, said.join("\n"));
    }
}

#[test]
fn patterns_stand_for_what_differs_only() {
    let fit = |pattern: &str, text: &str| {
        let pattern: Vec<String> = pattern.lines().map(str::to_owned).collect();
        fits(&pattern, &text.lines().collect::<Vec<_>>())
    };
    assert!(fit("a … c", "a b c") && fit("…\nx\n…", "1\n2\nx") && fit("", "") && fit("…", ""));
    assert!(!fit("a … c", "a b d") && !fit("x", "x\ny") && !fit("x\ny", "x") && !fit("a…", "b"));
}
