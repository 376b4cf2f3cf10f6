//! Where values are in memory: nowhere that others can read.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::room::{Room, random};

/// All memory of a process that root can read, searched.
fn memory_holds(pid: u32, needle: &str) -> bool {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("this test runs as root");
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    for line in maps.lines() {
        let (start, end) = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
        let (mut at, end) = (number(start), number(end));
        let mut chunk = vec![0; 1 << 16];
        while at < end {
            let wanted = chunk.len().min((end - at) as usize);
            match memory.read_at(&mut chunk[..wanted], at) {
                Ok(count @ 1..) => {
                    if chunk[..count].windows(needle.len()).any(|bytes| bytes == needle.as_bytes()) {
                        return true;
                    }
                    // Overlapping, so that nothing hides on an edge.
                    at += (count as u64).saturating_sub(needle.len() as u64).max(1);
                    if count <= needle.len() {
                        break;
                    }
                }
                _ => at = (at / 4096 + 1) * 4096,
            }
            if at + needle.len() as u64 >= end {
                break;
            }
        }
    }
    false
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// The processes of a command once `is_there` holds for them.
fn wait_for(child: &Child, is_there: impl Fn(&[u32]) -> bool) -> Vec<u32> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let mut all = vec![child.id()];
        let mut at = 0;
        while at < all.len() {
            all.extend(children(all[at]));
            at += 1;
        }
        if is_there(&all) {
            return all;
        }
        assert!(Instant::now() < end, "it does not come to that");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn waits_in(pid: u32, call: &str) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    text.split(' ').next() == Some(call)
}

const WRITE: &str = "1";
const READ: &str = "0";

/// envward, not below setsid.
fn command(room: &Room, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_envward"));
    command
        .args(arguments)
        .current_dir(room.path(""))
        .env_clear()
        .env("HOME", room.path("home"))
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    command
}

/// A pipe that is too small for what is written to it.
#[test]
fn no_command_has_a_value_in_memory_that_others_can_read() {
    let room = Room::new();
    let secret = random();
    // The search finds what is there.
    let control = Command::new("sleep").arg("60").env("CONTROL", &secret).spawn().unwrap();
    assert!(memory_holds(control.id(), &secret));
    end(control);
    // Longer than a pipe, so that the command waits while it has everything in memory.
    let long = format!("{secret}{}", "x".repeat(100_000));
    room.set("A", &long);
    for arguments in [&["get", "A"][..], &["get", "--json", "A"], &["export"], &["export", "--json"]] {
        let mut child = command(&room, arguments).spawn().unwrap();
        let pids = wait_for(&child, |pids| pids.len() == 2 && waits_in(pids[1], WRITE));
        for pid in pids {
            assert!(!memory_holds(pid, &secret), "{arguments:?}: process {pid}");
        }
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(text.contains(&secret));
        assert!(child.wait().unwrap().success());
    }
    // One that reads: half of the value is there, and it waits for the rest.
    let mut child = command(&room, &["set", "B"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(secret.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let pids = wait_for(&child, |pids| pids.len() == 2 && waits_in(pids[1], READ));
    for pid in pids {
        assert!(!memory_holds(pid, &secret), "set: process {pid}");
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_supervisor_never_had_a_value_and_stays_small() {
    let room = Room::new();
    let secret = random();
    let many: String = (0..100).map(|number| format!("SECRET_{number}={secret}{number}\n")).collect();
    room.write("many.env", &many);
    room.run(&["import", "many.env"]).ok();
    let mut child =
        command(&room, &["run", "-q", "--", "sh", "-c", "echo up; read line"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut up = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    assert!(!memory_holds(child.id(), &secret));
    let identity = fs::read_to_string(room.path("home/.config/envward/identity.txt")).unwrap();
    let identity = identity.lines().last().unwrap();
    assert!(!memory_holds(child.id(), identity));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let rss: u64 = rss.trim().split(' ').next().unwrap().parse().unwrap();
    // The limit is for the binary that is shipped; this one may be unoptimized.
    let limit = if cfg!(debug_assertions) { 3 * 4096 } else { 4096 };
    assert!(rss < limit, "{rss} KiB");
    // The process that opened the store is gone.
    assert_eq!(children(child.id()).len(), 1);
    let fds = fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
    for fd in fds.flatten() {
        let target = fs::read_link(fd.path()).unwrap_or_default();
        assert!(!target.starts_with(Path::new("/secretmem")), "an open descriptor of secret memory");
    }
    end(child);
}

/// A confined process cannot do what an attacker in it would want.
#[test]
fn the_process_with_the_values_is_confined() {
    let room = Room::new();
    room.set("A", &"x".repeat(100_000));
    let child = command(&room, &["get", "A"]).spawn().unwrap();
    let pids = wait_for(&child, |pids| pids.len() == 2 && waits_in(pids[1], WRITE));
    let status = fs::read_to_string(format!("/proc/{}/status", pids[1])).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!(field("Seccomp:"), "2");
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("Threads:"), "1");
    let maps = fs::read_to_string(format!("/proc/{}/maps", pids[1])).unwrap();
    assert!(maps.contains("secretmem"));
    // Its stack pointer is in secret memory.
    let syscall = fs::read_to_string(format!("/proc/{}/syscall", pids[1])).unwrap();
    let pointer = syscall.split_whitespace().rev().nth(1).unwrap().trim_start_matches("0x").to_owned();
    let pointer = u64::from_str_radix(&pointer, 16).unwrap();
    let stack = maps.lines().find(|line| {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        (number(start)..number(end)).contains(&pointer)
    });
    assert!(stack.unwrap().contains("secretmem"));
    end(child);
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}
