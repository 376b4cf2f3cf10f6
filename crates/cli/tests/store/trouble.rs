//! What can go wrong: a message, a code, and nothing lost.

use std::fs;

use crate::room::{Done, Room, feed};

/// Commands that read, and commands that write.
const READING: [&[&str]; 3] = [&["get", "A"], &["export"], &["list"]];
const WRITING: [&[&str]; 5] =
    [&["set", "B"], &["rm", "A"], &["revert", "A", "1"], &["rotate-keys"], &["recipients", "add", "--file", "none"]];

#[test]
fn a_store_that_is_broken_anywhere_is_refused_by_every_command() {
    let room = Room::new();
    room.set("A", "hidden value");
    let good = fs::read(room.store()).unwrap();
    // Every byte is broken in the tests of the format; here some in each part of the file.
    let places = (0..good.len()).step_by(good.len() / 12);
    let spoilt = places.flat_map(|at| {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        [flipped, good[..at].to_vec()]
    });
    for text in spoilt {
        fs::write(room.store(), &text).unwrap();
        let done = room.run(&["get", "A"]);
        assert!(matches!(done.code, Some(3 | 4)), "{:?}: {}", done.code, done.err);
        assert!(!done.err.contains("hidden") && !done.err.contains("panicked"), "{}", done.err);
        let done = room.feed(&["set", "B"], b"v");
        assert!(matches!(done.code, Some(3 | 4)), "{:?}: {}", done.code, done.err);
        room.run(&["run", "--", "true"]).fails(125);
        assert!(fs::read(room.store()).unwrap() == text, "it was changed");
    }
    fs::write(room.store(), "").unwrap();
    for arguments in READING.iter().chain(&WRITING) {
        room.run(arguments).fails(if arguments.contains(&"none") { 5 } else { 4 });
    }
}

#[test]
fn no_store_and_no_file_are_said() {
    let room = Room::empty();
    for arguments in READING {
        let said = room.run(arguments).fails(5);
        assert!(said.contains("envward init"), "{said}");
    }
    let said = room.run(&["get", "A", "--store", "."]).fails(5);
    assert!(said.contains("cannot read ."), "{said}");
    room.write("envward.toml", "[store]\npaht = \"x\"\n");
    room.run(&["list"]).fails(2);
    room.run(&["run", "--", "true"]).fails(125);
}

/// A command of ours as a user who may not write.
#[test]
fn a_folder_that_is_read_only_loses_nothing() {
    let room = Room::new();
    room.set("A", "value");
    let before = fs::read(room.store()).unwrap();
    // Root may write where the mode says no, but not where the mount does.
    let script = format!(
        "mount --bind . . && mount -o remount,bind,ro . && cd . && cd \"$PWD\" && echo v | {} set A",
        env!("CARGO_BIN_EXE_envward")
    );
    let done = Done::of(&room.program("unshare").args(["-m", "sh", "-c", &script]).output().unwrap());
    let said = done.fails(5);
    assert!(
        said.contains("Read-only") && said.contains("nothing was changed") && said.contains("must be writable"),
        "{said}"
    );
    assert!(fs::read(room.store()).unwrap() == before);
    assert_eq!(room.get("A"), "value");
}

#[test]
fn a_full_disk_loses_nothing() {
    let room = Room::new();
    room.set("A", "value");
    let envward = env!("CARGO_BIN_EXE_envward");
    // A file system with room for the store, once.
    let script = format!(
        "set -e; mkdir full; mount -t tmpfs -o size=64k tmpfs full; cp secrets.envward full; cd full
        cat /dev/zero > fill 2>/dev/null || true; cp secrets.envward before
        status=0; echo v | {envward} set A --store secrets.envward || status=$?
        cmp ../secrets.envward secrets.envward; ls -A; test \"$({envward} get A --store secrets.envward)\" = value
        {envward} run -q --config ../full.toml -- sh -c 'test \"$A\" = value'
        truncate -s 40000 fill; echo new | {envward} set A --store secrets.envward
        test \"$({envward} get A --store secrets.envward)\" = new
        exit $status"
    );
    room.write("full.toml", "[store]\npath = \"full/secrets.envward\"\n");
    let script = script.replace("; cp secrets.envward before\n", "\n");
    let done = Done::of(&room.program("unshare").args(["-m", "sh", "-c", &script]).output().unwrap());
    assert!(!done.out.contains(".envward-"), "{}", done.out);
    let said = done.fails(5);
    assert!(said.contains("No space left") && said.contains("nothing was changed"), "{said}");
}

#[test]
fn a_store_that_is_held_for_long_is_waited_for() {
    let room = Room::new();
    let file = fs::File::open(room.store()).unwrap();
    file.lock().unwrap();
    let waiting = std::thread::scope(|scope| {
        let writer = scope.spawn(|| room.feed(&["set", "A"], b"value"));
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!writer.is_finished());
        // Readers do not wait.
        room.run(&["list"]).ok();
        drop(file);
        writer.join().unwrap()
    });
    waiting.ok();
    assert_eq!(room.get("A"), "value");
}

#[test]
fn little_locked_memory_is_enough_and_none_is_said() {
    let room = Room::new();
    room.set("A", "value");
    // As a user without privileges, since root is above the limit; a copy, since they may not be
    // allowed where this one is.
    fs::copy(env!("CARGO_BIN_EXE_envward"), room.path("envward")).unwrap();
    let user = |limit: &str, arguments: &str| {
        let script = format!(
            "chmod -R a+rwX . && ulimit -l {limit} && exec setpriv --reuid 12345 --regid 12345 --clear-groups ./envward {arguments}"
        );
        Done::of(&room.program("sh").args(["-c", &script]).output().unwrap())
    };
    assert_eq!(user("1024", "get --raw A").ok(), "value");
    let said = user("0", "get --raw A").fails(5);
    assert!(said.contains("RLIMIT_MEMLOCK"), "{said}");
}

#[test]
fn output_that_cannot_be_written_is_said() {
    let room = Room::new();
    room.set("A", "value");
    let script = format!("{} get A > /dev/full", env!("CARGO_BIN_EXE_envward"));
    let done = Done::of(&room.program("sh").args(["-c", &script]).output().unwrap());
    assert!(done.fails(5).contains("No space left"));
    let mut command = room.command(&["import", "-"]);
    feed(&mut command, b"A='unterminated\n").fails(7);
}
