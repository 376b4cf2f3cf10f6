//! Writers that are killed, and writers at the same time.

use std::fs;
use std::process::Command;

use crate::room::{Done, Room};

/// Kills `envward set`, at every entry to and every return from a system call that it and its
/// child make: the store then has the old value or the new one, and opens.
#[test]
fn a_writer_that_is_killed_at_any_step_leaves_the_old_store_or_the_new_one() {
    let room = Room::new();
    room.set("A", "old");
    room.set("B", "other");
    let killer = room.compile("kill_at");
    let old = fs::read(room.store()).unwrap();
    let write = |at: u64| {
        let mut command = room.program(&killer);
        command.arg(at.to_string()).args([env!("CARGO_BIN_EXE_envward"), "set", "A", "--generate", "chars:3:nN"]);
        let done = Done::of(&command.output().unwrap());
        done.ok().trim().parse::<u64>().unwrap()
    };
    let steps = write(0);
    assert_eq!(room.read("A").unwrap().to_lowercase(), "nnn");
    assert!(steps > 100, "{steps} steps");
    let (mut kept, mut replaced, mut left_over) = (0, 0, 0);
    for at in 1..=steps {
        fs::write(room.store(), &old).unwrap();
        write(at);
        match room.read("A") {
            Ok(value) if value == "old" => kept += 1,
            Ok(value) if value.to_lowercase() == "nnn" => replaced += 1,
            other => panic!("killed at step {at} of {steps}: {other:?}"),
        }
        assert_eq!(room.read("B").unwrap(), "other");
        left_over += room.files().iter().filter(|name| name.contains(".envward-")).count();
    }
    // Otherwise the kills were not where the writing is.
    assert!(kept > 50 && replaced > 1 && left_over > 1, "{kept} kept, {replaced} replaced, {left_over} left over");
    // The next writer tidies up.
    room.set("A", "after");
    assert!(!room.files().iter().any(|name| name.contains(".envward-")), "{:?}", room.files());
    assert_eq!(room.get("A"), "after");
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    const WRITERS: usize = 8;
    const VALUES: usize = 25;
    let room = Room::new();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let room = &room;
            scope.spawn(move || {
                for number in 0..VALUES {
                    room.set(&format!("W{writer}_{number}"), &format!("{writer} {number}"));
                    // All of them, too, on one name.
                    if number % 5 == 0 {
                        room.set("SHARED", &format!("{writer} {number}"));
                    }
                }
            });
        }
    });
    let all: serde_json::Value = serde_json::from_str(&room.run(&["export", "--json"]).ok()).unwrap();
    for writer in 0..WRITERS {
        for number in 0..VALUES {
            assert_eq!(all[format!("W{writer}_{number}")], format!("{writer} {number}"));
        }
    }
    let history = room.run(&["history", "SHARED"]).ok();
    assert_eq!(history.lines().count(), WRITERS * VALUES.div_ceil(5));
}

#[test]
fn readers_never_see_half_a_store() {
    let room = Room::new();
    room.set("A", "value");
    let finished = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                room.run(&["rotate-keys"]).ok();
            }
            finished.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !finished.load(std::sync::atomic::Ordering::Relaxed) {
            assert_eq!(room.read("A").unwrap(), "value");
        }
    });
}

#[test]
fn a_link_stays_a_link_and_a_mode_a_mode() {
    use std::os::unix::fs::PermissionsExt;
    let room = Room::new();
    fs::rename(room.store(), room.path("real.envward")).unwrap();
    std::os::unix::fs::symlink("real.envward", room.store()).unwrap();
    fs::set_permissions(room.path("real.envward"), fs::Permissions::from_mode(0o640)).unwrap();
    room.set("A", "value");
    assert!(fs::symlink_metadata(room.store()).unwrap().is_symlink());
    assert_eq!(fs::metadata(room.path("real.envward")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(room.get("A"), "value");
}

#[test]
fn git_merges_what_two_branches_have_added() {
    let room = Room::new();
    room.write(".gitattributes", "secrets.envward merge=union\n");
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=trunk"];
        let mut command: Command = room.program("git");
        let done = Done::of(&command.args(identity).args(arguments).output().expect("apt-get install git"));
        assert_eq!(done.code, Some(0), "git {arguments:?} (apt-get install git): {}{}", done.out, done.err);
    };
    room.set("M", "base");
    git(&["init", "-q"]);
    git(&["add", "secrets.envward", ".gitattributes"]);
    git(&["commit", "-qm", "base"]);
    git(&["checkout", "-qb", "other"]);
    room.set("A", "other");
    room.set("Z", "other");
    git(&["commit", "-qam", "other"]);
    git(&["checkout", "-q", "trunk"]);
    room.set("B", "trunk");
    room.set("Y", "trunk");
    room.set("M", "trunk");
    git(&["commit", "-qam", "trunk"]);
    git(&["merge", "-q", "-m", "both", "other"]);
    for (name, value) in [("A", "other"), ("B", "trunk"), ("M", "trunk"), ("Y", "trunk"), ("Z", "other")] {
        assert_eq!(room.get(name), value);
    }
}
