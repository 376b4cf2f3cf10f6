//! Execs while signals arrive: see `tests/programs/c/storm.c`.

use std::ffi::OsString;

use envward_testkit::{Language, stage};

use crate::{BOTH, behind_a_shell};

/// So many execs in a storm; `heard` of them say what they see.
fn storm(kind: &str, times: usize, heard: usize) {
    for language in [Language::C, Language::I386] {
        let stage = stage!();
        let program = stage.program(language, "storm");
        let mut command: Vec<OsString> = vec![program.clone().into(), kind.into(), times.to_string().into()];
        command.extend(stage.asked::<[&str; 0]>([]));
        command.extend(stage.asked([stage.program(language, "check")]));
        let command = behind_a_shell(&stage, command);
        // The shell, the children, the ordinary one, the storm itself.
        let says = vec!["seen"; heard + 3];
        for identity in BOTH {
            stage.trial(command.clone()).identity(identity).says(&says).holders(&[&stage.shell(), &program]).run();
        }
    }
}

#[test]
fn handled_signals_never_show_as_errors_of_execve() {
    storm("signals", 50, 50);
}

#[test]
fn stopped_processes_go_on() {
    storm("stops", 50, 50);
}

#[test]
fn killed_processes_leave_nothing_behind() {
    storm("kills", 100, 0);
}
