//! Runtimes that start programs: from copies of the environment, many at once.

use std::ffi::OsString;

use envward_testkit::{Identity, Language, Stage, interpreter, stage, tool};

use crate::{BOTH, behind_a_shell, leaf};

fn python(way: &str, says: &[&str]) {
    let stage = stage!();
    let python = interpreter("python3", "python3");
    let leaf_program = stage.program(Language::C, "check");
    // It imports from it.
    let _ = stage.script("check.py");
    let mut command =
        stage.asked([python.as_os_str(), "-B".as_ref(), stage.script("spawn.py").as_os_str(), way.as_ref()]);
    command.extend(leaf(&stage));
    let end = *says.last().unwrap_or(&"");
    let holders = if end == "seen" { vec![&*leaf_program] } else { vec![&*python] };
    for identity in BOTH {
        stage.trial(command.clone()).identity(identity).says(says).holders(&holders).run();
    }
}

#[test]
fn python_subprocess() {
    python("subprocess", &["seen", "seen"]);
    python("new-session", &["seen", "seen"]);
    python("preexec", &["seen", "seen"]);
}

#[test]
fn python_subprocess_with_a_copied_environment() {
    python("copied-dict", &["seen", "seen"]);
    python("chosen", &["seen", "seen"]);
}

#[test]
fn python_assignment_to_os_environ() {
    python("assign", &["seen", "seen"]);
}

#[test]
fn python_copy_under_another_name() {
    python("rename", &["seen", "seen"]);
}

#[test]
fn python_shell_commands() {
    python("shell", &["seen", "seen"]);
    python("system", &["seen", "seen"]);
}

#[test]
fn python_exec_spawn_and_fork() {
    python("execve", &["seen", "seen"]);
    python("posix_spawn", &["seen", "seen"]);
    python("fork", &["seen", "seen"]);
}

#[test]
fn python_multiprocessing() {
    python("multiprocessing", &["seen", "seen", "seen"]);
}

#[test]
fn python_removal() {
    python("delete", &["seen", "missing"]);
    python("without", &["seen", "missing"]);
}

#[test]
fn python_many_at_once() {
    python("many", &["seen", "40 children have seen it"]);
}

/// A program that starts many children, counts those that saw the secret, says
/// the number and holds.
fn many(stage: &Stage, starter: Vec<OsString>, exe: &std::path::Path, says: &str) {
    let mut command = starter;
    command.extend(leaf(stage));
    for identity in BOTH {
        stage.trial(command.clone()).identity(identity).says(&[says]).holders(&[exe]).run();
    }
}

#[test]
fn node_child_process() {
    let stage = stage!();
    let node = interpreter("node", "nodejs");
    let starter = stage.asked([&node, &stage.script("spawn.js")]);
    many(&stage, starter, &node, "33 children have seen it");
}

#[test]
fn java_process_builder() {
    let stage = stage!();
    let java = interpreter("java", "default-jre-headless");
    let classes = stage.classes("Spawn").into_os_string();
    let starter = vec![java.clone().into(), "-cp".into(), classes, "Spawn".into()];
    many(&stage, starter, &java, "20 children have seen it");
}

#[test]
fn go_exec_from_many_goroutines() {
    for language in [Language::Go, Language::GoCgo] {
        let stage = stage!();
        let program = stage.program(language, "spawn");
        many(&stage, vec![program.clone().into()], &program, "60 children have seen it");
    }
}

/// A command that pip installed into a virtual environment: a script whose
/// interpreter is a link in that environment.
#[test]
fn command_installed_by_pip() {
    let stage = stage!();
    let python = interpreter("python3", "python3");
    let venv = stage.room.path().join("venv");
    let check = stage.script("check.py");
    stage.room.write(
        "wheel.py",
        format!(
            "import sys, zipfile\n\
             info = 'checker-1.0.dist-info/'\n\
             files = {{'checker.py': open({check:?}).read() + '\\ndef main():\\n    import runpy\\n    runpy.run_path({check:?}, run_name=\"__main__\")\\n',\n\
             info + 'METADATA': 'Metadata-Version: 2.1\\nName: checker\\nVersion: 1.0\\n',\n\
             info + 'WHEEL': 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n',\n\
             info + 'entry_points.txt': '[console_scripts]\\nchecker = checker:main\\n'}}\n\
             with zipfile.ZipFile(sys.argv[1], 'w') as wheel:\n\
             \x20   for name, text in files.items():\n\
             \x20       wheel.writestr(name, text)\n\
             \x20   wheel.writestr(info + 'RECORD', ''.join(name + ',,\\n' for name in files))\n"
        ),
        0o644,
    );
    let wheel = stage.room.path().join("checker-1.0-py3-none-any.whl");
    prepare(&python, &["-m", "venv", &venv.to_string_lossy()]);
    prepare(&python, &[&stage.room.path().join("wheel.py").to_string_lossy(), &wheel.to_string_lossy()]);
    prepare(
        &venv.join("bin/pip"),
        &["install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check", &wheel.to_string_lossy()],
    );
    let mut command = stage.asked([venv.join("bin/checker")]);
    command.extend(leaf(&stage));
    let leaf_program = stage.program(Language::C, "check");
    for identity in BOTH {
        stage
            .trial(command.clone())
            .identity(identity)
            .says(&["seen", "seen"])
            .holders(&[&python, &leaf_program])
            .run();
    }
}

/// A command of an installed npm package, by its link in `node_modules/.bin`,
/// through `npm exec`.
#[test]
fn command_installed_by_npm() {
    let stage = stage!();
    let node = interpreter("node", "nodejs");
    let npm = tool("npm", "npm");
    let check = stage.script("check.js");
    let source = std::fs::read_to_string(&check).expect("the script can be read");
    stage.room.write("package/bin.js", format!("#!/usr/bin/env node\n{source}"), 0o755);
    stage.room.write(
        "package/package.json",
        "{\"name\":\"checker\",\"version\":\"1.0.0\",\"bin\":{\"checker\":\"bin.js\"}}",
        0o644,
    );
    let leaf_program = stage.program(Language::C, "check");
    for identity in BOTH {
        let home = stage.room.directory("home", identity);
        let bin = home.join("node_modules/.bin/checker");
        stage.room.write("home/package.json", "{\"name\":\"app\",\"version\":\"1.0.0\"}", 0o644);
        std::fs::create_dir_all(home.join("node_modules/.bin")).expect("a room takes directories");
        let _ = std::fs::remove_file(&bin);
        std::os::unix::fs::symlink("../checker/bin.js", &bin).expect("a room takes links");
        let installed = home.join("node_modules/checker");
        if identity == Identity::Caller {
            std::os::unix::fs::symlink("../../package", &installed).expect("a room takes links");
        }
        let npm_exec = [npm.as_os_str(), "exec".as_ref(), "--offline".as_ref(), "--".as_ref(), "checker".as_ref()];
        for mut command in [stage.asked([&bin]), stage.asked(npm_exec)] {
            command.extend(leaf(&stage));
            stage
                .trial(behind_a_shell(&stage, command))
                .identity(identity)
                .with("npm_config_cache", home.join("npm-cache"))
                .with("npm_config_update_notifier", "false")
                .says(&["seen", "seen", "seen"])
                .holders(&[&node, &leaf_program])
                .run();
        }
    }
}

fn prepare(program: &std::path::Path, arguments: &[&str]) {
    let output = std::process::Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
    assert!(
        output.status.success(),
        "{} {arguments:?} failed (apt-get install python3-venv): {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}
