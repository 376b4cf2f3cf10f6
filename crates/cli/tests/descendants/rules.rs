//! Who gets which secret: `--only`, `--deny`, and programs that run with more
//! rights than their caller.

use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use envward_testkit::{Language, Room, Stage, require_root, stage, tool};

use crate::{BOTH, behind_a_shell};

/// Two programs that only differ in their path.
fn two_programs(stage: &Stage) -> (PathBuf, PathBuf) {
    let check = stage.program(Language::C, "check");
    let chosen = stage.room.place_as(&check, "chosen");
    (check, chosen)
}

#[test]
fn only_the_chosen_program_gets_it() {
    let stage = stage!();
    let (other, chosen) = two_programs(&stage);
    // The shell between has it not, the chosen one below it has, what that
    // starts has it not.
    let command = [
        stage.asked([stage.shell(), stage.script("check.sh")]),
        stage.asked([&chosen]),
        stage.asked([&other]),
        stage.asked([&chosen]),
    ]
    .concat();
    let rule = format!("{}=*/chosen", stage.secret.name());
    for identity in BOTH {
        stage
            .trial(command.clone())
            .identity(identity)
            .options(["--only", &rule])
            .says(&["missing", "seen", "missing", "seen"])
            .plainly_says(&["seen"; 4])
            .holders(&[&stage.shell(), &chosen, &other])
            .run();
    }
}

/// Also when the chosen program is the one that envward starts.
#[test]
fn only_the_first_program_gets_it() {
    let stage = stage!();
    let (other, chosen) = two_programs(&stage);
    let command = [stage.asked([&chosen]), stage.asked([&other])].concat();
    let rule = format!("{}={}", stage.secret.name(), chosen.display());
    for identity in BOTH {
        stage
            .trial(command.clone())
            .identity(identity)
            .options(["--only", &rule])
            .says(&["seen", "missing"])
            .plainly_says(&["seen"; 2])
            .holders(&[&chosen, &other])
            .run();
    }
}

#[test]
fn denied_program_gets_none() {
    let stage = stage!();
    let (other, chosen) = two_programs(&stage);
    let command =
        [stage.asked([stage.shell(), stage.script("check.sh")]), stage.asked([&chosen]), stage.asked([&other])]
            .concat();
    let rule = format!("{}=*/chosen", stage.secret.name());
    for identity in BOTH {
        // A denied program has nothing to hand on.
        stage
            .trial(command.clone())
            .identity(identity)
            .options(["--deny", &rule])
            .says(&["seen", "missing", "missing"])
            .plainly_says(&["seen"; 3])
            .holders(&[&stage.shell(), &chosen, &other])
            .run();
    }
}

/// A rule is about the executable, so a link, a copy of the descriptor or the
/// shell that starts it does not get around it.
#[test]
fn denied_program_by_other_ways() {
    let stage = stage!();
    let (_, chosen) = two_programs(&stage);
    let link = stage.room.path().join("innocent");
    std::os::unix::fs::symlink(&chosen, &link).expect("a room takes links");
    let routes = stage.program(Language::C, "routes");
    let rule = format!("{}=*/chosen", stage.secret.name());
    for command in [
        stage.asked([&link]),
        [stage.asked([routes.as_os_str(), "fexecve".as_ref()]), stage.asked([&chosen])].concat(),
        [stage.asked([routes.as_os_str(), "setenv".as_ref()]), stage.asked([&chosen])].concat(),
    ] {
        let lines = match command.len() {
            3 => vec!["seen", "missing"],
            _ if command.iter().any(|part| part == "setenv") => {
                vec!["seen", "seen", "seen", "missing"]
            }
            _ => vec!["seen", "seen", "missing"],
        };
        let plain = vec!["seen"; lines.len()];
        let command = behind_a_shell(&stage, command);
        for identity in BOTH {
            stage
                .trial(command.clone())
                .identity(identity)
                .options(["--deny", &rule])
                .says(&lines)
                .plainly_says(&plain)
                .holders(&[&stage.shell(), &chosen])
                .run();
        }
    }
}

/// A program that runs as another user than its caller gets no secret, as it
/// gets no `LD_PRELOAD`.
#[test]
fn set_uid_program_gets_none() {
    require_root("set-uid programs");
    // A temporary directory is often mounted nosuid.
    let stage = stage!(Room::within(Path::new("/var/tmp")));
    let secure = stage.program(Language::C, "secure");
    for (owner, mode) in [(65534, 0o4755), (65534, 0o2755), (65534, 0o6755)] {
        let program = stage.room.place_as(&secure, &format!("privileged-{mode:o}"));
        chown(&program, Some(owner), Some(owner)).expect("root may give files away");
        set_mode(&program, mode);
        let command = behind_a_shell(&stage, stage.asked([&program]));
        stage
            .trial(command)
            .says(&["seen", "secure, missing"])
            .plainly_says(&["seen", "secure, seen"])
            .holders(&[&stage.shell(), &program])
            .run();
        // As the first program of all.
        stage
            .trial(stage.asked([&program]))
            .says(&["secure, missing"])
            .plainly_says(&["secure, seen"])
            .holders(&[&program])
            .run();
    }
}

/// The usual direction: a user's program that becomes root.
#[test]
fn set_uid_root_program_gets_none() {
    require_root("set-uid programs");
    let stage = stage!(Room::within(Path::new("/var/tmp")));
    let secure = stage.program(Language::C, "secure");
    let program = stage.room.place_as(&secure, "becomes-root");
    set_mode(&program, 0o4755);
    let mut inner: Vec<OsString> = vec![tool("setpriv", "util-linux").into()];
    inner.extend(["--reuid=65534", "--regid=65534", "--clear-groups"].map(Into::into));
    inner.extend(stage.asked([stage.shell(), stage.script("check.sh")]));
    inner.extend(stage.asked([&program]));
    stage
        .trial(inner)
        .says(&["seen", "secure, missing"])
        .plainly_says(&["seen", "secure, seen"])
        .holders(&[&stage.shell(), &program])
        .run();
}

/// A file capability is a privilege too.
#[test]
fn program_with_a_file_capability_gets_none() {
    require_root("file capabilities");
    let stage = stage!(Room::within(Path::new("/var/tmp")));
    let secure = stage.program(Language::C, "secure");
    let program = stage.room.place_as(&secure, "capable");
    let output = std::process::Command::new(tool("setcap", "libcap2-bin"))
        .arg("cap_net_bind_service=ep")
        .arg(&program)
        .output()
        .expect("setcap can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut inner: Vec<OsString> = vec![tool("setpriv", "util-linux").into()];
    inner.extend(["--reuid=65534", "--regid=65534", "--clear-groups"].map(Into::into));
    inner.extend(stage.asked([stage.shell(), stage.script("check.sh")]));
    inner.extend(stage.asked([&program]));
    stage
        .trial(inner)
        .says(&["seen", "secure, missing"])
        .plainly_says(&["seen", "secure, seen"])
        .holders(&[&stage.shell(), &program])
        .run();
}

/// In the unprivileged mode set-uid programs do not gain rights at all, so they
/// are programs like others.
#[test]
fn set_uid_program_gains_nothing_in_the_unprivileged_mode() {
    require_root("set-uid programs");
    let stage = stage!(Room::within(Path::new("/var/tmp")));
    let secure = stage.program(Language::C, "secure");
    let program = stage.room.place_as(&secure, "becomes-root");
    set_mode(&program, 0o4755);
    let command = behind_a_shell(&stage, stage.asked([&program]));
    stage
        .trial(command)
        .identity(envward_testkit::Identity::Unprivileged)
        .says(&["seen", "ordinary, seen"])
        .plainly_says(&["seen", "secure, seen"])
        .holders(&[&stage.shell(), &program])
        .run();
}

/// Rules name programs; a secret without a rule goes to all.
#[test]
fn rule_about_one_secret_leaves_the_other() {
    let stage = stage!();
    let (other, chosen) = two_programs(&stage);
    let second = std::sync::Arc::new(envward_testkit::TestSecret::new("SECOND_TOKEN"));
    let ask = |program: &Path| -> Vec<OsString> { vec![program.into(), second.name().into(), second.digest().into()] };
    let command = [stage.asked([&chosen]), ask(&chosen), stage.asked([&other]), ask(&other)].concat();
    let rule = format!("{}=*/chosen", stage.secret.name());
    for identity in BOTH {
        envward_testkit::Trial::new(&stage.room, &stage.envward, &[&stage.secret, &second], command.clone())
            .identity(identity)
            .options(["--only", &rule])
            .says(&["seen", "seen", "missing", "seen"])
            .plainly_says(&["seen"; 4])
            .holders(&[&chosen, &other])
            .run();
    }
}

fn set_mode(program: &Path, mode: u32) {
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(mode)).expect("root may chmod");
}
