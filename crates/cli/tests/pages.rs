//! Completions, loaded by the shells that they are for, and manual pages.
//!
//! Needs bash, zsh, fish and man.
#![expect(clippy::unwrap_used, reason = "test code: a failed expectation ends the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use envward_testkit::{Room, tool};

fn envward(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_envward")).args(arguments).output().unwrap()
}

fn script(room: &Room, shell: &str) -> String {
    let output = envward(&["completions", shell]);
    assert!(output.status.success(), "{output:?}");
    room.write(&format!("envward.{shell}"), output.stdout, 0o644).to_str().unwrap().to_owned()
}

fn lines(shell: &str, options: &[&str], script: &str) -> Vec<String> {
    let output = Command::new(tool(shell, shell))
        .args(options)
        .arg(script)
        .stdin(Stdio::null())
        .env("TERM", "dumb")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(|line| line.trim().to_owned()).collect()
}

/// What is typed, and candidates for its last word.
const CASES: &[(&[&str], &[&str])] = &[
    (&[""], &["run", "status", "doctor", "scan", "completions"]),
    (&["sc"], &["scan"]),
    (&["run", "--mode", ""], &["full", "supervised", "sealed"]),
    (&["run", "--require", "mem"], &["memfd_secret"]),
    (&["scan", "--fail-on", ""], &["high", "medium", "low", "never"]),
    (&["doctor", "--j"], &["--json"]),
    (&["completions", ""], &["bash", "zsh", "fish"]),
];

#[test]
fn bash_completes() {
    let room = Room::new();
    let script = script(&room, "bash");
    for (words, expected) in CASES {
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let before = words.len().checked_sub(2).map_or("envward", |index| words[index]);
        let ask = format!(
            "source '{script}'; COMP_WORDS=(envward {}); COMP_CWORD={}; _envward envward {} '{before}'; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            quoted.join(" "),
            words.len(),
            quoted.last().unwrap()
        );
        let found = lines("bash", &["--norc", "--noprofile", "-c"], &ask);
        for candidate in *expected {
            assert!(found.iter().any(|line| line == candidate), "{words:?}: {found:?}");
        }
    }
}

#[test]
fn fish_completes() {
    let room = Room::new();
    let script = script(&room, "fish");
    for (words, expected) in CASES {
        let ask = format!("source '{script}'; complete --do-complete 'envward {}'", words.join(" "));
        let found = lines("fish", &["--no-config", "-c"], &ask);
        for candidate in *expected {
            let is_it = |line: &String| line.split('\t').next() == Some(*candidate);
            assert!(found.iter().any(is_it), "{words:?}: {found:?}");
        }
    }
}

/// A zsh of its own, on a pseudo-terminal, in which words are typed and the Tab key is pressed.
#[test]
fn zsh_completes() {
    let room = Room::new();
    let script = script(&room, "zsh");
    let typed = |load: &str, keys: &str| {
        let ask = format!(
            "zmodload zsh/zpty; zpty z zsh -f -i; \
             zpty -w z \"PS1= PS2= RPS1=; unsetopt prompt_cr prompt_sp; autoload -Uz compinit; compinit -D -u; \
             {load} envward() {{ print -r -- RAN:\\$*:; }}; print READY:\"; \
             while zpty -r z line; do [[ $line == READY:* ]] && break; done; \
             zpty -w -n z $'envward {keys}\\n'; \
             while zpty -r z line; do [[ $line == RAN:* ]] && break; done; print -r -- $line; zpty -d z"
        );
        lines("timeout", &["20", tool("zsh", "zsh").to_str().unwrap(), "-f", "-c"], &ask).join(" ")
    };
    let load = format!("source '{script}'; compdef _envward envward;");
    for (keys, expected) in [
        ("doc\\t", "RAN:doctor"),
        ("run --mode sup\\t -- x", "RAN:run --mode supervised"),
        ("run --require memf\\t -- x", "RAN:run --require memfd_secret"),
        ("scan --fail-on nev\\t", "RAN:scan --fail-on never"),
    ] {
        let found = typed(&load, keys);
        assert!(found.contains(expected), "{keys}: {found}");
    }
    let without = typed("", "doc\\t");
    assert!(without.contains("RAN:doc:"), "without the completions: {without}");
}

fn pages(directory: &Path) -> BTreeMap<String, String> {
    let read = |entry: fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path()).unwrap())
    };
    fs::read_dir(directory).unwrap().map(|entry| read(entry.unwrap())).collect()
}

#[test]
fn the_manual_pages_are_those_of_this_command_line() {
    let room = Room::new();
    let output = envward(&["man", room.path().to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let written = pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../man"));
    let now = pages(room.path());
    for name in written.keys().chain(now.keys()) {
        assert!(written.get(name) == now.get(name), "man/{name} is stale: run `cargo xtask man`");
    }
    for name in ["envward.1", "envward-run.1", "envward-doctor.1", "envward-scan.1"] {
        assert!(now.contains_key(name), "{name}");
    }
}

#[test]
fn man_shows_the_pages_without_complaint() {
    let man = tool("man", "man-db");
    for (name, page) in pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../man")) {
        let path = format!("{}/../../man/{name}", env!("CARGO_MANIFEST_DIR"));
        let output = Command::new(&man)
            .args(["--warnings", "-l", &path])
            .env("MANPAGER", "cat")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!warnings.contains("warning"), "{name}: {warnings}");
        assert!(page.starts_with(".ie") || page.contains(".TH"), "{name}");
    }
}

/// `--help`, the completions and the pages know the same options.
#[test]
fn every_option_of_the_help_is_in_the_page() {
    for subcommand in ["run", "status", "doctor", "scan"] {
        let help = String::from_utf8(envward(&[subcommand, "--help"]).stdout).unwrap();
        let path = format!("{}/../../man/envward-{subcommand}.1", env!("CARGO_MANIFEST_DIR"));
        let page = fs::read_to_string(path).unwrap().replace('\\', "");
        let options = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2);
        for option in options.map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-')) {
            assert!(page.contains(option), "{subcommand}: {option}");
        }
    }
}
