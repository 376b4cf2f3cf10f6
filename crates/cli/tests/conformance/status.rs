//! How it ends: exit status, death by signal, and what cannot be started.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::equal;
use crate::stage::case::{ALL, Case, FULL, SUPERVISING};
use crate::stage::job::{Ended, Output, Start, eventually, read};
use crate::stage::stage;

#[test]
fn exit_status_is_the_programs_own() {
    for status in [0, 1, 2, 3, 7, 42, 63, 64, 77, 99, 111, 124, 125, 126, 127, 128, 129, 137, 143, 200, 254, 255] {
        equal(&ALL, &Ended::Exit(status), |case| Start::probe(case, ["exit", &status.to_string()]).ended());
    }
}

#[test]
fn every_exit_status_comes_through() {
    for status in 0..=255 {
        equal(&[FULL], &Ended::Exit(status), |case| Start::probe(case, ["exit", &status.to_string()]).ended());
    }
}

#[test]
fn death_by_signal_is_reproduced() {
    // All but those whose default action is not to end the process.
    let harmless = [17, 18, 19, 20, 21, 22, 23, 28];
    for signal in (1..32).chain([34, 40, 64]) {
        if harmless.contains(&signal) {
            continue;
        }
        equal(&ALL, &Ended::Signal(signal), |case| Start::probe(case, ["die", &signal.to_string()]).ended());
    }
}

#[test]
fn death_by_signal_leaves_no_core_of_the_launcher() {
    for case in ALL {
        let directory = stage().scratch(case.uid);
        let ended =
            Start::probe(&case, ["die", "11"]).with("limit=core:unlimited:unlimited").within(&directory).ended();
        assert_eq!(ended, Ended::Signal(11), "{}", case.name);
        // The probe forbids its own core, so any file here is the launcher's.
        let files: Vec<_> = fs::read_dir(&directory).expect("directory").collect();
        assert!(files.is_empty(), "{}: {files:?}", case.name);
    }
}

#[test]
fn the_programs_death_counts_not_its_descendants() {
    equal(&SUPERVISING, &Ended::Exit(3), |case| {
        Start::new(case, ["sh", "-c", "sh -c 'kill -KILL $$'; /bin/false; exit 3"]).ended()
    });
}

#[test]
fn a_signal_that_the_shell_dies_of_is_reproduced() {
    equal(&ALL, &Ended::Signal(15), |case| Start::new(case, ["sh", "-c", "kill -TERM $$"]).ended());
}

/// What cannot be started, and the status with which a shell would say so.
fn unstartable(directory: &Path) -> Vec<(&'static str, PathBuf, i32)> {
    let file = |name: &str, text: &str, mode| {
        let path = directory.join(name);
        fs::write(&path, text).expect("file");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("chmod");
        path
    };
    fs::create_dir(directory.join("directory")).expect("directory");
    symlink("loop", directory.join("loop")).expect("symlink");
    symlink("nowhere", directory.join("dangling")).expect("symlink");
    vec![
        ("missing, by name", "no-such-program".into(), 127),
        ("missing, by path", directory.join("missing"), 127),
        ("missing, relative", "./missing".into(), 127),
        ("empty name", "".into(), 127),
        ("dangling link", directory.join("dangling"), 127),
        ("no x bit", file("plain", "#!/bin/sh\n", 0o644), 126),
        ("no x bit, relative", "./plain".into(), 126),
        ("no x bit, by name", "plain".into(), 126),
        ("directory", directory.join("directory"), 126),
        ("below a file", directory.join("plain/below"), 126),
        ("link to itself", directory.join("loop"), 126),
        ("name too long", directory.join("x".repeat(300)), 126),
        ("missing interpreter", file("interpreter", "#!/no/such/interpreter\n", 0o755), 127),
        ("interpreter that is a directory", file("interpreted", "#!/tmp\n", 0o755), 126),
    ]
}

#[test]
fn what_cannot_be_started_has_the_shells_status() {
    // bash tells the two kinds apart as POSIX wants it: found or not.
    let direct = stage().scratch(None);
    for (what, path, status) in unstartable(&direct) {
        let shell = Start::new(
            &crate::stage::case::DIRECT,
            ["bash", "-c", "\"$@\"; exit $?", "bash"].map(PathBuf::from).into_iter().chain([path]),
        )
        .variable("PATH", format!("/usr/bin:{}", direct.display()))
        .within(&direct)
        .output();
        assert_eq!(shell.ended, Ended::Exit(status), "bash, {what}");
    }
    let mut wrong = Vec::new();
    for case in ALL {
        let directory = stage().scratch(case.uid);
        for (what, path, status) in unstartable(&directory) {
            let Output { ended, out, err } = Start::new(&case, [&path])
                .variable("PATH", format!("/usr/bin:{}", directory.display()))
                .within(&directory)
                .output();
            if ended != Ended::Exit(status) || !out.is_empty() || err.len() != 1 && err.len() != 2 {
                wrong.push(format!("{}, {what}: {ended:?} not {status}, {out:?}, {err:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_script_without_interpreter_runs_through_sh() {
    let run = |case: &Case, by_name: bool| {
        let directory = stage().scratch(case.uid);
        let path = directory.join("nameless-script");
        fs::write(&path, "echo \"$# $1 $2\"\nexit 21\n").expect("script");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("chmod");
        let name = if by_name { "nameless-script".into() } else { path };
        Start::new(case, [name, "one".into(), "two words".into()])
            .variable("PATH", format!("/usr/bin:{}", directory.display()))
            .output()
    };
    let expected = Output { ended: Ended::Exit(21), out: vec!["2 one two words".into()], err: Vec::new() };
    equal(&ALL, &expected, |case| run(case, true));
    equal(&ALL, &expected, |case| run(case, false));
}

#[test]
fn a_name_is_looked_up_as_execvp_does() {
    // An unreachable directory and a file that may not be executed come first.
    equal(&ALL, &Ended::Exit(5), |case| {
        let directory = stage().scratch(case.uid);
        for (part, mode) in [("first", 0o644), ("second", 0o755)] {
            let part = directory.join(part);
            fs::create_dir(&part).expect("directory");
            fs::write(part.join("tool"), "#!/bin/sh\nexit 5\n").expect("tool");
            fs::set_permissions(part.join("tool"), Permissions::from_mode(mode)).expect("chmod");
        }
        let path = format!("/no/such:{0}/first:{0}/second:/bin", directory.display());
        Start::new(case, ["tool"]).variable("PATH", path).ended()
    });
}

#[test]
fn an_empty_path_element_is_the_working_directory() {
    equal(&ALL, &Ended::Exit(6), |case| {
        let directory = stage().scratch(case.uid);
        fs::write(directory.join("tool"), "#!/bin/sh\nexit 6\n").expect("tool");
        fs::set_permissions(directory.join("tool"), Permissions::from_mode(0o755)).expect("chmod");
        Start::new(case, ["tool"]).variable("PATH", "/no/such:").within(directory).ended()
    });
}

#[test]
fn ignored_sigchld_does_not_lose_the_status() {
    equal(&ALL, &Ended::Exit(33), |case| Start::probe(case, ["exit", "33"]).with("ignore=17").ended());
}

#[test]
fn a_child_from_before_is_not_taken_for_the_program() {
    // As a shell does with `job & exec CMD`; the early child exits with 5.
    equal(&SUPERVISING, &Ended::Exit(8), |case| {
        Start::new(case, ["sh", "-c", "sleep 0.3; exit 8"]).with("child=50").ended()
    });
}

#[test]
fn the_end_is_not_delayed_by_descendants() {
    for case in SUPERVISING {
        let begun = Instant::now();
        let ended = Start::new(&case, ["sh", "-c", "sleep 15 & exit 4"]).ended();
        assert_eq!(ended, Ended::Exit(4), "{}", case.name);
        assert!(begun.elapsed() < Duration::from_secs(10), "{} waited for a descendant", case.name);
    }
}

#[test]
fn a_descendant_may_outlive_the_program_and_start_others() {
    equal(&SUPERVISING, &"started\n".to_owned(), |case| {
        let directory = stage().scratch(case.uid);
        let script = "(sleep 0.3; /bin/echo started > late.new; mv late.new late) & exit 0";
        let ended = Start::new(case, ["sh", "-c", script]).within(&directory).ended();
        assert_eq!(ended, Ended::Exit(0), "{}", case.name);
        let late = directory.join("late.new");
        eventually(&format!("{}: a late exec of a descendant", case.name), || {
            directory.join("late").exists() || late.metadata().is_ok_and(|file| file.len() > 0)
        });
        read(if late.exists() { late } else { directory.join("late") })
    });
}
