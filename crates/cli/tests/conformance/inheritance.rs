//! What a program inherits, in every state that its starter may be in, as the
//! first program and again after a supervised exec.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{chown, symlink};

use super::same;
use crate::stage::case::{ALL, Case, FULL, SEALED, SUPERVISED, SUPERVISING};
use crate::stage::job::{Ended, Start, read};
use crate::stage::stage;

/// How the report comes about.
#[derive(Clone, Copy)]
enum Generation {
    /// By the program that was asked for.
    First,
    /// By a program that the first one starts.
    Second,
}

/// The report of the probe, without what cannot be equal.
fn report(case: &Case, generation: Generation, operations: &[&str]) -> Vec<String> {
    let scratch = stage().scratch(case.uid);
    let file = scratch.join("report");
    fs::write(&file, "").expect("report");
    chown(&file, case.uid, case.uid).expect("chown");
    let probe: OsString = stage().program("probe").into();
    let mut command = match generation {
        Generation::First => Vec::new(),
        Generation::Second => vec![probe.clone(), "spawn".into()],
    };
    command.push(probe);
    command.extend(["report", "report"].map(Into::into));
    let mut start = Start::new(case, &command).within(&scratch);
    for operation in operations {
        start = start.with(operation.replace("SCRATCH", &scratch.display().to_string()));
        if ["session", "terminal"].contains(operation) {
            start = start.same_group();
        }
    }
    let mut job =
        start.spawn_with(std::process::Stdio::null(), std::process::Stdio::null(), std::process::Stdio::null());
    let ended = job.wait();
    assert_eq!(ended, Ended::Exit(0), "{}: {operations:?}", case.name);
    let started = job.pid().as_raw_nonzero().to_string();
    let own = rustix::process::getpgrp().as_raw_nonzero().to_string();
    let session = session();
    let text = read(&file).replace(&scratch.display().to_string(), "SCRATCH");
    text.lines()
        .filter(|line| !line.starts_with("id pid"))
        // Without CAP_SYS_ADMIN a seccomp filter needs no_new_privs.
        .filter(|line| case.uid.is_none() || !line.starts_with("NoNewPrivs"))
        .map(|line| match line.strip_prefix("id ").and_then(|rest| rest.split_once(' ')) {
            Some((what, id)) if id == started => format!("id {what} started"),
            Some((what, id)) if id == own => format!("id {what} own group"),
            Some((what, id)) if id == session => format!("id {what} own session"),
            _ => line.to_owned(),
        })
        .collect()
}

/// Our session as the kernel numbers it here: 0 where its leader is outside of our PID namespace,
/// as in a container.
fn session() -> String {
    let stat = read("/proc/self/stat");
    let (_, fields) = stat.rsplit_once(") ").expect("the name in stat");
    fields.split(' ').nth(3).expect("the session in stat").to_owned()
}

/// The lines that differ make a better message than two whole reports.
fn compare(cases: &[Case], generation: Generation, operations: &[&str], expected: &[&str]) {
    let mut wrong = Vec::new();
    for case in cases {
        let direct = report(&case.reference(), generation, operations);
        for line in expected {
            assert!(
                direct.iter().any(|seen| seen.contains(line)),
                "{operations:?}: a direct start does not show {line}: {direct:#?}"
            );
        }
        let seen = report(case, generation, operations);
        let less = direct.iter().filter(|line| !seen.contains(line)).map(|line| format!("- {line}"));
        let more = seen.iter().filter(|line| !direct.contains(line)).map(|line| format!("+ {line}"));
        let difference: Vec<String> = less.chain(more).collect();
        if !difference.is_empty() {
            wrong.push(format!("{} {operations:?}:\n  {}", case.name, difference.join("\n  ")));
        } else if seen != direct {
            wrong.push(format!("{} {operations:?}: same lines, other order", case.name));
        }
    }
    assert!(wrong.is_empty(), "differs from a direct start:\n{}", wrong.join("\n"));
}

/// In both generations.
fn compare_both(operations: &[&str], expected: &[&str]) {
    compare(&ALL, Generation::First, operations, expected);
    compare(&SUPERVISING, Generation::Second, operations, expected);
}

#[test]
fn an_ordinary_start() {
    compare_both(
        &[],
        &[
            "SigBlk:\t0000000000000000",
            "TracerPid:\t0",
            "stack adjacent 1 aligned 1",
            "auxv random 1",
            "id pgrp started",
            "id sid own session",
        ],
    );
}

#[test]
fn ignored_signals_stay_ignored_and_others_do_not_become_so() {
    for signal in [1, 2, 3, 5, 10, 13, 15, 17, 18, 20, 21, 22, 25, 28, 34, 64] {
        let shown = format!("action {signal} ignored");
        compare(&ALL, Generation::First, &[&format!("ignore={signal}")], &[&shown]);
    }
    let shown = ["action 1 ignored", "action 13 ignored", "action 25 ignored"];
    compare_both(&["ignore=13", "ignore=25", "ignore=1"], &shown);
}

#[test]
fn the_signal_mask_is_passed_on() {
    for signal in [1, 2, 10, 12, 14, 15, 17, 18, 20, 28, 34, 64] {
        let mask = format!("SigBlk:\t{:016x}", 1u64 << (signal - 1));
        compare(&ALL, Generation::First, &[&format!("block={signal}")], &[&mask]);
    }
    compare_both(&["block=15", "block=17", "block=34"], &["SigBlk:\t0000000200014000"]);
}

#[test]
fn every_signal_blocked() {
    let all: Vec<String> =
        (1..65).filter(|signal| ![9, 19, 32, 33].contains(signal)).map(|signal| format!("block={signal}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    compare_both(&all, &["SigBlk:\tfffffffe7ffbfeff"]);
}

#[test]
fn umask() {
    for (mask, shown) in [("umask=0", "0000"), ("umask=77", "0077"), ("umask=777", "0777")] {
        compare(&ALL, Generation::First, &[mask], &[&format!("Umask:\t{shown}")]);
    }
    compare(&SUPERVISING, Generation::Second, &["umask=27"], &["Umask:\t0027"]);
}

#[test]
fn resource_limits() {
    let limits = [
        "limit=core:0:0",
        "limit=cpu:300:400",
        "limit=data:4000000000:unlimited",
        "limit=fsize:1000000:2000000",
        "limit=nofile:64:128",
        "limit=sigpending:77:88",
        "limit=stack:4194304:8388608",
        "limit=msgqueue:1000:2000",
        "limit=nproc:5000:6000",
        "limit=locks:10:20",
        "limit=rss:1000000000:unlimited",
    ];
    for limit in limits {
        let shown = limit
            .rsplit('=')
            .next()
            .and_then(|values| values.split_once(':'))
            .map(|(_, values)| values.replace(':', " ").replace("unlimited", &u64::MAX.to_string()));
        compare(&ALL, Generation::First, &[limit], &[&shown.expect("limit")]);
    }
    compare(&SUPERVISING, Generation::Second, &limits, &["1000000 2000000"]);
}

#[test]
fn few_descriptors_allowed() {
    compare_both(&["limit=nofile:20:20"], &["limit 7 20 20"]);
}

#[test]
fn priority_and_scheduling() {
    compare_both(&["nice=7"], &["policy 0 priority 0 nice 7"]);
    compare_both(&["slack=123456"], &["slack 123456"]);
    compare_both(&["oom=321"], &["321"]);
}

#[test]
fn processor_affinity() {
    compare_both(&["affinity=0"], &["affinity 0", "Cpus_allowed_list:\t0"]);
    compare_both(&["affinity=1"], &["affinity 1", "Cpus_allowed_list:\t1"]);
    compare_both(&["affinity=0,1"], &["affinity 0 1"]);
}

#[test]
fn an_affinity_of_the_programs_own_is_kept() {
    same(
        &SUPERVISING,
        |case| {
            let command =
                "taskset -c 1 sh -c 'taskset -cp $$; sh -c \"taskset -cp \\$\\$; :\"; :' | sed 's/pid [0-9]*//'";
            Start::new(case, ["sh", "-c", command]).output().out
        },
        |lines| assert!(lines.len() == 2 && lines.iter().all(|line| line.ends_with("list: 1")), "{lines:?}"),
    );
}

#[test]
fn personality() {
    compare_both(&["personality=20000"], &["personality 0x20000"]);
    // The kernel itself clears this one for a program with a file capability.
    for case in [FULL, SUPERVISED, SEALED] {
        compare(&[case], Generation::First, &["personality=40000"], &["personality 0x40000"]);
    }
}

#[test]
fn session_and_group() {
    compare_both(&["session"], &["id sid started", "id pgrp started"]);
    compare_both(&["group"], &["id pgrp started"]);
}

#[test]
fn a_working_directory_that_is_gone() {
    // The report goes where standard output would: the directory has no names.
    let directory = |case: &Case| {
        let gone = stage().scratch(case.uid).join("gone");
        fs::create_dir(&gone).expect("directory");
        let script = format!("rmdir {} && exec \"$@\"", gone.display());
        let mut start = Start::new(case, ["/bin/pwd", "-P"]).within(&gone);
        start = start.before(["sh", "-c", &script, "sh"]);
        let output = start.output();
        (output.ended, output.out)
    };
    super::equal(&ALL, &(Ended::Exit(1), Vec::new()), directory);
}

#[test]
fn the_name_is_kept_as_it_was_typed() {
    for name in ["probe", "./probe", "../sub/probe"] {
        same(
            &ALL,
            |case| {
                let scratch = stage().scratch(case.uid).join("sub");
                fs::create_dir(&scratch).expect("directory");
                symlink(stage().program("probe"), scratch.join("probe")).expect("link");
                let file = scratch.with_file_name("report");
                chown(&scratch, case.uid, case.uid).expect("chown");
                let ended = Start::new(case, [name.as_ref(), "report".as_ref(), file.as_os_str()])
                    .variable("PATH", format!("/bin:{}", scratch.display()))
                    .within(&scratch)
                    .ended();
                let text = read(&file).replace(&scratch.display().to_string(), "SCRATCH");
                let named = text.lines().filter(|line| {
                    ["argv 0", "auxv execfn", "exe ", "/proc/self/comm"].iter().any(|kept| line.starts_with(kept))
                });
                (ended, named.map(str::to_owned).collect::<Vec<_>>())
            },
            |(ended, lines)| {
                assert_eq!(*ended, Ended::Exit(0));
                assert!(lines.contains(&format!("argv 0 {name}")), "{lines:?}");
            },
        );
    }
}

#[test]
fn set_user_id_programs_gain_privileges_in_the_full_mode_as_root() {
    // What no_new_privs would take away: sudo, ping and the like still work.
    same(
        &[FULL],
        |case| {
            let copy = stage().scratch(None).join("id");
            fs::copy("/usr/bin/id", &copy).expect("copy");
            let script = "chmod 4755 \"$0\"; setpriv --reuid 61234 --clear-groups -- \"$0\" -u";
            let output = Start::new(case, ["sh".as_ref(), "-c".as_ref(), script.as_ref(), copy.as_os_str()]).output();
            (output.ended, output.out)
        },
        |seen| assert_eq!(*seen, (Ended::Exit(0), vec!["0".to_owned()])),
    );
}
