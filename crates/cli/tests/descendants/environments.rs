//! What arrives is what was sent: order, duplicates, odd entries, changed
//! values, and sizes from one byte to the kernel's limit.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use envward_testkit::{Language, Running, Stage, TestSecret, Trial, stage};

use crate::{BOTH, behind_a_shell};

/// The lines of one listing.
fn listing(running: &mut Running) -> Vec<String> {
    let mut lines = Vec::new();
    let begin = running.line();
    assert_eq!(begin, "begin");
    loop {
        match running.line() {
            line if line == "end" => return lines,
            line => lines.push(line),
        }
    }
}

/// A program sends an envp and says it; the one that it execs must say the same.
fn sent_is_received(argv: &[&str]) {
    for language in [Language::C, Language::Musl, Language::I386, Language::I386Static] {
        let stage = stage!();
        let program = stage.program(language, "listenv");
        let mut command = vec![program.clone().into_os_string(), stage.secret.name().into()];
        command.push(program.clone().into());
        command.extend(argv.iter().map(OsString::from));
        let command = behind_a_shell(&stage, command);
        for identity in BOTH {
            let trial = stage.trial(command.clone()).identity(identity);
            for leaks in [true, false] {
                let mut running = if leaks { trial.start_plainly() } else { trial.start_under_envward() };
                running.expect(&["seen".to_owned()]);
                let sent = listing(&mut running);
                assert_eq!(sent.len(), 14, "{sent:?}");
                assert_eq!(listing(&mut running), sent, "{language:?} {identity:?}");
                running.expect_reads(&[stage.shell(), program.clone()], 50);
                let ended = running.finish();
                ended.expect_success();
                assert_eq!(ended.report.leaked.contains_key(&program), leaks, "{:?}", ended.report);
                assert_eq!(ended.report.hit_count > 0, leaks, "{:?}", ended.report);
            }
        }
    }
}

#[test]
fn order_and_duplicates_are_kept() {
    sent_is_received(&[]);
}

#[test]
fn exec_without_any_argument() {
    sent_is_received(&["without-argv"]);
}

/// A changed value is in the environ, as anything that is no secret.
#[test]
fn changed_value_is_ordinary() {
    let stage = stage!();
    let shell = stage.shell();
    let leaf = stage.program(Language::C, "check");
    let script = "\"$@\" & wait; ENVWARD_TEST_TOKEN=plain-as-day; \"$@\"";
    let mut command: Vec<OsString> = vec![shell.into(), "-c".into(), script.into(), "sh".into()];
    command.extend(stage.asked([&leaf]));
    for identity in BOTH {
        let mut running = stage.trial(command.clone()).identity(identity).start_under_envward();
        // The shell gives the first one an empty standard input.
        running.expect(&["seen".to_owned(), "different".to_owned()]);
        running.expect_reads(std::slice::from_ref(&leaf), 50);
        let entries = environ_of(&running, &leaf);
        assert!(entries.iter().any(|entry| entry == "ENVWARD_TEST_TOKEN=plain-as-day"), "{entries:?}");
        let ended = running.finish();
        ended.expect_success();
        ended.expect_clean(&[&leaf]);
    }
}

/// The name of the secret is not in the environ either, and nothing else is
/// missing from it.
#[test]
fn everything_else_is_in_the_environ() {
    let stage = stage!();
    let leaf = stage.program(Language::C, "check");
    let command = behind_a_shell(&stage, stage.asked([&leaf]));
    for identity in BOTH {
        let mut entries = Vec::new();
        let trial = stage.trial(command.clone()).identity(identity).with("ODD", "a=b c\n");
        for plain in [true, false] {
            let mut running = if plain { trial.start_plainly() } else { trial.start_under_envward() };
            running.expect(&["seen".to_owned(), "seen".to_owned()]);
            running.expect_reads(std::slice::from_ref(&leaf), 50);
            let name = format!("{}=", stage.secret.name());
            let mut here = environ_of(&running, &leaf);
            here.retain(|entry| !entry.starts_with(&name));
            entries.push(here);
            running.finish().expect_success();
        }
        assert_eq!(entries[0], entries[1], "{identity:?}");
    }
}

/// A value too short to be looked for everywhere is still recognised under its
/// own name: an environ never has an entry of that name.
#[test]
fn short_values_that_are_copied() {
    let stage = stage!();
    let secret = Arc::new(TestSecret::of_length("PIN", 4));
    let leaf = stage.program(Language::C, "check");
    let routes = stage.program(Language::C, "routes");
    let ask = |program: &[&std::ffi::OsStr]| -> Vec<OsString> {
        let mut command: Vec<OsString> = program.iter().map(Into::into).collect();
        command.extend([secret.name().into(), secret.digest().into()]);
        command
    };
    for identity in BOTH {
        for route in ["setenv", "copied-envp"] {
            let command = [ask(&[routes.as_os_str(), route.as_ref()]), ask(&[leaf.as_os_str()])].concat();
            let trial = Trial::new(&stage.room, &stage.envward, &[&secret], command).identity(identity);
            for plain in [true, false] {
                let running = if plain { trial.start_plainly() } else { trial.start_under_envward() };
                running.expect_reads(std::slice::from_ref(&leaf), 50);
                let listed = environ_of(&running, &leaf).iter().any(|entry| entry.starts_with("PIN="));
                assert_eq!(listed, plain, "{identity:?} {route}");
                let ended = running.finish();
                ended.expect_success();
                assert!(ended.lines.iter().all(|line| line == "seen"), "{:?}", ended.lines);
                assert!(ended.lines.len() > 1, "{:?}", ended.lines);
            }
        }
    }
}

fn environ_of(running: &Running, exe: &std::path::Path) -> Vec<String> {
    let is_it = |pid: &&u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|link| link == exe);
    let pids = running.watch().processes();
    let pid = pids.iter().find(is_it).expect("the program is running");
    let environ = fs::read(format!("/proc/{pid}/environ")).expect("its environ can be read");
    environ
        .split(|&byte| byte == 0)
        .map(|entry| OsString::from_vec(entry.to_vec()).to_string_lossy().into_owned())
        .collect()
}

/// From one byte to just under the kernel's limit of 128 KiB for one string,
/// and several of them at once.
#[test]
fn sizes() {
    let stage: Stage = stage!();
    let limit = 128 * 1024 - "SIZE_131072=".len() - 1;
    let secrets: Vec<Arc<TestSecret>> = [1, 7, 8, 100, 4095, 4096, 4097, 65536, limit]
        .map(|size| Arc::new(TestSecret::of_length(&format!("SIZE_{size}"), size)))
        .into();
    let leaf = stage.program(Language::C, "check");
    let mut command = Vec::new();
    for secret in &secrets {
        command.extend([leaf.clone().into_os_string(), secret.name().into(), secret.digest().into()]);
    }
    for identity in BOTH {
        Trial::new(&stage.room, &stage.envward, &secrets.iter().collect::<Vec<_>>(), command.clone())
            .identity(identity)
            .says(&["seen"; 9])
            .holders(&[&leaf])
            .run();
    }
}

/// Three hundred secrets, of which any could be first or last.
#[test]
fn three_hundred_secrets() {
    let stage = stage!();
    let secrets: Vec<Arc<TestSecret>> =
        (0..300).map(|number| Arc::new(TestSecret::new(&format!("SECRET_{number}")))).collect();
    let leaf = stage.program(Language::C, "check");
    let mut command = Vec::new();
    for secret in secrets.iter().step_by(23) {
        command.extend([leaf.clone().into_os_string(), secret.name().into(), secret.digest().into()]);
    }
    for identity in BOTH {
        Trial::new(&stage.room, &stage.envward, &secrets.iter().collect::<Vec<_>>(), command.clone())
            .identity(identity)
            .says(&["seen"; 14])
            .holders(&[&leaf])
            .run();
    }
}
