//! Interpreters and virtual machines, and the shims that people start them by.

use std::path::PathBuf;
use std::process::Command;

use envward_testkit::{Identity, Language, Stage, interpreter, stage, tool};

fn script(name: &str, package: &str, script: &str) {
    let stage = stage!();
    let exe = interpreter(name, package);
    super::prove(&stage, [&tool(name, package), &stage.script(script)], &exe);
}

fn script_unprivileged(name: &str, package: &str, script: &str) {
    let stage = stage!();
    let exe = interpreter(name, package);
    super::prove_unprivileged(&stage, [&tool(name, package), &stage.script(script)], &exe);
}

fn python() -> PathBuf {
    // Debian's, not whatever is first on somebody's PATH.
    interpreter("python3", "python3 python3-venv")
}

#[test]
fn python_of_the_system() {
    script("python3", "python3", "check.py");
}

#[test]
fn python_as_an_unprivileged_user() {
    script_unprivileged("python3", "python3", "check.py");
}

#[test]
fn python_in_a_virtual_environment() {
    let stage = stage!();
    let venv = virtual_environment(&stage);
    super::prove(&stage, [&venv.join("bin/python"), &stage.script("check.py")], &python());
}

/// Two scripts in front of the interpreter, as pyenv has them: a shim that
/// execs a dispatcher that looks the version up and execs that.
#[test]
fn python_behind_a_pyenv_like_shim() {
    let stage = stage!();
    let root = stage.room.path().join("pyenv");
    stage.room.write("pyenv/version", "3.test\n", 0o644);
    stage.room.write(
        "pyenv/versions/3.test/bin/python3",
        format!("#!/bin/sh\nexec {} \"$@\"\n", python().display()),
        0o755,
    );
    stage.room.write(
        "pyenv/libexec/dispatch",
        "#!/usr/bin/env bash\nset -e\nname=$1; shift\n\
         read -r version < \"$SHIM_ROOT/version\"\n\
         export PATH=\"$SHIM_ROOT/versions/$version/bin:$PATH\"\n\
         exec \"$SHIM_ROOT/versions/$version/bin/$name\" \"$@\"\n",
        0o755,
    );
    let shim = stage.room.write(
        "pyenv/shims/python3",
        format!(
            "#!/usr/bin/env bash\nset -e\nexport SHIM_ROOT={0}\n\
             exec \"{0}/libexec/dispatch\" \"${{0##*/}}\" \"$@\"\n",
            root.display()
        ),
        0o755,
    );
    super::prove(&stage, [&shim, &stage.script("check.py")], &python());
}

#[test]
fn node() {
    script("node", "nodejs", "check.js");
}

#[test]
fn node_as_an_unprivileged_user() {
    script_unprivileged("node", "nodejs", "check.js");
}

#[test]
fn npm_script() {
    let stage = stage!();
    let node = interpreter("node", "nodejs");
    let npm = tool("npm", "npm");
    let script = stage.script("check.js");
    let leaf = stage.program(Language::C, "check");
    let command =
        format!("node {} {} {} {}", script.display(), stage.secret.name(), stage.secret.digest(), leaf.display());
    let package = format!("{{\"name\":\"check\",\"version\":\"1.0.0\",\"scripts\":{{\"start\":\"{command}\"}}}}");
    for identity in [Identity::Caller, Identity::Unprivileged] {
        let home = stage.room.directory("home", identity);
        stage.room.write("home/package.json", &package, 0o644);
        let mut argv = vec![npm.clone().into_os_string()];
        argv.extend(["run", "--silent", "start", "--"].map(Into::into));
        let argv = stage.asked(argv);
        stage
            .trial(argv)
            .identity(identity)
            .with("npm_config_cache", home.join("npm-cache"))
            .with("npm_config_update_notifier", "false")
            .says(&["seen", "seen"])
            .holders(&[&node, &leaf])
            .run();
    }
}

#[test]
fn java() {
    let stage = stage!();
    let java = interpreter("java", "default-jre-headless");
    let classes = stage.classes("Check");
    super::prove(&stage, [java.as_os_str(), "-cp".as_ref(), classes.as_os_str(), "Check".as_ref()], &java);
}

#[test]
fn java_as_an_unprivileged_user() {
    let stage = stage!();
    let java = interpreter("java", "default-jre-headless");
    let classes = stage.classes("Check");
    super::prove_unprivileged(&stage, [java.as_os_str(), "-cp".as_ref(), classes.as_os_str(), "Check".as_ref()], &java);
}

#[test]
fn ruby() {
    script("ruby", "ruby", "check.rb");
}

#[test]
fn perl() {
    script("perl", "perl", "check.pl");
}

#[test]
fn perl_as_an_unprivileged_user() {
    script_unprivileged("perl", "perl", "check.pl");
}

#[test]
fn php() {
    script("php", "php-cli", "check.php");
}

/// A virtual environment without pip, which takes no network and little time.
fn virtual_environment(stage: &Stage) -> PathBuf {
    let venv = stage.room.path().join("venv");
    let output = Command::new(python())
        .args(["-m", "venv", "--without-pip"])
        .arg(&venv)
        .output()
        .expect("python3 can be started");
    assert!(
        output.status.success(),
        "python3 -m venv failed (apt-get install python3-venv): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    venv
}
