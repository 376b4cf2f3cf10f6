//! `envward status`: what the kernel says of a running process. Nothing is taken from what the
//! process or its supervisor says of itself, and no byte of its memory is read.

pub(crate) mod facts;
pub(crate) mod process;
mod supervisor;
mod table;
mod text;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;

use envward_kernel::{memory, probe};

use crate::arguments;
use crate::failure::Failure;
use crate::output;

use self::facts::{Answer, Fact, Facts, Mode, SCHEMA, SameUserAccess, Supervisor};
use self::process::Process;

/// Shows what the kernel says of a process.
pub(crate) fn run(arguments: &arguments::Status) -> Result<u8, Failure> {
    let failed = |error: io::Error| Failure::new(Failure::NEGATIVE, error);
    process::lower_privilege().map_err(failed)?;
    let facts = gather(&Process::find(arguments.pid)?)?;
    let text = if arguments.json {
        let mut text = serde_json::to_string(&facts).map_err(|error| Failure::new(Failure::NEGATIVE, error))?;
        text.push('\n');
        text
    } else {
        table::render(&facts, output::Paint::of_results())
    };
    output::result(&text).map_err(|error| Failure::new(Failure::NEGATIVE, format!("cannot write: {error}")))?;
    Ok(if facts.has_secrets() { 0 } else { Failure::NEGATIVE })
}

fn gather(process: &Process) -> Result<Facts, Failure> {
    let status = process.status();
    let (dumpable, same_user_access) = try_access(process);
    let supervisor = supervisor::find(process);
    let device = secret_device();
    let secret_memory = match process.read("smaps") {
        Fact::Value(smaps) => Fact::Value(text::secret_mappings(&smaps, device.as_deref())),
        Fact::Unknown(reason) => Fact::Unknown(reason),
    };
    let facts = Facts {
        schema: SCHEMA,
        pid: process.pid,
        name: process.name(),
        executable: process.executable(),
        uid: process.uid(),
        mode: mode(
            has_any(&secret_memory),
            has_any(&process.descriptors(text::is_notifier)),
            dumpable.clone(),
            supervisor.clone(),
        ),
        secret_memory,
        secret_descriptors: process.descriptors(text::is_secret_descriptor),
        dumpable,
        same_user_access,
        no_new_privs: told(status.no_new_privs()),
        seccomp: told(status.seccomp()),
        supervisor,
        core_limit_bytes: match process.read("limits") {
            Fact::Value(limits) => told(text::core_limit(&limits)),
            Fact::Unknown(reason) => Fact::Unknown(reason),
        },
        tracer: told(status.tracer()),
        yama_ptrace_scope: setting("/proc/sys/kernel/yama/ptrace_scope"),
        perf_event_paranoid: setting("/proc/sys/kernel/perf_event_paranoid"),
    };
    // Everything was read through one handle, except by the try that takes a number: while the
    // handle is good, the number is this process's.
    match process.read("status") {
        Fact::Value(_) => Ok(facts),
        Fact::Unknown(_) => {
            Err(Failure::new(Failure::NEGATIVE, format!("process {} ended while it was being looked at", process.pid)))
        }
    }
}

/// What is protected, how its execs are looked after, and so the mode.
fn mode(
    has_memory: Fact<bool>,
    supervises: Fact<bool>,
    dumpable: Fact<bool>,
    supervisor: Fact<Option<Supervisor>>,
) -> Fact<Mode> {
    match has_memory {
        Fact::Unknown(reason) => return Fact::Unknown(reason),
        Fact::Value(false) => return Fact::Value(Mode::None),
        Fact::Value(true) => {}
    }
    if supervises.value() == Some(&true) {
        return Fact::Value(Mode::Supervisor);
    }
    match (dumpable, supervisor) {
        (_, Fact::Value(None)) => Fact::Value(Mode::Unsupervised),
        (_, Fact::Unknown(reason)) | (Fact::Unknown(reason), _) => Fact::Unknown(reason),
        (Fact::Value(true), Fact::Value(Some(_))) => Fact::Value(Mode::Supervised),
        (Fact::Value(false), Fact::Value(Some(who))) => {
            Fact::Value(if who.has_cap_sys_ptrace { Mode::Full } else { Mode::Sealed })
        }
    }
}

fn has_any<T>(list: &Fact<Vec<T>>) -> Fact<bool> {
    match list {
        Fact::Value(list) => Fact::Value(!list.is_empty()),
        Fact::Unknown(reason) => Fact::Unknown(reason.clone()),
    }
}

fn told<T>(value: Option<T>) -> Fact<T> {
    value.map_or_else(|| Fact::unknown("this kernel does not tell"), Fact::Value)
}

/// Lets an equal of the process try to get at it: says whether the process is dumpable, and
/// what the equal got.
fn try_access(process: &Process) -> (Fact<bool>, Fact<SameUserAccess>) {
    match access(process) {
        Ok(access) => {
            let dumpable = match access.look {
                probe::Answer::Granted => Fact::Value(true),
                probe::Answer::Refused => Fact::Value(false),
                probe::Answer::Failed => Fact::unknown("this kernel does not let anybody try"),
            };
            let same_user = match (answer(access.environ), answer(access.memory)) {
                (Some(environ), Some(memory)) => Fact::Value(SameUserAccess { environ, memory }),
                _ => Fact::unknown("this kernel has no such files"),
            };
            (dumpable, same_user)
        }
        Err(reason) => (Fact::Unknown(reason.clone()), Fact::Unknown(reason)),
    }
}

fn access(process: &Process) -> Result<probe::Access, String> {
    let status = process.status();
    let (Some([uid, uids @ ..]), Some([gid, gids @ ..]), Some(permitted)) =
        (status.uids(), status.gids(), status.permitted())
    else {
        return Err("this kernel does not tell whose process it is".to_owned());
    };
    if uids != [uid; 2] || gids != [gid; 2] {
        return Err("the process has several user or group ids, so that it has no equal".to_owned());
    }
    let own_map = fs::read_to_string("/proc/self/uid_map").ok();
    if process.read("uid_map").value() != own_map.as_ref() {
        return Err("the process is in another user namespace".to_owned());
    }
    probe::try_access(process.pid, process.directory(), probe::Identity { uid, gid, permitted }).map_err(|error| {
        match error.kind() {
            io::ErrorKind::PermissionDenied => format!("envward may not become uid {uid} to try: run as root"),
            _ => format!("cannot try: {error}"),
        }
    })
}

const fn answer(answer: probe::Answer) -> Option<Answer> {
    match answer {
        probe::Answer::Granted => Some(Answer::Granted),
        probe::Answer::Refused => Some(Answer::Refused),
        probe::Answer::Failed => None,
    }
}

/// The device that the kernel keeps secret memory on, from a piece of our own; nothing where
/// there is no such memory.
fn secret_device() -> Option<String> {
    let own = File::from(memory::memfd_secret().ok()?);
    Some(text::device(own.metadata().ok()?.dev()))
}

/// A setting of the machine, if the kernel has it.
fn setting(path: &str) -> Fact<Option<i32>> {
    match fs::read_to_string(path) {
        Ok(text) => told(text.trim().parse().ok().map(Some)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Fact::Value(None),
        Err(error) => Fact::unknown(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(has_cap_sys_ptrace: bool) -> Fact<Option<Supervisor>> {
        Fact::Value(Some(Supervisor { pid: 1, name: String::new(), uid: 0, has_cap_sys_ptrace }))
    }

    #[test]
    fn the_mode_follows_from_the_facts() {
        let known = Fact::Value::<bool>;
        for (memory, supervises, dumpable, supervisor, expected) in [
            (false, false, true, Fact::Value(None), Mode::None),
            (false, false, false, who(true), Mode::None),
            (true, false, false, who(true), Mode::Full),
            (true, false, false, who(false), Mode::Sealed),
            (true, false, true, who(false), Mode::Supervised),
            (true, false, true, who(true), Mode::Supervised),
            (true, false, false, Fact::Value(None), Mode::Unsupervised),
            (true, true, false, Fact::Value(None), Mode::Supervisor),
        ] {
            let found = mode(known(memory), known(supervises), known(dumpable), supervisor);
            assert_eq!(found, Fact::Value(expected));
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let unknown = || Fact::unknown("because");
        let because = Fact::unknown("because");
        assert_eq!(mode(unknown(), Fact::Value(false), Fact::Value(false), who(true)), because);
        assert_eq!(mode(Fact::Value(true), Fact::Value(false), unknown(), who(true)), because);
        let unknown_supervisor = Fact::unknown("because");
        assert_eq!(mode(Fact::Value(true), Fact::Value(false), Fact::Value(false), unknown_supervisor), because);
    }
}
