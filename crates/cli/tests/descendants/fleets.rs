//! Many execs at once, and many in a row.

use std::ffi::OsString;

use envward_testkit::{Language, interpreter, require_root, stage, tool};

use crate::{BOTH, leaf};

/// A script that starts many leaf programs (`$@`), each with an empty standard
/// input, and then one that holds.
fn fleet(text: &str, count: usize) {
    let stage = stage!();
    let leaf_program = stage.program(Language::C, "check");
    // Each user works in a directory of his own.
    let text = format!("set -e; mkdir -p work-$(id -u); cd work-$(id -u); {text}; exec \"$@\"");
    let mut command: Vec<OsString> = ["/bin/sh", "-c", &text, "sh"].map(Into::into).to_vec();
    command.extend(leaf(&stage));
    for identity in BOTH {
        stage.trial(command.clone()).identity(identity).says(&vec!["seen"; count + 1]).holders(&[&leaf_program]).run();
    }
}

#[test]
fn make_with_eight_jobs() {
    let _ = tool("make", "make");
    fleet(
        "printf 'all: %s\\nt%%:\\n\\t@$(CHECK) </dev/null\\n.PHONY: all\\n' \"$(seq -f t%g -s ' ' 40)\" >Makefile; \
         make --silent -j8 CHECK=\"$*\"",
        40,
    );
}

/// make runs make, and its variables travel in the environment.
#[test]
fn make_in_make() {
    let _ = tool("make", "make");
    fleet(
        "printf 'all: a b c d\\na b c d:\\n\\t@$(MAKE) --silent leaf\\nleaf: x y\\nx y:\\n\\t@$(CHECK) </dev/null\\n' >Makefile; \
         make --silent --no-print-directory -j4 CHECK=\"$*\"",
        8,
    );
}

#[test]
fn xargs_with_eight_processes() {
    let _ = tool("xargs", "findutils");
    fleet("seq 40 | xargs -P8 -I: \"$@\" </dev/null", 0);
    fleet("seq 40 | xargs -P8 -n1 sh -c '\"$0\" \"$1\" \"$2\" </dev/null' \"$@\"", 40);
}

#[test]
fn find_exec() {
    let _ = tool("find", "findutils");
    fleet(
        "mkdir -p tree/a/b; for i in 1 2 3 4 5; do : >tree/$i; : >tree/a/$i; : >tree/a/b/$i; done; \
         find tree -type f -exec sh -c '\"$@\" </dev/null' sh \"$@\" \\;; \
         find tree -name 1 -execdir sh -c '\"$@\" </dev/null' sh \"$@\" \\;",
        18,
    );
}

#[test]
fn background_jobs() {
    fleet("i=0; while [ $i -lt 40 ]; do \"$@\" </dev/null & i=$((i+1)); done; wait", 40);
}

/// Threads that all fork, vfork and spawn at the same time.
#[test]
fn sixteen_threads() {
    for language in [Language::C, Language::Musl, Language::I386] {
        let stage = stage!();
        let many = stage.program(language, "many");
        let mut command = vec![many.clone().into_os_string()];
        command.extend(["16", "6"].map(Into::into));
        let mut command = [command, stage.asked::<[&str; 0]>([])].concat();
        command.extend(leaf(&stage));
        for identity in BOTH {
            stage.trial(command.clone()).identity(identity).says(&["seen"; 97]).holders(&[&many]).run();
        }
    }
}

/// Readers go round over the environs of the tree during a thousand execs that
/// inherit the secret, in a shell loop as in a build, in both modes.
#[test]
fn hammered_through_a_thousand_execs() {
    const EXECS: usize = 500;
    let stage = stage!();
    let leaf_program = stage.program(Language::C, "check");
    let shell = stage.shell();
    let text = format!(
        "i=0; while [ $i -lt {} ]; do /bin/true; \"$@\" </dev/null || exit 1; i=$((i+1)); done; exec \"$@\"",
        EXECS / 2
    );
    let mut command: Vec<OsString> = ["/bin/sh", "-c", &text, "sh"].map(Into::into).to_vec();
    command.extend(leaf(&stage));
    let lines = vec!["seen"; EXECS / 2 + 1];
    for identity in BOTH {
        let trial = stage.trial(command.clone()).identity(identity).says(&lines).holders(&[&leaf_program]);
        trial.run_plainly();
        let ended = trial.run_under_envward();
        let exe = |name| interpreter(name, "coreutils");
        println!(
            "{identity:?}: {} reads of environs ({} of the shell, {} of check, {} of true), {} empty, {} hits, in {EXECS} execs",
            ended.report.reads,
            ended.report.of(&shell),
            ended.report.of(&leaf_program),
            ended.report.of(&exe("true")),
            ended.report.empty,
            ended.report.hit_count,
        );
        assert!(ended.report.reads > 2 * EXECS as u64, "{:?}", ended.report);
        assert!(ended.report.of(&shell) > EXECS as u64 / 2, "{:?}", ended.report);
        assert!(ended.report.of(&exe("true")) > 0, "{:?}", ended.report);
    }
}

/// A tree that lives long gives its secrets ever new names, one at a time.
#[test]
fn a_thousand_names_for_one_value() {
    fleet(
        "i=0; while [ $i -lt 1000 ]; do env \"NAME_$i=$ENVWARD_TEST_TOKEN\" /bin/true || exit 1; i=$((i+1)); done",
        0,
    );
}

/// And many at once.
#[test]
fn three_hundred_names_at_once() {
    fleet(
        "i=0; while [ $i -lt 300 ]; do export \"NAME_$i=$ENVWARD_TEST_TOKEN\"; i=$((i+1)); done; \
         \"$1\" NAME_0 \"$3\" </dev/null; \"$1\" NAME_299 \"$3\" </dev/null",
        2,
    );
}

/// A program that execs itself over and over leaves nothing in the supervisor: as many
/// descriptors after a thousand execs as after ten, and as many mappings, but for those that
/// the kernel joins or parts by where they happen to lie.
#[test]
fn supervisor_does_not_grow() {
    require_root("a look into the supervisor");
    let stage = stage!();
    let script = stage.room.write(
        "again",
        "#!/bin/sh\nn=$1; shift; [ \"$n\" -gt 0 ] && exec \"$0\" $((n-1)) \"$@\"; exec \"$@\"\n",
        0o755,
    );
    let size_after = |execs: &str| {
        let mut command: Vec<OsString> = vec![script.clone().into(), execs.into()];
        command.extend(leaf(&stage));
        let mut running = stage.trial(command).start_under_envward();
        running.expect(&["seen".to_owned()]);
        let process = std::path::PathBuf::from(format!("/proc/{}", running.pid()));
        let descriptors = process.join("fd").read_dir().expect("root may look").count();
        let maps = std::fs::read_to_string(process.join("maps")).expect("root may look").lines().count();
        running.finish().expect_success();
        (descriptors, maps)
    };
    let ((descriptors, maps), (descriptors_before, maps_before)) = (size_after("1000"), size_after("10"));
    assert_eq!(descriptors, descriptors_before);
    assert!(maps.abs_diff(maps_before) <= 4, "{maps} mappings after a thousand execs, {maps_before} after ten");
}
