//! Telling the user what failed and what is open, with a remedy.

use std::ffi::OsStr;

use envward_kernel::process;
use envward_kernel::spawn::SpawnError;
use envward_launch::agent::Registration;
use envward_launch::inject::InjectError;
use envward_launch::mode::Mode;
use envward_launch::report::{Level, Report};
use envward_launch::start::StartError;
use envward_policy::Mechanism;
use envward_secret::{Backing, RegionError};

use super::plan::setting;
use crate::failure::Failure;
use crate::output;

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EBUSY: i32 = 16;
const EINVAL: i32 = 22;
const ENOSYS: i32 = 38;

/// No protected memory.
pub(crate) fn no_memory(error: RegionError) -> Failure {
    let unsupported = error.is_unsupported();
    let failure = Failure::own(&error);
    if unsupported { failure.hint("or accept weaker memory with --best-effort memfd_secret") } else { failure }
}

/// Whether the agent protects the program; said when it should and does not.
pub(crate) fn agent(registration: &Registration, quiet: bool, verbose: bool) {
    match registration {
        Registration::Refused(reason) if !quiet => {
            output::error(format_args!("the agent does not protect this program: {reason}"));
        }
        Registration::Protected if verbose => output::error("the agent protects this program"),
        _ => {}
    }
}

/// The program does not run.
pub(crate) fn start_failure(error: &StartError, program: &OsStr) -> Failure {
    let program = program.to_string_lossy();
    match error {
        StartError::Spawn(SpawnError::Exec(source)) => {
            let code = if source.raw_os_error() == Some(ENOENT) { Failure::NOT_FOUND } else { Failure::NOT_EXECUTABLE };
            Failure::new(code, format!("cannot execute {program}: {}", plain(source)))
        }
        StartError::Spawn(SpawnError::Trace(_)) | StartError::Inject(InjectError::Trace { .. }) => Failure::own(error)
            .hint(match setting("/proc/sys/kernel/yama/ptrace_scope") {
                Some(3) => "tracing is switched off on this machine (kernel.yama.ptrace_scope=3) until it is rebooted",
                Some(2) => "tracing needs CAP_SYS_PTRACE on this machine (kernel.yama.ptrace_scope=2)",
                _ => "envward cannot work below a tracer (strace, a debugger) or where ptrace is forbidden",
            }),
        StartError::Inject(InjectError::Unguarded) => Failure::own(error).hint(
            "start it through another program (`env FILE …`), remove its capabilities, or accept that a process of \
             the same user may change it at its start with --best-effort fork-away",
        ),
        StartError::Spawn(SpawnError::Filter(source)) => Failure::own(error).hint_if(match source.raw_os_error() {
            Some(EBUSY) => Some(
                "another supervisor watches this process tree through seccomp already (envward, or a container \
                 runtime): start envward outside of it, or accept unsupervised execs with --best-effort supervision",
            ),
            Some(EINVAL | ENOSYS) => {
                Some("Linux 5.19 or newer is needed: or accept unsupervised execs with --best-effort supervision")
            }
            Some(EPERM) => Some("seccomp filters are forbidden here: or use --best-effort supervision"),
            _ => None,
        }),
        _ => Failure::own(error),
    }
}

/// The kernel's text for an error, without the number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// What happened in the tree that its user should know.
pub(crate) fn tell(report: Report) {
    match report {
        Report::Killed { pid, error } => {
            output::error(format_args!("killed process {pid}: the secrets could not be put into it: {error}"));
        }
        Report::Refused { tid, error } => output::error(format_args!("refused an exec of process {tid}: {error}")),
        Report::Unsupervised(error) => output::error(format_args!(
            "without supervision ({error}): programs that the program starts get their secrets as plain strings, \
             which /proc/PID/environ shows"
        )),
        Report::NotForkedAway(error) => output::error(format_args!(
            "without fork-away ({error}): a process of the same user may have opened the program's memory at its start"
        )),
        _ => {}
    }
}

/// What is in effect, mechanism by mechanism, under their names on the command line.
pub(crate) fn level(level: &Level) {
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    let at_least = |path: &str, least: i32| match setting(path) {
        Some(value) if value >= least => format!("yes ({value})"),
        Some(value) => format!("no ({value}, should be {least} or more)"),
        None => "no (the kernel does not have it)".to_owned(),
    };
    let lines = [
        (Mechanism::MemfdSecret, yes(level.backing == Backing::MemfdSecret).to_owned()),
        (Mechanism::NonDumpable, yes(level.mode != Mode::Supervised).to_owned()),
        (Mechanism::Supervision, yes(level.supervised).to_owned()),
        (Mechanism::ForkAway, yes(level.forked_away).to_owned()),
        (Mechanism::NoCore, yes(level.no_core_files || level.mode != Mode::Supervised).to_owned()),
        // A region without them cannot be made, so there is nothing running without.
        (Mechanism::GuardPages, yes(true).to_owned()),
        (Mechanism::Yama, at_least("/proc/sys/kernel/yama/ptrace_scope", 1)),
        (Mechanism::PerfParanoid, at_least("/proc/sys/kernel/perf_event_paranoid", 3)),
    ];
    output::error(format_args!("mode {}", level.mode));
    for (mechanism, state) in lines {
        output::error(format_args!("{mechanism}: {state}"));
    }
}

/// What is open in the mode that was chosen for a user without privileges.
pub(crate) fn supervised_mode() {
    let uid = process::real_uid();
    let yama = setting("/proc/sys/kernel/yama/ptrace_scope").unwrap_or(0);
    let perf = setting("/proc/sys/kernel/perf_event_paranoid").unwrap_or(0);
    let mut open = Vec::new();
    if yama < 1 {
        open.push("trace the program and run code in it");
    }
    if perf < 3 {
        open.push("sample it with perf");
    }
    let open = if open.is_empty() { "read its ordinary memory".to_owned() } else { open.join(", ") };
    let remedy = if uid == 0 {
        "CAP_SYS_PTRACE (in a container: --cap-add SYS_PTRACE)"
    } else {
        "root, or `sudo setcap cap_sys_ptrace=ep` on envward,"
    };
    output::error(format_args!(
        "supervised mode: other processes of uid {uid} can still {open}; {remedy} gives the full mode \
         (--mode supervised accepts this silently)"
    ));
}
