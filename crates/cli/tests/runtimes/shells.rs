//! Shells.

use envward_testkit::{Identity, Language, interpreter, stage};

fn shell(name: &str, package: &str) {
    let stage = stage!();
    let exe = interpreter(name, package);
    super::prove(&stage, [&exe, &stage.script("check.sh")], &exe);
}

#[test]
fn sh() {
    shell("sh", "dash");
}

#[test]
fn bash() {
    shell("bash", "bash");
}

#[test]
fn dash() {
    shell("dash", "dash");
}

#[test]
fn busybox() {
    let stage = stage!();
    let exe = interpreter("busybox", "busybox-static");
    let script = stage.script("check.sh");
    super::prove(&stage, [exe.as_os_str(), "sh".as_ref(), script.as_os_str()], &exe);
}

#[test]
fn shell_as_an_unprivileged_user() {
    let stage = stage!();
    let bash = interpreter("bash", "bash");
    let script = stage.script("check.sh");
    super::prove_unprivileged(&stage, [&bash, &script], &bash);
    let busybox = interpreter("busybox", "busybox-static");
    super::prove_unprivileged(&stage, [busybox.as_os_str(), "sh".as_ref(), script.as_os_str()], &busybox);
}

/// A shell that replaces itself is no different from one that forks.
#[test]
fn shell_that_execs_its_last_command() {
    let stage = stage!();
    let leaf = stage.program(Language::C, "check");
    for identity in [Identity::Caller, Identity::Unprivileged] {
        let mut command = ["/bin/sh", "-c", "exec \"$@\"", "sh"].map(Into::into).to_vec();
        command.extend(stage.asked([&leaf]));
        stage.trial(command).identity(identity).says(&["seen"]).holders(&[&leaf]).run();
    }
}
