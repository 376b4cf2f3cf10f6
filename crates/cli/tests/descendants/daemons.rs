//! Daemons: programs whose parents are gone when they exec.

use std::ffi::OsString;

use envward_testkit::{Language, Launch, Running, Stage, stage};

use crate::{BOTH, leaf};

/// Starts `daemon` plainly and under envward, with a subreaper above, so that
/// the watch keeps a daemon that nothing else would adopt; `follow` is told
/// whether the run is the plain one.
fn for_each_run(language: Language, what: &str, follow: impl Fn(&Stage, Running, bool)) {
    let stage = stage!();
    let reaper = stage.program(Language::C, "reaper");
    let mut command = stage.asked([stage.program(language, "daemon").as_os_str(), what.as_ref()]);
    command.extend(leaf(&stage));
    for identity in BOTH {
        let trial = stage.trial(command.clone()).identity(identity);
        for plain in [true, false] {
            let mut argv: Vec<OsString> = vec![reaper.clone().into()];
            if plain {
                argv.push("/usr/bin/env".into());
                argv.push(format!("{}={}", stage.secret.name(), stage.secret.value()).into());
                argv.extend(command.iter().cloned());
            } else {
                argv.extend(trial.envward_command());
            }
            let secrets = std::slice::from_ref(&stage.secret);
            let running = Launch::new(&stage.room, secrets, identity, argv).start();
            follow(&stage, running, plain);
        }
    }
}

/// While the main program lives, so does the supervisor: a daemon that execs
/// then is no different from any other program.
#[test]
fn daemon_of_a_living_program() {
    for language in [Language::C, Language::Musl, Language::I386] {
        for_each_run(language, "stay", |stage, mut running, plain| {
            let daemon = stage.program(language, "daemon");
            let leaf_program = stage.program(Language::C, "check");
            running.expect(&["seen", "seen"].map(String::from));
            running.expect_reads(&[daemon.clone(), leaf_program.clone()], 50);
            let ended = running.finish();
            ended.expect_success();
            assert_eq!(ended.lines, ["seen", "seen", "ended 0"]);
            if plain {
                assert!(ended.report.leaked.contains_key(&leaf_program), "{:?}", ended.report);
            } else {
                ended.expect_clean(&[&daemon, &leaf_program]);
            }
        });
    }
}

/// When the main program has ended, its exit status is envward's at once. What
/// a daemon then execs has the secret only under a supervisor; without one the
/// exec is refused. In no case is it in an environ.
#[test]
fn daemon_that_outlives_the_program() {
    for_each_run(Language::C, "leave", |stage, mut running, plain| {
        let daemon = stage.program(Language::C, "daemon");
        let leaf_program = stage.program(Language::C, "check");
        running.expect(&["seen", "ended 0"].map(String::from));
        let last = running.line();
        if last == "seen" {
            running.expect_reads(std::slice::from_ref(&leaf_program), 50);
        }
        let ended = running.finish();
        ended.expect_success();
        if plain {
            assert_eq!(last, "seen");
            assert!(ended.report.leaked.contains_key(&leaf_program), "{:?}", ended.report);
        } else {
            // ENOSYS is what the kernel says when nobody supervises.
            let refused = last == "refused: Function not implemented";
            assert!(last == "seen" || refused, "{last}; {}", ended.stderr);
            ended.expect_clean(&[&daemon]);
        }
    });
}
