//! What `envward run` starts is protected, from before its first instruction on.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use envward_guest::Guest;

use crate::stage::{Agent, Victim, until};

/// Starts a shell script under `envward run`, with one secret.
fn launch(guest: &Guest, marker: &str, script: &str) -> std::process::Child {
    let file = std::env::temp_dir().join(format!("env-{}", std::process::id()));
    fs::write(&file, format!("MARKER={marker}\n")).unwrap();
    Command::new(guest.program("envward"))
        .args(["run", "-v", "--env-file"])
        .arg(&file)
        .args(["--", "sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_launched_tree_is_protected_and_works() {
    let guest = Guest::here();
    let agent = Agent::start(&guest);
    let room = tempfile::tempdir().unwrap();
    let pids = room.path().join("pids");
    let script = format!(
        "echo $$ >> {0}; test \"$MARKER\" = fake-value-of-a-test && sh -c 'echo $$ >> {0}; test \"$MARKER\" = \
         fake-value-of-a-test && (sleep 5; true)'",
        pids.display()
    );
    let child = launch(&guest, "fake-value-of-a-test", &script);
    until(|| fs::read_to_string(&pids).is_ok_and(|text| text.lines().count() == 2));
    let mut tree: Vec<u32> = fs::read_to_string(&pids).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    tree.push(child.id());
    for pid in tree {
        for name in ["environ", "mem", "maps", "auxv", "pagemap"] {
            let error = fs::File::open(format!("/proc/{pid}/{name}")).expect_err("open to root");
            assert_eq!(error.raw_os_error(), Some(1), "{pid} {name}");
        }
        // What tells no content stays as it was, for service managers and journals.
        fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the agent protects this program"), "{said}");
    let (_, sums) = agent.stop();
    // Only the agent is left in the map of protected processes.
    assert_eq!(crate::stage::sum(&sums, "not-inherited"), 0, "{sums}");
}

#[test]
fn without_the_agent_root_can_open_them() {
    let guest = Guest::here();
    let child = launch(&guest, "fake-value-of-a-test", "sleep 3");
    until(|| fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).is_ok_and(|text| !text.is_empty()));
    let program = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
    fs::File::open(format!("/proc/{}/mem", program.trim().split(' ').next().unwrap())).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("the agent protects"));
}

/// Readers that try every process that is started after them, while one tree execs on and on.
#[test]
fn no_exec_opens_a_window_to_root() {
    let guest = Guest::here();
    let _agent = Agent::start(&guest);
    let stop = AtomicBool::new(false);
    let tries = AtomicU64::new(0);
    let hits = Mutex::new(Vec::new());
    let first = Victim::start().pid();
    let mut launcher = 0;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for pid in processes().filter(|pid| *pid > first) {
                        for name in ["mem", "environ"] {
                            tries.fetch_add(1, Ordering::Relaxed);
                            if fs::File::open(format!("/proc/{pid}/{name}")).is_ok() && has_memory(pid) {
                                hits.lock().unwrap().push((pid, name));
                            }
                        }
                    }
                }
            });
        }
        let script = "i=0; while [ $i -lt 20 ]; do /usr/bin/true; i=$((i+1)); done";
        let child = launch(&guest, "fake-value-of-a-test", script);
        launcher = child.id();
        let output = child.wait_with_output().unwrap();
        stop.store(true, Ordering::Relaxed);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
    let tries = tries.into_inner();
    guest.figure(&format!("exec windows: {tries} opens tried on a tree of 20 execs"));
    assert!(tries > 100, "the readers saw nothing of the tree: {tries}");
    // The launcher is a process as any other before it registers; it starts nothing until then.
    let hits: Vec<_> = hits.into_inner().unwrap().into_iter().filter(|(pid, _)| *pid != launcher).collect();
    assert_eq!(hits, [], "processes of the tree were open");
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Neither a kernel thread nor a zombie, whose files are open to everybody and empty.
fn has_memory(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|text| text.contains("VmSize:"))
}
