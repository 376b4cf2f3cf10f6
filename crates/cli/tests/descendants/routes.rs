//! The ways from C, in each libc and width: see `tests/programs/c/routes.c`.

use std::ffi::OsString;

use envward_testkit::{Language, Stage, stage};

use crate::{BOTH, behind_a_shell};

const LIBCS: [Language; 3] = [Language::C, Language::Musl, Language::I386];

/// Takes a route to a program of the same kind; `lines` are what the program
/// that takes it says between its first line and the verdict of the one it
/// starts, `after` what it says when that has ended.
fn take(route: &str, lines: &[&str], after: &[&str]) {
    for language in LIBCS {
        let stage = stage!();
        let leaf = stage.program(language, "check");
        let command = behind_a_shell(&stage, route_to(&stage, language, route, "check"));
        let says = [&["seen", "seen"], lines, &["seen"]].concat();
        for identity in BOTH {
            stage
                .trial(command.clone())
                .identity(identity)
                .says(&says)
                .finally(after)
                .holders(&[&stage.shell(), &leaf])
                .run();
        }
    }
}

/// Takes a route whose end must not have the secret, or not this one.
fn lose(route: &str, lines: &[&str]) {
    for language in LIBCS {
        let stage = stage!();
        let command = behind_a_shell(&stage, route_to(&stage, language, route, "check"));
        for identity in BOTH {
            stage
                .trial(command.clone())
                .identity(identity)
                .says(&[&["seen", "seen"], lines].concat())
                .holders(&[&stage.shell()])
                .run();
        }
    }
}

fn route_to(stage: &Stage, language: Language, route: &str, program: &str) -> Vec<OsString> {
    let routes = stage.program(language, "routes");
    let mut command = stage.asked([routes.as_os_str(), route.as_ref()]);
    command.extend(stage.asked([stage.program(language, program)]));
    command
}

#[test]
fn exec() {
    take("exec", &[], &[]);
}

#[test]
fn setenv_of_the_same_value() {
    take("setenv", &["seen"], &[]);
}

#[test]
fn putenv_of_the_same_value() {
    take("putenv", &["seen"], &[]);
}

#[test]
fn envp_copied_to_the_stack() {
    take("copied-envp", &[], &[]);
}

#[test]
fn vfork() {
    take("vfork", &[], &["seen"]);
}

#[test]
fn vfork_after_failed_execs() {
    take("vfork-after-failures", &[], &["seen"]);
}

#[test]
fn posix_spawn() {
    take("spawn", &[], &["seen"]);
}

#[test]
fn posix_spawnp_past_directories_without_the_program() {
    take("spawnp", &[], &["seen"]);
}

#[test]
fn execvp_past_directories_without_the_program() {
    take("execvp", &[], &[]);
}

#[test]
fn failed_execs_give_their_errors_and_lose_nothing() {
    take("failures", &["seen"], &[]);
}

#[test]
fn fexecve() {
    take("fexecve", &[], &[]);
}

#[test]
fn execveat_of_a_descriptor() {
    take("execveat-fd", &[], &[]);
}

#[test]
fn execveat_in_a_directory() {
    take("execveat-dir", &[], &[]);
}

#[test]
fn failed_execveat_gives_its_error_and_loses_nothing() {
    take("failed-execveat", &["seen"], &[]);
}

#[test]
fn thread_that_is_not_the_leader() {
    take("thread", &[], &[]);
}

#[test]
fn thread_whose_leader_is_gone() {
    take("orphaned-thread", &[], &[]);
}

#[test]
fn threads_that_race_to_the_same_exec() {
    take("racing-threads", &[], &[]);
}

#[test]
fn path_of_a_descriptor() {
    take("descriptor-path", &["seen"; 3], &[]);
}

#[test]
fn arguments_of_two_megabytes() {
    take("large-arguments", &["seen"], &[]);
}

#[test]
fn twenty_thousand_entries() {
    take("many-entries", &["seen"], &[]);
}

#[test]
fn empty_envp_stays_empty() {
    lose("empty-envp", &["missing"]);
}

#[test]
fn null_envp_stays_empty() {
    lose("null-envp", &["missing"]);
}

#[test]
fn cleared_environment_stays_empty() {
    lose("clearenv", &["missing"]);
}

#[test]
fn removed_variable_stays_removed() {
    lose("unsetenv", &["missing", "missing"]);
}

#[test]
fn changed_value_is_the_programs_own() {
    lose("change", &["different", "different"]);
}
