//! The environment: what the program would have had anyway, untouched and in
//! order, and the secrets.

use std::collections::BTreeMap;
use std::fs;

use super::{equal, same};
use crate::stage::case::{ALL, Case, DIRECT, DIRECT_USER, FULL_USER, SEALED, SUPERVISING};
use crate::stage::job::{Ended, Start};
use crate::stage::{Secrets, stage};

/// The entries that the program walks over, in order.
fn entries(start: impl Fn(&std::path::Path) -> Start, case: &Case) -> Vec<Vec<u8>> {
    let file = stage().scratch(case.uid).join("environment");
    let ended = start(&file).ended();
    assert_eq!(ended, Ended::Exit(0), "{}", case.name);
    let mut bytes = fs::read(&file).expect("environment");
    // Every record ends with NUL, so what follows the last one is nothing.
    assert!(bytes.pop().is_none_or(|last| last == 0), "unterminated record");
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

fn name(entry: &[u8]) -> &[u8] {
    entry.split(|byte| *byte == b'=').next().unwrap_or_default()
}

fn is_secret(entry: &[u8]) -> bool {
    Secrets::NAMES.iter().any(|secret| name(entry) == secret.as_bytes())
}

/// The ordinary entries as text, and how often each secret's name occurs.
fn split(all: &[Vec<u8>]) -> (Vec<String>, BTreeMap<String, usize>) {
    let mut secrets = BTreeMap::new();
    for entry in all.iter().filter(|entry| is_secret(entry)) {
        *secrets.entry(String::from_utf8_lossy(name(entry)).into_owned()).or_default() += 1;
    }
    let ordinary = all.iter().filter(|entry| !is_secret(entry));
    (ordinary.map(|entry| entry.escape_ascii().to_string()).collect(), secrets)
}

/// Compares the environment of a program started with exactly `given`.
fn compare(given: &[&str]) {
    let observe = |case: &Case, second: bool| {
        let all = entries(
            |file| {
                let probe = stage().program("probe");
                let mut command: Vec<&std::ffi::OsStr> = Vec::new();
                if second {
                    // env(1) hands its environment on as it is.
                    command.push("/usr/bin/env".as_ref());
                }
                command.extend([probe.as_os_str(), "environment".as_ref(), file.as_os_str()]);
                let mut start = Start::new(case, command);
                for entry in given {
                    start = start.with(format!("env={entry}"));
                }
                start
            },
            case,
        );
        let (ordinary, secrets) = split(&all);
        let wanted = usize::from(case.mode.is_some() && !(second && *case == SEALED));
        for secret in Secrets::NAMES {
            assert_eq!(secrets.get(secret).copied().unwrap_or(0), wanted, "{}: times that {secret} occurs", case.name);
        }
        ordinary
    };
    let given: Vec<String> = given.iter().map(|entry| entry.as_bytes().escape_ascii().to_string()).collect();
    equal(&ALL, &given, |case| observe(case, false));
    equal(&SUPERVISING, &given, |case| observe(case, true));
}

#[test]
fn ordinary_entries_in_order() {
    compare(&["PATH=/usr/bin:/bin", "HOME=/", "TERM=dumb", "B=2", "A=1"]);
}

#[test]
fn duplicates_and_odd_entries_stay() {
    compare(&[
        "PATH=/bin",
        "A=1",
        "noequals",
        "A=2",
        "=weird",
        "EMPTY=",
        "A=1",
        "==",
        "X=a=b",
        "",
        "LONG NAME=x",
        "é=ü",
    ]);
}

#[test]
fn variables_that_a_privileged_loader_would_remove_stay() {
    // The copy with a file capability starts in secure-execution mode, where
    // the loader drops these; the program it starts is not privileged.
    compare(&[
        "PATH=/bin",
        "TMPDIR=/tmp",
        "LOCPATH=/nowhere",
        "MALLOC_TRACE=/nowhere",
        "TZDIR=/usr/share/zoneinfo",
        "RES_OPTIONS=x",
        "HOSTALIASES=/nowhere",
        "LD_LIBRARY_PATH=/nowhere",
        "GCONV_PATH=/nowhere",
        "NLSPATH=x",
    ]);
}

#[test]
fn many_and_long_entries() {
    let many: Vec<String> = (0..3_000).map(|i| format!("VARIABLE_{i}={}", "x".repeat(i % 50))).collect();
    let mut all: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = format!("LONG={}", "y".repeat(100_000));
    all.push(&long);
    compare(&all);
}

#[test]
fn no_environment_at_all() {
    equal(&ALL, &Vec::<String>::new(), |case| {
        let all = entries(
            |file| {
                let probe = stage().program("probe");
                Start::new(case, [probe.as_os_str(), "environment".as_ref(), file.as_os_str()])
                    .before(["/usr/bin/env", "-i"])
            },
            case,
        );
        split(&all).0
    });
}

#[test]
fn the_kernels_view_is_that_of_a_direct_start() {
    let given = ["PATH=/bin", "A=1", "A=2", "noequals"];
    same(
        &ALL,
        |case| {
            let mut start = Start::probe(case, ["wait"]);
            for entry in given {
                start = start.with(format!("env={entry}"));
            }
            let mut job = start.spawn();
            let program = job.up();
            kernels_view(&program.as_raw_nonzero().to_string())
        },
        |seen| assert_eq!(*seen, given),
    );
}

#[test]
fn a_secret_replaces_an_inherited_variable_of_its_name() {
    for case in ALL {
        let all = entries(
            |file| {
                let probe = stage().program("probe");
                Start::new(&case, [probe.as_os_str(), "environment".as_ref(), file.as_os_str()])
                    .with("env=DB_PASSWORD=outdated")
                    .with("env=B=1")
                    .with("env=DB_PASSWORD=older")
            },
            &case,
        );
        let (ordinary, secrets) = split(&all);
        assert_eq!(ordinary, ["B=1"], "{}", case.name);
        assert_eq!(secrets.get("DB_PASSWORD"), Some(&1), "{}", case.name);
        let outdated = all.iter().filter(|entry| entry.ends_with(b"=outdated") || entry.ends_with(b"=older"));
        assert_eq!(outdated.count(), 0, "{}", case.name);
    }
}

/// Does the program, or one that it starts, find the value?
fn finds(case: &Case, before: &[&str], name: &str) -> Ended {
    let secrets = Secrets::new(case.uid);
    let value = secrets.value_file(name);
    let probe = stage().program("probe");
    let mut command: Vec<&std::ffi::OsStr> = before.iter().map(std::ffi::OsStr::new).collect();
    command.extend([probe.as_os_str(), "holds".as_ref(), name.as_ref(), value.as_os_str()]);
    let mut start = Start::new(case, &command);
    if case.mode.is_none() {
        // The direct start has the value in its plain environment.
        let value = String::from_utf8(secrets.value(name)).expect("hexadecimal");
        start = start.variable(name, value);
    } else {
        start = start.secrets(secrets);
    }
    start.ended()
}

#[test]
fn the_program_finds_its_secrets() {
    for secret in Secrets::NAMES {
        equal(&ALL, &Ended::Exit(0), |case| finds(case, &[], secret));
    }
}

#[test]
fn later_programs_find_the_secrets() {
    let chains: [&[&str]; 6] = [
        &["/usr/bin/env"],
        &["sh", "-c", "\"$@\"; exit $?", "sh"],
        &["bash", "-c", "exec \"$@\"", "bash"],
        &["nice", "nohup", "env", "timeout", "20"],
        &["sh", "-c", "sh -c \"sh -c '\\\"\\$@\\\"; exit \\$?' sh \\\"\\$@\\\"\" sh \"$@\"; exit $?", "sh"],
        &["setsid", "-w"],
    ];
    for chain in chains {
        equal(&SUPERVISING, &Ended::Exit(0), |case| finds(case, chain, "API_TOKEN"));
    }
}

#[test]
fn the_probe_can_tell_a_wrong_value() {
    for case in [DIRECT, DIRECT_USER].iter().chain(&ALL) {
        let other = Secrets::new(case.uid);
        let probe = stage().program("probe");
        let file = other.value_file("API_TOKEN");
        let ended =
            Start::new(case, [probe.as_os_str(), "holds".as_ref(), "API_TOKEN".as_ref(), file.as_os_str()]).ended();
        assert_eq!(ended, Ended::Exit(1), "{}", case.name);
    }
}

#[test]
fn a_sealed_programs_children_get_no_secret() {
    let seen = finds(&SEALED, &["sh", "-c", "\"$@\"; exit $?", "sh"], "API_TOKEN");
    assert_ne!(seen, Ended::Exit(0));
}

#[test]
fn pids_in_the_environment_are_the_programs_own() {
    // sd_listen_fds(3) and sd_watchdog_enabled(3) compare them with getpid().
    let expected = ["A=1", "LISTEN_PID=own", "LISTEN_FDS=1", "WATCHDOG_PID=own", "WATCHDOG_USEC=5000000", "Z=1"]
        .map(str::to_owned)
        .to_vec();
    let given = ["A=1", "LISTEN_PID=@PID", "LISTEN_FDS=1", "WATCHDOG_PID=@PID", "WATCHDOG_USEC=5000000", "Z=1"];
    equal(&ALL, &expected, |case| environment_by_pid(case, &given));
}

#[test]
fn pids_of_others_in_the_environment_are_left_alone() {
    let given = ["LISTEN_PID=1", "WATCHDOG_PID=1", "LISTEN_PID=x", "OTHER_PID=@PID"];
    same(
        &ALL,
        |case| {
            let mut seen = environment_by_pid(case, &given);
            // Not one of the names that mean the program itself.
            seen.truncate(3);
            seen
        },
        |seen| assert_eq!(*seen, ["LISTEN_PID=1", "WATCHDOG_PID=1", "LISTEN_PID=x"]),
    );
}

/// The environment as the program finds it, with its pid as `own`.
fn environment_by_pid(case: &Case, given: &[&str]) -> Vec<String> {
    let file = stage().scratch(case.uid).join("environment");
    let mut start = Start::probe(case, ["environment".as_ref(), file.as_os_str()]);
    for entry in given {
        start = start.with(format!("env={entry}"));
    }
    let mut job = start.spawn();
    let pid = job.up().as_raw_nonzero().to_string();
    assert_eq!(job.wait(), Ended::Exit(0), "{}", case.name);
    let bytes = fs::read(&file).expect("environment");
    let entries = bytes.split(|byte| *byte == 0).filter(|entry| !entry.is_empty() && !is_secret(entry));
    entries.map(|entry| entry.escape_ascii().to_string().replace(&pid, "own")).collect()
}

/// The strings that `/proc/PID/environ` shows, fit for a message.
fn kernels_view(pid: &str) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).expect("environ");
    let Some((_, bytes)) = bytes.split_last() else {
        return Vec::new();
    };
    let printable = |entry: &[u8]| match is_secret(entry) {
        true => format!("{}=(a secret)", name(entry).escape_ascii()),
        false => entry.escape_ascii().to_string(),
    };
    bytes.split(|byte| *byte == 0).map(printable).collect()
}

#[test]
fn arguments_come_through_whatever_they_are() {
    let long = "z".repeat(100_000);
    let mut arguments =
        vec!["report", "report", "", "two words", "a\nb", "--", "-x", "--mode", "é", "*", "$HOME", &long];
    let many: Vec<String> = (0..1_000).map(|i| i.to_string()).collect();
    arguments.extend(many.iter().map(String::as_str));
    same(
        &ALL,
        |case| {
            let scratch = stage().scratch(case.uid);
            let ended = Start::probe(case, &arguments).within(&scratch).ended();
            assert_eq!(ended, Ended::Exit(0), "{}", case.name);
            let text = crate::stage::job::read(scratch.join("report"));
            text.lines().take_while(|line| !line.starts_with("fd ")).map(str::to_owned).collect::<Vec<_>>()
        },
        |lines| assert!(lines.len() > arguments.len(), "{}", lines.len()),
    );
}

#[test]
fn the_copy_with_a_capability_does_not_hand_it_on() {
    let capabilities = |case: &Case| {
        let output = Start::new(case, ["grep", "^Cap[IPEA]", "/proc/self/status"]).output();
        output.out
    };
    equal(
        &[FULL_USER],
        &[
            "CapInh:\t0000000000000000",
            "CapPrm:\t0000000000000000",
            "CapEff:\t0000000000000000",
            "CapAmb:\t0000000000000000",
        ]
        .map(str::to_owned)
        .to_vec(),
        capabilities,
    );
}
