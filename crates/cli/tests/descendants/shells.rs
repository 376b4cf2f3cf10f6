//! Shells and scripts: what people write.

use std::ffi::OsString;
use std::path::PathBuf;

use envward_testkit::{Language, Stage, interpreter, stage};

use crate::{BOTH, behind_a_shell, leaf};

fn shells() -> [Vec<PathBuf>; 3] {
    [
        vec![interpreter("dash", "dash")],
        vec![interpreter("bash", "bash")],
        vec![interpreter("busybox", "busybox-static"), "sh".into()],
    ]
}

/// Runs a script in every shell; `$N` is the secret's name, `$@` the leaf
/// program with it. The script's last command must be the leaf.
fn script(text: &str, says: &[&str]) {
    let stage = stage!();
    let text = text.replace("$N", stage.secret.name());
    for shell in shells() {
        let mut command: Vec<OsString> = shell.iter().map(Into::into).collect();
        command.extend(["-c".into(), OsString::from(&text), "sh".into()]);
        command.extend(leaf(&stage));
        let leaf = stage.program(Language::C, "check");
        for identity in BOTH {
            stage.trial(command.clone()).identity(identity).says(says).holders(&[&leaf]).run();
        }
    }
}

/// The same for scripts whose last command does not get the secret: a shell
/// that does holds above it.
fn script_without(text: &str, says: &[&str]) {
    let stage = stage!();
    let text = text.replace("$N", stage.secret.name());
    for shell in shells() {
        let mut command: Vec<OsString> = shell.iter().map(Into::into).collect();
        command.extend(["-c".into(), OsString::from(&text), "sh".into()]);
        command.extend(leaf(&stage));
        let command = behind_a_shell(&stage, command);
        for identity in BOTH {
            stage
                .trial(command.clone())
                .identity(identity)
                .says(&[&["seen"], says].concat())
                .holders(&[&stage.shell()])
                .run();
        }
    }
}

#[test]
fn export_of_the_same_value() {
    script("export $N; \"$@\"", &["seen"]);
    script("copy=$$N; unset $N; export $N=\"$copy\"; \"$@\"; exit $?", &["seen"]);
    script("export $N=\"$$N\"; (exec \"$@\")", &["seen"]);
}

#[test]
fn assignment_before_a_command() {
    script("$N=\"$$N\" \"$@\"", &["seen"]);
    script("env $N=\"$$N\" \"$@\" </dev/null >/dev/null; \"$@\"", &["seen"]);
}

#[test]
fn eval_source_and_subshells() {
    script("eval '\"$@\"'", &["seen"]);
    script("( ( ( \"$@\" ) ) )", &["seen"]);
    script("f() { \"$@\"; return $?; }; f \"$@\"; exit $?", &["seen"]);
    script("text=$(\"$@\" </dev/null); echo \"$text\"; \"$@\"", &["seen", "seen"]);
}

#[test]
fn pipelines() {
    script("exec 3>&1; \"$@\" </dev/null >&3 | \"$@\" >&3 | \"$@\" >&3; \"$@\"", &["seen"; 4]);
    script("exec 3>&1; for i in 1 2 3 4 5 6 7 8; do (\"$@\" </dev/null >&3) & done; wait; \"$@\"", &["seen"; 9]);
}

#[test]
fn removed_variable_stays_removed() {
    script_without("unset $N; \"$@\"", &["missing"]);
    script_without("env -u $N \"$@\"", &["missing"]);
    script_without("env -i \"$@\"", &["missing"]);
    script_without("env - ONLY=1 \"$@\"", &["missing"]);
}

#[test]
fn changed_value_is_the_programs_own() {
    script_without("$N=public; \"$@\"", &["different"]);
    script_without("$N= \"$@\"", &["different"]);
    script_without("env $N=public \"$@\"", &["different"]);
    script_without("$N=public \"$@\" </dev/null; \"$@\"", &["different", "seen"]);
}

/// The value under another name is the secret all the same.
#[test]
fn copy_under_another_name() {
    for (text, says) in [
        ("OTHER=$$N \"$1\" OTHER \"$3\"", &["seen"][..]),
        ("export OTHER=\"$$N\"; unset $N; \"$1\" OTHER \"$3\"", &["seen"]),
        ("export A=$$N B=$$N; \"$1\" A \"$3\" \"$1\" B \"$3\" \"$@\"", &["seen"; 3]),
    ] {
        script(text, says);
    }
}

fn shebang(stage: &Stage, name: &str, interpreter: &str, body: &str) -> PathBuf {
    stage.room.write(name, format!("#!{interpreter}\n{body}\n"), 0o755)
}

#[test]
fn shebang_scripts() {
    let stage = stage!();
    let leaf_program = stage.program(Language::C, "check");
    for (name, interpreter, body) in [
        ("sh-script", "/bin/sh", "\"$@\"; exit $?"),
        ("sh-script-with-option", "/bin/sh -e", "\"$@\"; exit $?"),
        ("bash-script", "/bin/bash", "\"$@\"; exit $?"),
        ("env-script", "/usr/bin/env bash", "\"$@\"; exit $?"),
        ("perl-script", "/usr/bin/perl", "exit(system(@ARGV) >> 8);"),
        (
            "python-script",
            "/usr/bin/python3",
            "import subprocess, sys\nsys.exit(subprocess.run(sys.argv[1:]).returncode)",
        ),
    ] {
        let mut command = vec![shebang(&stage, name, interpreter, body).into_os_string()];
        command.extend(leaf(&stage));
        for identity in BOTH {
            stage.trial(command.clone()).identity(identity).says(&["seen"]).holders(&[&leaf_program]).run();
        }
    }
}

/// A script whose interpreter is a script, four deep, which is all that the
/// kernel allows.
#[test]
fn nested_shebang_scripts() {
    let stage = stage!();
    let mut interpreter = "/bin/sh".to_owned();
    // Each level hands the name of the script below it on as an argument.
    let inner = shebang(&stage, "level-1", &interpreter, "shift 3; \"$@\"; exit $?");
    interpreter = inner.display().to_string();
    for level in 2..=4 {
        let script = shebang(&stage, &format!("level-{level}"), &interpreter, "exit 9");
        interpreter = script.display().to_string();
    }
    let mut command = vec![OsString::from(interpreter)];
    command.extend(leaf(&stage));
    let leaf_program = stage.program(Language::C, "check");
    for identity in BOTH {
        stage.trial(command.clone()).identity(identity).says(&["seen"]).holders(&[&leaf_program]).run();
    }
}

/// A text file without `#!`, which execve refuses and shells run all the same.
#[test]
fn script_without_an_interpreter_line() {
    let stage = stage!();
    let script = stage.room.write("bare", "\"$@\"; exit $?\n", 0o755);
    let leaf_program = stage.program(Language::C, "check");
    for shell in shells() {
        let mut command: Vec<OsString> = shell.iter().map(Into::into).collect();
        command.extend(["-c", "\"$@\"; exit $?", "sh"].map(Into::into));
        command.push(script.clone().into());
        command.extend(leaf(&stage));
        stage.trial(command).says(&["seen"]).holders(&[&leaf_program]).run();
    }
}
