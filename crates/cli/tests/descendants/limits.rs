//! Programs under resource limits, which also bound what injection can do in
//! them.

use std::ffi::OsString;

use envward_testkit::{Capability, Identity, Language, Stage, stage};

use crate::BOTH;

/// A shell that sets limits and then execs a static program, which needs next
/// to nothing by itself.
fn limited(stage: &Stage, limits: &str) -> Vec<OsString> {
    let text = format!("set -e; {limits}; exec \"$@\"");
    let mut command: Vec<OsString> = ["/bin/bash", "-c", &text, "bash"].map(Into::into).to_vec();
    command.extend(stage.asked([stage.program(Language::Musl, "check")]));
    command
}

fn runs_with(limits: &str, identities: &[Identity]) {
    let stage = stage!();
    let program = stage.program(Language::Musl, "check");
    for &identity in identities {
        stage.trial(limited(&stage, limits)).identity(identity).says(&["seen"]).holders(&[&program]).run();
    }
}

#[test]
fn little_address_space() {
    runs_with("ulimit -v 20000", &BOTH);
}

#[test]
fn little_stack() {
    runs_with("ulimit -s 128", &BOTH);
}

#[test]
fn no_file_may_be_written() {
    runs_with("ulimit -f 0", &BOTH);
}

#[test]
fn no_further_process() {
    runs_with("ulimit -u 0", &BOTH);
}

/// Every descriptor that the limit allows is in use, as in a server that has
/// run out of them.
#[test]
fn no_free_descriptor() {
    runs_with("ulimit -S -n 3", &BOTH);
    if Capability::Resource.is_ours() {
        runs_with("ulimit -n 3", &[Identity::Caller]);
    } else {
        does_not_start_with("ulimit -n 3", Identity::Caller);
    }
    does_not_start_with("ulimit -n 3", Identity::Unprivileged);
}

#[test]
fn little_data() {
    runs_with("ulimit -S -d 200", &BOTH);
}

/// The program's own soft limit, where the hard one leaves room.
#[test]
fn no_locked_memory() {
    runs_with("ulimit -S -l 0", &BOTH);
}

#[test]
fn no_locked_memory_at_all() {
    does_not_start_with("ulimit -l 0", Identity::Unprivileged);
}

/// A hard limit is beyond the reach of whoever lacks the capability: then the
/// program is not started at all, and not without its secret, and the reason is
/// said.
fn does_not_start_with(limits: &str, identity: Identity) {
    let stage = stage!();
    let trial = stage.trial(limited(&stage, limits)).identity(identity);
    let mut plain = trial.start_plainly();
    plain.expect(&["seen".to_owned()]);
    plain.finish().expect_success();
    let mut running = trial.start_under_envward();
    let status = running.wait();
    let ended = running.finish();
    assert!(!status.success(), "{status}");
    assert!(ended.lines.is_empty(), "{:?}", ended.lines);
    assert!(ended.stderr.contains("envward: "), "it says why: {}", ended.stderr);
    ended.expect_clean(&[]);
}
