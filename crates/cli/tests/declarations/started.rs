//! What a declaration says reaches the program, and the launcher.

use envward_testkit::sha256;

use super::project::{MARK, Project};

/// The hash of what `printenv NAME` says of a value.
fn printed(value: &str) -> [u8; 32] {
    sha256(format!("{value}\n").as_bytes())
}

/// A shell that has what it starts say what it sees.
fn shell(script: &str) -> [&str; 6] {
    ["run", "-q", "--", "sh", "-c", script]
}

#[test]
fn only_the_declared_program_sees_the_secret() {
    let secret = format!("{MARK}-only-for-one");
    let config = "[variables.TOKEN]\nsource = \"file:token\"\nonly = [\"*/chosen\"]\n\
                  [profiles.closed.variables.TOKEN]\nonly = [\"*/nobody\"]\n\
                  [profiles.open.variables.TOKEN]\nonly = [\"*\"]\ndeny = [\"*/chosen\"]\n";
    let project = Project::new(&[("envward.toml", config), ("token", &secret)]);
    std::fs::copy("/usr/bin/printenv", project.path("chosen")).unwrap();
    let other = shell("printenv TOKEN || echo none");
    let chosen = shell("./chosen TOKEN || echo none");
    let (seen, none) = (printed(&secret), printed("none"));
    for (profile, other_sees, chosen_sees) in [("", &none, &seen), ("closed", &none, &none), ("open", &seen, &none)] {
        let environment = [("ENVWARD_PROFILE", profile)];
        assert!(project.digest(&other, &environment) == (0, *other_sees), "{profile}: another program");
        assert!(project.digest(&chosen, &environment) == (0, *chosen_sees), "{profile}: the chosen program");
    }
}

/// `/proc/PID/environ` has what is declared not to be secret, and nothing else of the project.
#[test]
fn a_declared_secret_is_never_a_plain_string() {
    let config = "[run]\nenv-files = [\"app.env\"]\n[variables.INHERITED]\n[variables.PORT]\nsecret = false\n";
    let project = Project::new(&[("envward.toml", config), ("app.env", "FROM_FILE=hunter2-file\nPORT=8080\n")]);
    let script = "look() { cat /proc/$$/environ | tr '\\0' '\\n' | grep -c -e \"$1\"; }
        look hunter2; look PORT=8080; test ${#INHERITED} = 17";
    let environment = [("INHERITED", "hunter2-inherited"), ("PORT", "1")];
    project.run_with(&shell(script), &environment).expect(0, &["0\n1\n"]);
    // And once: it is not a secret beside that.
    project.run_with(&shell("env | grep -c ^PORT="), &environment).expect(0, &["1\n"]);
    // As it is without a declaration.
    let undeclared = Project::new(&[("envward.toml", "[run]\nenv-files = [\"app.env\"]\n"), ("app.env", "A=1\n")]);
    undeclared.run_with(&shell(script), &environment).expect(0, &["1\n0\n"]);
}

#[test]
fn what_is_not_secret_comes_from_source_then_environment_then_default() {
    let config = "[variables.A]\nsecret = false\ndefault = 1\n";
    let project = Project::new(&[("envward.toml", config), ("a.env", "A=3\n")]);
    let echo = ["run", "-q", "--", "sh", "-c", "echo $A"];
    project.run(&echo).expect(0, &["1\n"]);
    project.run_with(&echo, &[("A", "2")]).expect(0, &["2\n"]);
    project.run_with(&["run", "-q", "--env-file", "a.env", "--", "printenv", "A"], &[("A", "2")]).expect(0, &["3\n"]);
}

/// What is no secret is not taken out of the output either.
#[test]
fn redaction_is_for_secrets() {
    let config = "[run]\nenv-files = [\"app.env\"]\n[variables.OPEN]\nsecret = false\n";
    let project = Project::new(&[("envward.toml", config), ("app.env", "OPEN=open-to-all\nCLOSED=hunter2-closed\n")]);
    let script = "echo $OPEN; echo $CLOSED | grep -c hunter2; echo $CLOSED";
    let said = project.run(&["run", "-q", "--redact", "--", "sh", "-c", script]);
    said.expect(0, &["open-to-all\n1\n"]);
}

#[test]
fn profiles_choose_sources() {
    let config = "[secrets.S]\nsource = \"file:dev\"\n[profiles.a.secrets.S]\nsource = \"file:a\"\n\
                  [profiles.b]\nextends = \"a\"\nrun.env-files = [\"b.env\"]\n";
    let project =
        Project::new(&[("envward.toml", config), ("dev", "hunter2-d"), ("a", "hunter2-a"), ("b.env", "T=hunter2-b\n")]);
    for (profile, name, value) in
        [("", "S", "hunter2-d"), ("a", "S", "hunter2-a"), ("b", "S", "hunter2-a"), ("b", "T", "hunter2-b")]
    {
        let arguments = ["run", "-q", "--profile", profile, "--", "printenv", name];
        assert!(project.digest(&arguments, &[]) == (0, printed(value)), "{profile} {name}");
    }
}

#[test]
fn rules_and_declarations_agree() {
    let config = "[run]\nenv-files = [\"a.env\"]\n[variables.A]\nsecret = false\n[variables.B]\nrequired = false\nonly = [\"*/x\"]\n";
    let project = Project::new(&[("envward.toml", config), ("a.env", "A=1\n")]);
    // An optional secret that is not there needs no rule to be kept.
    project.run(&["run", "-q", "--", "printenv", "A"]).expect(0, &["1\n"]);
    project
        .run(&["run", "--only", "A=*/x", "--", "true"])
        .complains(125, &["the rule `only A=*/x` is about a variable that is declared secret = false"]);
    project.run(&["run", "--deny", "C=*/x", "--", "true"]).complains(125, &["names a secret that no source has"]);
}

/// The preload tier hands over the same variables.
#[test]
fn the_preload_tier_knows_declarations() {
    let config = "[variables.A]\nsecret = false\ndefault = 7\n[variables.B]\ntype = \"port\"\n";
    let project = Project::new(&[("envward.toml", config)]);
    let said = project.run_with(&["run", "--tier", "preload", "--", "printenv", "A"], &[("B", "hunter2")]);
    said.complains(125, &["B: must be a port from 1 to 65535 (environment)"]);
}
