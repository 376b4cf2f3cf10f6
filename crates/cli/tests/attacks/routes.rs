//! One test for each route to environment and memory.

use super::promise::{activity, promise};
use super::victim::{Attacker, Verdict, Victim};
use crate::stage::case::{Case, DIRECT, DIRECT_USER, FULL, FULL_USER, SEALED, SUPERVISED};

use Attacker::{OtherUser, Root, SameUser};
use Verdict::{Denied, Leaked, NotFound};

pub(super) fn check(route: &str) {
    let wrong = broken(route);
    assert!(wrong.is_empty(), "{route}:\n{}", wrong.join("\n"));
}

/// Where a promise is not kept.
fn broken(route: &str) -> Vec<String> {
    let (what, promise) = (activity(route), promise(route));
    let mut wrong = Vec::new();
    let user = [
        (DIRECT_USER, promise.plain),
        (SUPERVISED, promise.supervised),
        (SEALED, promise.sealed),
        (FULL_USER, promise.full),
    ];
    for (case, row) in user {
        compare(route, &Victim::new(&case, what), &case, &Attacker::ALL, &row, &mut wrong);
    }
    for (case, row) in [(DIRECT, promise.plain_root), (FULL, promise.full_root)] {
        compare(route, &Victim::new(&case, what), &case, &[OtherUser, Root], &row, &mut wrong);
    }
    // A program that the program has started: the same, but a sealed one gets no secret.
    for (case, row) in [(DIRECT_USER, promise.plain), (SUPERVISED, promise.supervised), (FULL_USER, promise.full)] {
        compare(route, &Victim::second(&case, what), &case, &Attacker::ALL, &row, &mut wrong);
    }
    wrong
}

fn compare(
    route: &str,
    victim: &Victim,
    case: &Case,
    attackers: &[Attacker],
    row: &[Verdict],
    wrong: &mut Vec<String>,
) {
    for (attacker, expected) in attackers.iter().zip(row) {
        let seen = victim.attacked(route, *attacker);
        if seen != *expected {
            wrong.push(format!("{}, {attacker:?}: {seen:?}, not {expected:?}", case.name));
        }
    }
}

#[test]
fn environ_by_pid() {
    check("environ");
}

#[test]
fn environ_by_task() {
    check("environ-task");
}

#[test]
fn environ_by_directory_descriptor() {
    check("environ-directory");
}

#[test]
fn environ_by_thread_self() {
    check("environ-thread-self");
}

#[test]
fn environ_by_another_mount() {
    check("environ-mount");
}

#[test]
fn environ_by_a_detached_mount() {
    check("environ-detached");
}

#[test]
fn environ_by_io_uring() {
    check("environ-uring");
}

#[test]
fn environ_by_a_bind_mount_of_the_file() {
    check("environ-bound-file");
}

#[test]
fn environ_by_a_bind_mount_of_procfs() {
    check("environ-bound-procfs");
}

#[test]
fn environ_by_a_symbolic_link() {
    check("environ-symlink");
}

#[test]
fn environ_by_openat2() {
    check("environ-openat2");
}

#[test]
fn environ_by_reopening_a_path_descriptor() {
    check("environ-reopen");
}

#[test]
fn environ_by_calls_of_32_bit_programs() {
    check("environ-compat");
}

#[test]
fn memory_by_mem_file() {
    check("memory");
}

#[test]
fn memory_by_mem_file_of_task() {
    check("memory-task");
}

#[test]
fn memory_by_remote_read() {
    check("remote-read");
}

#[test]
fn memory_by_ptrace_peek() {
    check("trace-peek");
}

#[test]
fn code_injected_by_ptrace() {
    check("trace-write");
}

#[test]
fn code_changed_through_mem_file() {
    check("memory-write");
}

#[test]
fn stack_sampled_by_the_profiler() {
    // A sample ends at the first page of the stack that is not there at that moment, so a plain
    // process need not leak at every try. A protected one must at none.
    let missed = |wrong: &[String]| wrong.iter().all(|line| line.ends_with("NotFound, not Leaked"));
    let mut wrong = Vec::new();
    for _ in 0..4 {
        wrong = broken("stack-samples");
        if wrong.is_empty() || !missed(&wrong) {
            break;
        }
    }
    assert!(wrong.is_empty(), "stack-samples:\n{}", wrong.join("\n"));
}

#[test]
fn secret_descriptor_copied() {
    // What would happen if the descriptor of the secret memory were left open.
    let careless = Victim::new(&DIRECT_USER, "memfd");
    assert_eq!(careless.attacked("descriptor-copy", SameUser), Leaked);
    assert_eq!(careless.attacked("descriptor-copy", OtherUser), Denied);
    assert_eq!(careless.attacked("descriptor-copy", Root), Leaked);
    check("descriptor-copy");
}

#[test]
fn secret_descriptor_opened_again() {
    let careless = Victim::new(&DIRECT_USER, "shared");
    assert_eq!(careless.attacked("descriptor-reopen", SameUser), Leaked);
    assert_eq!(careless.attacked("descriptor-reopen", OtherUser), Denied);
    assert_eq!(careless.attacked("descriptor-reopen", Root), Leaked);
    // memfd_secret has nothing behind the link that could be opened, even while it is open.
    let secretmem = Victim::new(&DIRECT_USER, "memfd");
    assert_eq!(secretmem.attacked("descriptor-reopen", SameUser), NotFound);
    assert_eq!(secretmem.attacked("descriptor-reopen", Root), NotFound);
    check("descriptor-reopen");
}

#[test]
fn secret_mapping_opened_by_address() {
    let careless = Victim::new(&DIRECT_USER, "shared");
    assert_eq!(careless.attacked("map-files", Root), Leaked);
    let secretmem = Victim::new(&DIRECT_USER, "memfd");
    assert_eq!(secretmem.attacked("map-files", Root), NotFound);
    check("map-files");
}

#[test]
fn core_file_after_a_signal() {
    // The victim dies of the attack, so each attacker gets a fresh one. A process that is
    // not dumpable writes no core file at all.
    let rows = [
        (DIRECT_USER, [Leaked, Denied, Leaked]),
        (SUPERVISED, [NotFound, Denied, NotFound]),
        (SEALED, [NotFound, Denied, NotFound]),
        (FULL_USER, [NotFound, Denied, NotFound]),
    ];
    let mut wrong = Vec::new();
    for (case, row) in rows {
        for (attacker, expected) in Attacker::ALL.into_iter().zip(row) {
            let victim = Victim::new(&case, "hold");
            compare("core-signal", &victim, &case, &[attacker], &[expected], &mut wrong);
            let core = victim.directory.join("core").exists();
            let dumps = attacker != OtherUser && (case == DIRECT_USER || case == SUPERVISED);
            // Other names than `core` mean that core_uses_pid is set, which is as good.
            if core && !dumps {
                wrong.push(format!("{}, {attacker:?}: there is a core file", case.name));
            }
        }
    }
    for (case, expected) in [(DIRECT, Leaked), (FULL, NotFound)] {
        compare("core-signal", &Victim::new(&case, "hold"), &case, &[Root], &[expected], &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn command_line_running_over() {
    check("command-line");
}

#[test]
fn no_descriptor_of_the_program_is_secret_memory() {
    let links = |victim: &Victim| {
        let directory = format!("/proc/{}/fd", victim.pid.as_raw_nonzero());
        std::fs::read_dir(directory)
            .expect("fd")
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| target.to_string_lossy().contains("secretmem"))
            .count()
    };
    assert_eq!(links(&Victim::new(&DIRECT_USER, "memfd")), 1, "an open one is seen");
    for case in [FULL, FULL_USER, SUPERVISED, SEALED] {
        assert_eq!(links(&Victim::new(&case, "hold")), 0, "{}", case.name);
    }
    for case in [FULL, FULL_USER, SUPERVISED] {
        assert_eq!(links(&Victim::second(&case, "hold")), 0, "{}", case.name);
    }
}
