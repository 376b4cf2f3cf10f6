//! The modes that the other tests do not run in: full by a file capability, and
//! sealed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use envward_testkit::{Identity, Language, Launch, Room, require_root, signal, stage};

use crate::{BOTH, behind_a_shell, leaf};

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
    require_root("a look into sealed processes");
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

/// The first program ends with its supervisor. What else is in the tree keeps
/// running and starts nothing any more: the kernel refuses every exec, with
/// secrets or without.
#[test]
fn supervisor_that_is_killed() {
    for identity in BOTH {
        let stage = stage!();
        let text = "echo ready; read -r line; \"$@\" || echo \"refused $?\"; env -i /bin/true || echo \"refused $?\"; \
                    [ ${#ENVWARD_TEST_TOKEN} = 48 ] && echo kept; read -r line; exit 0";
        let shell = stage.shell().into_os_string();
        let mut command = vec![shell.clone()];
        command.extend(["-c", "\"$@\"; exit $?", "sh"].map(Into::into));
        command.push(shell);
        command.extend(["-c", text, "sh"].map(Into::into));
        command.extend(leaf(&stage));
        let trial = stage.trial(command).identity(identity);
        let mut argv = vec![stage.program(Language::C, "reaper").into_os_string()];
        argv.extend(trial.envward_command());
        let mut running = Launch::new(&stage.room, std::slice::from_ref(&stage.secret), identity, argv).start();
        running.expect(&["ready".to_owned()]);
        // The only child of the reaper; the file of its executable is not for all to see.
        let parent = format!("PPid:\t{}", running.pid());
        let is_supervisor = |pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/status"))
                .is_ok_and(|status| status.lines().any(|line| line == parent))
        };
        let supervisors: Vec<u32> = running.watch().processes().into_iter().filter(is_supervisor).collect();
        assert_eq!(supervisors.len(), 1);
        signal("KILL", &supervisors);
        running.expect(&["ended 137".to_owned()]);
        running.send(b"go on\n");
        running.expect(&["refused 126", "refused 126", "kept"].map(String::from));
        running.expect_reads(&[stage.shell()], 50);
        let ended = running.finish();
        ended.expect_success();
        assert!(ended.stderr.contains("Function not implemented"), "{}", ended.stderr);
        ended.expect_clean(&[&stage.shell()]);
    }
}
