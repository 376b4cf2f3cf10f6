//! The modes that the other tests do not run in: full by a file capability, and
//! sealed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use envward_testkit::{Identity, Language, Room, require_root, stage};

use crate::{behind_a_shell, leaf};

/// An unprivileged user whose envward has the file capability is in the full
/// mode, with processes that only root may look into.
#[test]
fn full_by_file_capability() {
    require_root("a file capability");
    // A temporary directory is often mounted nosuid, which takes capabilities too.
    let stage = stage!(Room::within(Path::new("/var/tmp")));
    let routes = stage.program(Language::C, "routes");
    let leaf_program = stage.program(Language::C, "check");
    for route in ["exec", "copied-envp", "vfork", "thread"] {
        let mut command = stage.asked([routes.as_os_str(), route.as_ref()]);
        command.extend(leaf(&stage));
        let mut trial = stage
            .trial(behind_a_shell(&stage, command))
            .identity(Identity::Capable)
            .says(&["seen"; 3])
            .holders(&[&stage.shell(), &leaf_program]);
        if route == "vfork" {
            trial = trial.finally(&["seen"]);
        }
        trial.run();
    }
}

/// Whoever may not trace is not let in at all in the full mode: the kernel gives
/// the files of a process that is not dumpable to root.
#[test]
fn processes_of_the_full_mode_are_not_dumpable() {
    require_root("a file capability");
    let stage = stage!(Room::within(Path::new("/var/tmp")));
    for (identity, owner) in [(Identity::Capable, 0), (Identity::Unprivileged, 65534)] {
        let command = behind_a_shell(&stage, leaf(&stage));
        let mut running = stage.trial(command).identity(identity).start_under_envward();
        running.expect(&["seen", "seen"].map(String::from));
        let programs = [stage.shell(), stage.program(Language::C, "check")];
        running.expect_reads(&programs, 10);
        let mut looked_at = 0;
        for pid in running.watch().processes() {
            let process = Path::new("/proc").join(pid.to_string());
            if process.join("exe").read_link().is_ok_and(|exe| programs.contains(&exe)) {
                let found = process.join("environ").metadata().expect("it holds still").uid();
                assert_eq!(found, owner, "{identity:?}");
                looked_at += 1;
            }
        }
        assert_eq!(looked_at, 2, "the shell and the program");
        running.finish().expect_success();
    }
}

/// In the sealed mode the program has its secrets and may start nothing.
#[test]
fn sealed() {
    let stage = stage!();
    let routes = stage.program(Language::C, "routes");
    let leaf_program = stage.program(Language::C, "check");
    stage
        .trial(leaf(&stage))
        .identity(Identity::Unprivileged)
        .mode("sealed")
        .says(&["seen"])
        .holders(&[&leaf_program])
        .run();
    let mut command = stage.asked([routes.as_os_str(), "exec".as_ref()]);
    command.extend(leaf(&stage));
    let mut running = stage.trial(command).identity(Identity::Unprivileged).mode("sealed").start_under_envward();
    running.expect(&["seen", "execve: Operation not permitted"].map(String::from));
    let ended = running.finish();
    ended.expect_code(1);
    ended.expect_clean(&[]);
}
