//! The watch itself: it must find what is there to find.
#![cfg(test)]

use std::sync::Arc;

use envward_testkit::{Identity, Launch, Room, TestSecret, interpreter};

const BRIEF: u64 = 200;

/// Processes that live as briefly as `true` are the exec windows of the tests.
#[test]
fn finds_secrets_of_processes_that_live_for_a_millisecond() {
    let room = Room::new();
    let secret = Arc::new(TestSecret::new("BRIEF"));
    let script =
        format!("i=0; while [ $i -lt {BRIEF} ]; do BRIEF={} /bin/true; i=$((i+1)); done; echo done", secret.value());
    let argv = ["/bin/sh", "-c", &script];
    let mut running = Launch::new(&room, &[Arc::clone(&secret)], Identity::Caller, argv).start();
    running.expect(&["done".to_owned()]);
    let ended = running.finish();
    ended.expect_success();
    let caught = ended.report.leaked.get(&interpreter("true", "coreutils")).copied();
    println!("{caught:?} of {BRIEF}, {} reads", ended.report.reads);
    assert!(caught.unwrap_or(0) > BRIEF / 20, "{:?}", ended.report);
    assert!(!ended.report.leaked.contains_key(&interpreter("sh", "dash")));
}

/// A process that was seen stays in the tree when its parents are gone. (One
/// that was not yet seen stays where there is a subreaper, as under envward.)
#[test]
fn follows_a_double_fork() {
    let room = Room::new();
    let secret = Arc::new(TestSecret::new("ORPHAN"));
    let script = format!(
        "(ORPHAN={} sh -c 'sleep 0.1; exec sleep 1' </dev/null >/dev/null 2>&1 & sleep 0.05) & wait; echo gone; read -r line",
        secret.value()
    );
    let argv = ["/bin/sh", "-c", &script];
    let mut running = Launch::new(&room, &[Arc::clone(&secret)], Identity::Caller, argv).start();
    running.expect(&["gone".to_owned()]);
    let sleep = interpreter("sleep", "coreutils");
    assert!(
        running.watch().wait(envward_testkit::PATIENCE, |report| report.leaked.contains_key(&sleep)),
        "{:?}",
        running.watch().report()
    );
}

/// Nothing of an unwatched value is a hit.
#[test]
fn finds_nothing_where_nothing_is() {
    let room = Room::new();
    let secret = Arc::new(TestSecret::new("ABSENT"));
    let argv = ["/bin/sh", "-c", "read -r line"];
    let running = Launch::new(&room, &[secret], Identity::Caller, argv).start();
    let shell = interpreter("sh", "dash");
    running.expect_reads(std::slice::from_ref(&shell), 50);
    let ended = running.finish();
    ended.expect_clean(&[&shell]);
    assert_eq!(ended.report.leaked.len(), 0);
}
