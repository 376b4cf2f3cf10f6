//! The facts, for people.

use std::fmt::Write;

use super::facts::{Answer, Fact, Facts, Limit, Mapping, MemoryKind, Mode, Seccomp};
use crate::output::Paint;

/// How something stands.
#[derive(Clone, Copy)]
enum Mark {
    Good,
    Open,
    Neutral,
}

impl Mark {
    const fn of(good: bool) -> Self {
        if good { Self::Good } else { Self::Open }
    }
}

/// One line for each fact: whether it protects (`ok`), leaves something open (`open`), is only
/// told (`-`), or is not known (`?`).
pub(crate) fn render(facts: &Facts, paint: Paint) -> String {
    let mut table = Table(String::new(), paint);
    // Programs choose their names, and a terminal obeys some of them.
    let name = facts.name.escape_debug();
    let executable = facts.executable.value().map(|path| format!(", {}", path.escape_debug())).unwrap_or_default();
    let _ = writeln!(table.0, "process {} ({name}){executable}, uid {}", facts.pid, facts.uid);
    table.row("mode", &facts.mode, mode);
    table.row("secret memory", &facts.secret_memory, |mappings| memory(mappings));
    table.row("descriptors", &facts.secret_descriptors, |numbers| descriptors(numbers));
    table.row("dumpable", &facts.dumpable, |dumpable| {
        let text = if *dumpable {
            "yes: its user's other processes may look into its ordinary memory"
        } else {
            "no: an equal of it was refused"
        };
        (Mark::of(!dumpable), text.to_owned())
    });
    // A process that is not dumpable is closed whatever else is open.
    let closed = facts.dumpable.value() == Some(&false);
    table.row("same user", &facts.same_user_access, |access| {
        let mark = match (access.environ, access.memory) {
            (Answer::Refused, Answer::Refused) if closed => Mark::Good,
            // Refused for capabilities that an equal need not lack.
            (Answer::Refused, Answer::Refused) => Mark::Neutral,
            _ => Mark::Open,
        };
        (mark, format!("environ {}, mem {}", answer(access.environ), answer(access.memory)))
    });
    table.row("supervisor", &facts.supervisor, |supervisor| match supervisor {
        Some(who) => {
            let privilege = if who.has_cap_sys_ptrace { "with" } else { "without" };
            let text = format!(
                "process {} ({}), uid {}, {privilege} CAP_SYS_PTRACE",
                who.pid,
                who.name.escape_debug(),
                who.uid
            );
            (Mark::Good, text)
        }
        None => (Mark::Neutral, "none".to_owned()),
    });
    table.row("new privileges", &facts.no_new_privs, |set| {
        (Mark::Neutral, if *set { "not to be had (no_new_privs)" } else { "possible" }.to_owned())
    });
    table.row("seccomp", &facts.seccomp, |mode| {
        let text = match mode {
            Seccomp::None => "no filter",
            Seccomp::Strict => "strict",
            Seccomp::Filter => "filter",
        };
        (Mark::Neutral, text.to_owned())
    });
    table.row("tracer", &facts.tracer, |tracer| match tracer {
        Some(pid) => (Mark::Open, format!("process {pid}")),
        None => (Mark::Good, "none".to_owned()),
    });
    table.row("core files", &facts.core_limit_bytes, |limit| match limit {
        Limit::Bytes(0) => (Mark::Good, "none".to_owned()),
        Limit::Bytes(bytes) => (Mark::Neutral, format!("up to {bytes} bytes, without secret memory")),
        Limit::Unlimited => (Mark::Neutral, "unlimited, without secret memory".to_owned()),
    });
    table.row("Yama", &facts.yama_ptrace_scope, |scope| setting("ptrace_scope", *scope, 1, closed));
    table.row("perf", &facts.perf_event_paranoid, |level| setting("perf_event_paranoid", *level, 3, closed));
    table.0
}

struct Table(String, Paint);

impl Table {
    fn row<T>(&mut self, name: &str, fact: &Fact<T>, tell: impl FnOnce(&T) -> (Mark, String)) {
        let (mark, text) = match fact {
            Fact::Value(value) => {
                let (mark, text) = tell(value);
                let mark = match mark {
                    Mark::Good => self.1.good("ok  "),
                    Mark::Open => self.1.warning("open"),
                    Mark::Neutral => self.1.faint("-   "),
                };
                (mark, text)
            }
            Fact::Unknown(reason) => (self.1.warning("?   "), format!("cannot tell: {reason}")),
        };
        let _ = writeln!(self.0, "  {mark}  {name:<14}  {text}");
    }
}

fn mode(mode: &Mode) -> (Mark, String) {
    let (mark, text) = match mode {
        Mode::Full => (Mark::Good, "full: not dumpable, execs supervised"),
        Mode::Supervised => (Mark::Open, "supervised: execs supervised, dumpable"),
        Mode::Sealed => (Mark::Good, "sealed: not dumpable, no execs with an environment"),
        Mode::Unsupervised => (Mark::Open, "unsupervised: secret memory, but nobody looks after its execs"),
        Mode::Supervisor => (Mark::Neutral, "a supervisor itself"),
        Mode::None => (Mark::Open, "none: not protected by envward"),
    };
    (mark, text.to_owned())
}

fn memory(mappings: &[Mapping]) -> (Mark, String) {
    if mappings.is_empty() {
        return (Mark::Open, "none".to_owned());
    }
    let described = mappings.iter().map(|mapping| {
        let kind = match mapping.kind {
            MemoryKind::MemfdSecret => "memfd_secret",
            MemoryKind::LockedMemory => "ordinary memory",
        };
        let mut flags = vec![if mapping.locked { "locked" } else { "not locked" }];
        flags.push(if mapping.dont_dump { "not dumped" } else { "dumped" });
        flags.push(if mapping.dont_fork { "not inherited" } else { "shared with forked children" });
        format!("{} bytes of {kind} ({}, {})", mapping.size_bytes, mapping.permissions, flags.join(", "))
    });
    let good = mappings.iter().all(|mapping| mapping.kind == MemoryKind::MemfdSecret);
    (Mark::of(good), described.collect::<Vec<_>>().join("; "))
}

fn descriptors(numbers: &[u32]) -> (Mark, String) {
    if numbers.is_empty() {
        return (Mark::Good, "none refers to secret memory".to_owned());
    }
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    (Mark::Open, format!("{} refer to secret memory and could be stolen", numbers.join(", ")))
}

const fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::Granted => "opened",
        Answer::Refused => "refused",
    }
}

fn setting(name: &str, value: Option<i32>, least: i32, closed: bool) -> (Mark, String) {
    let text = value.map_or_else(|| format!("no {name} in this kernel"), |value| format!("{name} {value}"));
    let mark = match value {
        Some(value) if value >= least => Mark::Good,
        _ if closed => Mark::Neutral,
        _ => Mark::Open,
    };
    (mark, text)
}
