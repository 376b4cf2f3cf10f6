//! What follows from what was read and tried: pure.

use std::path::Path;

use envward_policy::{Mechanism, Mode};

use super::check::{Check, Group, Remedy, State};
use super::machine::{Executable, Limits, Machine};
use super::trials::{Launch, Told, Trial, Trials};

const EPERM: i32 = 1;
const EAGAIN: i32 = 11;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
const EINVAL: i32 = 22;
const ENOSYS: i32 = 38;

/// What a limit on locked memory is raised to: some thousand processes, each with a page.
const ENOUGH: u64 = 8 * 1024 * 1024;

/// The tier beside the modes.
pub(crate) const PRELOAD: &str = "preload";

/// All checks in their order.
pub(crate) fn judge(machine: &Machine, trials: &Trials) -> Vec<Check> {
    let judge = Judge { machine, trials };
    let mut checks = vec![
        judge.full(),
        judge.mode(Mode::Supervised, &trials.supervised),
        judge.mode(Mode::Sealed, &trials.sealed),
        judge.preload(),
    ];
    checks.extend(Mechanism::ALL.map(|mechanism| judge.mechanism(mechanism)));
    checks.extend(judge.machine_checks());
    checks
}

struct Judge<'a> {
    machine: &'a Machine,
    trials: &'a Trials,
}

impl Judge<'_> {
    /// Why nothing can be injected here, if it cannot, with what mends it.
    fn obstacle(&self) -> Option<(String, Vec<Remedy>)> {
        if self.trials.memfd_secret != Trial::Worked {
            return Some(("there is no memfd_secret".to_owned(), self.memory_remedies()));
        }
        if self.trials.trace_willing != Trial::Worked || self.trials.trace_unwilling != Trial::Worked {
            return Some(("tracing is refused".to_owned(), self.trace_remedies()));
        }
        if self.trials.listener != Trial::Worked {
            return Some(("execs cannot be supervised".to_owned(), self.listener_remedies()));
        }
        None
    }

    fn mode(&self, mode: Mode, launch: &Launch) -> Check {
        let name = mode.name();
        if launch.worked {
            let gives = match mode {
                Mode::Full => "programs are not dumpable, and what they start is given its secrets too",
                Mode::Supervised => "what programs start is given its secrets too; programs are dumpable",
                Mode::Sealed => "programs are not dumpable, and may start none that has an environment",
            };
            return Check::tried(Group::Mode, name, State::Ok, gives);
        }
        let (_, remedies) = self.obstacle().unwrap_or_default();
        Check::tried(Group::Mode, name, State::Missing, &launch.complaint).with(remedies)
    }

    fn full(&self) -> Check {
        let mut check = self.mode(Mode::Full, &self.trials.full);
        if check.state == State::Ok {
            if let Some(owner) = self.machine.namespace_owner {
                check.state = State::Open;
                check.found = format!(
                    "works, but only inside of this user namespace: outside, uid {owner} and its processes have \
                     CAP_SYS_PTRACE over it and are not kept out"
                );
                check
                    .remedies
                    .push(Remedy::setting("start envward in the initial user namespace", "whoever starts it"));
            }
            return check;
        }
        if !self.machine.has_capability {
            "needs CAP_SYS_PTRACE, which envward does not have".clone_into(&mut check.found);
            let mut remedies = self.capability_remedies();
            remedies.append(&mut check.remedies);
            check.remedies = remedies;
        }
        check
    }

    /// How an unprivileged user gets the capability.
    fn capability_remedies(&self) -> Vec<Remedy> {
        let mut remedies = Vec::new();
        let Some(executable) = &self.machine.executable else { return remedies };
        if !executable.has_capabilities {
            remedies.push(Remedy::as_root(install(executable, true)));
        }
        if self.machine.no_new_privs {
            remedies.push(Remedy::setting(
                "NoNewPrivileges=no (and none of the settings that imply it)",
                "the systemd unit, or whoever set no_new_privs: a container's --security-opt no-new-privileges",
            ));
        }
        if let Some(point) = &executable.ignored_on {
            remedies.push(Remedy::as_root(format!("mount -o remount,suid {}", quoted(Path::new(point)))));
        }
        remedies
    }

    fn preload(&self) -> Check {
        let launch = &self.trials.preload;
        if launch.worked {
            let found = "dynamic programs take their secrets over through libenvward.so, without ptrace";
            return Check::tried(Group::Mode, PRELOAD, State::Ok, found);
        }
        let mut check = Check::tried(Group::Mode, PRELOAD, State::Missing, &launch.complaint);
        if self.trials.memfd_secret != Trial::Worked {
            check.remedies = self.memory_remedies();
        } else if let Some(executable) = &self.machine.executable
            && launch.complaint.contains("libenvward.so is not beside")
        {
            let directory = executable.path.parent().unwrap_or(Path::new("/"));
            check.remedies = vec![Remedy::as_root(format!("install -m 0644 libenvward.so {}", quoted(directory)))];
        }
        check
    }

    fn mechanism(&self, mechanism: Mechanism) -> Check {
        let name = mechanism.name();
        let Trials { full, supervised, sealed, .. } = self.trials;
        let tried = |state, found: String| Check::tried(Group::Mechanism, name, state, found);
        let offered = |yes: bool, with: &str, without: &str| {
            if yes {
                tried(State::Ok, with.to_owned())
            } else {
                let (reason, remedies) = self.obstacle().unwrap_or_default();
                tried(State::Missing, if reason.is_empty() { without.to_owned() } else { reason }).with(remedies)
            }
        };
        match mechanism {
            Mechanism::MemfdSecret => {
                let state = if self.trials.memfd_secret == Trial::Worked { State::Ok } else { State::Missing };
                let check = tried(state, format!("memfd_secret {}", Told(self.trials.memfd_secret)));
                if state == State::Ok { check } else { check.with(self.memory_remedies()) }
            }
            Mechanism::NonDumpable => {
                let modes = which(&[("full", full.worked), ("sealed", sealed.worked)]);
                offered(
                    !modes.is_empty(),
                    &format!("in the modes: {modes}"),
                    "neither the full nor the sealed mode works",
                )
            }
            Mechanism::Supervision => {
                let modes = which(&[("full", full.worked), ("supervised", supervised.worked)]);
                offered(
                    !modes.is_empty(),
                    &format!("in the modes: {modes}"),
                    "neither the full nor the supervised mode works",
                )
            }
            Mechanism::ForkAway => {
                let modes = which(&[("full", full.forked_away), ("sealed", sealed.forked_away)]);
                offered(
                    !modes.is_empty(),
                    &format!("in the modes: {modes}"),
                    "neither the full nor the sealed mode works",
                )
            }
            Mechanism::NoCore => {
                let state = if self.trials.no_core == Trial::Worked { State::Ok } else { State::Missing };
                tried(state, format!("setting the limit on core files {}", Told(self.trials.no_core)))
            }
            Mechanism::GuardPages => {
                let works = [self.trials.memfd_secret, self.trials.locked_memory].contains(&Trial::Worked);
                let state = if works { State::Ok } else { State::Missing };
                let found = if works { "protected memory comes with them" } else { "there is no protected memory" };
                let check = tried(state, found.to_owned());
                if works { check } else { check.with(self.memory_remedies()) }
            }
            Mechanism::Yama => self.yama(),
            Mechanism::PerfParanoid => self.perf(),
        }
    }

    fn yama(&self) -> Check {
        let read = |state, found: String| Check::read(Group::Mechanism, Mechanism::Yama.name(), state, found);
        match self.machine.yama {
            Some(scope @ 1..) => read(State::Ok, format!("kernel.yama.ptrace_scope is {scope}")),
            Some(scope) => read(
                State::Missing,
                format!("kernel.yama.ptrace_scope is {scope}: processes of one user may trace each other"),
            )
            .with([
                Remedy::as_root("sysctl -w kernel.yama.ptrace_scope=1"),
                Remedy::setting("kernel.yama.ptrace_scope = 1", "/etc/sysctl.d/60-envward.conf, for the next boot"),
            ]),
            None => read(State::Missing, "this kernel does not have Yama, or does not use it".to_owned()).with([
                Remedy::setting("lsm=…,yama,… (a kernel with CONFIG_SECURITY_YAMA)", "the kernel's command line"),
            ]),
        }
    }

    fn perf(&self) -> Check {
        let tried = |state, found: String| Check::tried(Group::Mechanism, Mechanism::PerfParanoid.name(), state, found);
        let level = self.machine.perf.map_or_else(|| "is not there".to_owned(), |level| format!("is {level}"));
        let setting = format!("kernel.perf_event_paranoid {level}");
        let remedies = [
            Remedy::as_root("sysctl -w kernel.perf_event_paranoid=3"),
            Remedy::setting("kernel.perf_event_paranoid = 3", "/etc/sysctl.d/60-envward.conf, for the next boot"),
        ];
        match (self.trials.sampling, self.machine.perf) {
            (Trial::Worked, Some(3..)) => tried(
                State::Missing,
                format!("{setting}, but this kernel lets users sample processes all the same: it knows no level 3"),
            )
            .with([Remedy::setting("a kernel that knows level 3, such as Debian's or Ubuntu's", "the machine")]),
            (Trial::Worked, _) => {
                tried(State::Missing, format!("{setting}: users may sample their processes")).with(remedies)
            }
            (Trial::Failed(EPERM | EACCES), Some(3..)) | (Trial::Failed(ENOSYS), _) => {
                tried(State::Ok, format!("{setting}: users may sample nothing"))
            }
            (Trial::Failed(EPERM | EACCES), _) => tried(
                State::Missing,
                format!("{setting}: it is refused here (a seccomp filter?), and allowed to whoever is not below that"),
            )
            .with(remedies),
            (other, _) => tried(State::Unknown, format!("{setting}; sampling {}", Told(other))),
        }
    }

    fn memory_remedies(&self) -> Vec<Remedy> {
        match self.trials.memfd_secret {
            Trial::Worked => Vec::new(),
            Trial::Failed(EAGAIN) => self.limit_remedies(),
            Trial::Failed(ENOSYS) if !self.machine.is_filtered => match self.machine.version() {
                Some(version) if version < (5, 14) => vec![Remedy::setting("Linux 5.14 or newer", "the machine")],
                _ => vec![Remedy::setting(
                    "secretmem.enable=1",
                    "the kernel's command line (GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub and a reboot)",
                )],
            },
            Trial::Failed(EPERM | EACCES | ENOSYS | EINVAL) | Trial::Killed(_) => filter_remedies("memfd_secret"),
            Trial::Failed(_) => Vec::new(),
        }
    }

    /// What raises the limit on locked memory.
    fn limit_remedies(&self) -> Vec<Remedy> {
        let mut remedies = Vec::new();
        match self.machine.memlock {
            Some(Limits { hard, .. }) if hard >= ENOUGH => {
                remedies.push(Remedy::command(format!("ulimit -l {}", ENOUGH / 1024)));
            }
            _ => remedies
                .push(Remedy::as_root(format!("prlimit --pid {} --memlock={ENOUGH}:{ENOUGH}", self.machine.parent))),
        }
        remedies.push(Remedy::setting("LimitMEMLOCK=8M", "[Service] of a systemd unit"));
        remedies.push(Remedy::setting(format!("--ulimit memlock={ENOUGH}"), "the container's start"));
        remedies.push(Remedy::setting("* - memlock 8192", "/etc/security/limits.conf, for new sessions"));
        remedies
    }

    fn trace_remedies(&self) -> Vec<Remedy> {
        match self.machine.yama {
            Some(3) => vec![Remedy::setting(
                "kernel.yama.ptrace_scope = 1 and a reboot: 3 cannot be taken back",
                "/etc/sysctl.d",
            )],
            Some(2) if !self.machine.has_capability => {
                let mut remedies = vec![Remedy::as_root("sysctl -w kernel.yama.ptrace_scope=1")];
                remedies.extend(self.capability_remedies());
                remedies
            }
            _ => {
                let mut remedies = filter_remedies("ptrace");
                remedies.push(Remedy::setting("--tier preload", "envward run, for dynamic programs"));
                remedies
            }
        }
    }

    fn listener_remedies(&self) -> Vec<Remedy> {
        match self.trials.listener {
            Trial::Failed(EBUSY) => vec![Remedy::setting(
                "start envward outside of the other supervisor (another envward, a container runtime)",
                "whoever starts it",
            )],
            Trial::Failed(EINVAL) => vec![Remedy::setting("Linux 5.19 or newer", "the machine")],
            _ => filter_remedies("seccomp"),
        }
    }

    fn machine_checks(&self) -> Vec<Check> {
        let Self { machine, trials } = self;
        let is_new = machine.version().is_some_and(|version| version >= (5, 19));
        let tried = |name, trial: Trial, remedies: Vec<Remedy>| {
            let state = if trial == Trial::Worked { State::Ok } else { State::Missing };
            Check::tried(Group::Machine, name, state, Told(trial).to_string()).with(remedies)
        };
        let read = |name, state, found: String| Check::read(Group::Machine, name, state, found);
        let is_traceable = trials.trace_willing == Trial::Worked && trials.trace_unwilling == Trial::Worked;
        let trace = if trials.trace_willing == Trial::Worked { trials.trace_unwilling } else { trials.trace_willing };
        let limit = machine.memlock.map_or_else(
            || "not told".to_owned(),
            |Limits { soft, hard }| format!("{} (hard limit: {})", size(soft), size(hard)),
        );
        // CAP_IPC_LOCK is above the limit: what counts is whether it works.
        let is_limited = trials.memfd_secret == Trial::Failed(EAGAIN);
        vec![
            read(
                "kernel",
                if is_new { State::Ok } else { State::Missing },
                format!("Linux {}{}", machine.release, if is_new { "" } else { ", older than 5.19" }),
            ),
            tried("ptrace", trace, if is_traceable { Vec::new() } else { self.trace_remedies() }),
            tried(
                "seccomp-notifier",
                trials.listener,
                if trials.listener == Trial::Worked { Vec::new() } else { self.listener_remedies() },
            ),
            read(
                "locked-memory",
                if is_limited { State::Missing } else { State::Told },
                format!("RLIMIT_MEMLOCK {limit}"),
            )
            .with(if is_limited { self.limit_remedies() } else { Vec::new() }),
            self.executable(),
            read(
                "new-privileges",
                State::Told,
                match (machine.no_new_privs, self.is_capability_ignored()) {
                    (true, true) => "not to be had (no_new_privs): the capability on the file of envward is ignored",
                    (true, false) => "not to be had (no_new_privs)",
                    (false, _) => "possible",
                }
                .to_owned(),
            ),
            match machine.namespace_owner {
                None => read("user-namespace", State::Ok, "the initial one".to_owned()),
                Some(owner) => read(
                    "user-namespace",
                    State::Open,
                    format!("not the initial one: its capabilities end here, and belong to uid {owner} outside too"),
                ),
            },
            self.core_pattern(),
            self.bpf(),
            read(
                "btf",
                if machine.has_type_information { State::Ok } else { State::Missing },
                if machine.has_type_information {
                    "/sys/kernel/btf/vmlinux is there"
                } else {
                    "no /sys/kernel/btf/vmlinux: the agent's programs cannot be fitted to this kernel"
                }
                .to_owned(),
            ),
        ]
    }

    /// Our own file: who can read it can catch an unprivileged envward in its window at exec.
    fn executable(&self) -> Check {
        const NAME: &str = "executable";
        let read = |state, found: String| Check::read(Group::Machine, NAME, state, found);
        let Some(executable) = &self.machine.executable else {
            return read(State::Unknown, "envward's own file cannot be looked at".to_owned());
        };
        let place = format!("{}, mode {:04o}", executable.path.display(), executable.mode);
        if executable.has_capabilities && executable.owner != 0 {
            return read(State::Open, format!("{place}: carries a capability and does not belong to root"))
                .with([Remedy::as_root(install(executable, true))]);
        }
        if let (true, Some(point)) = (executable.has_capabilities, &executable.ignored_on) {
            return read(
                State::Open,
                format!("{place}: its capability is ignored on {point}, which is mounted nosuid"),
            )
            .with([Remedy::as_root(format!("mount -o remount,suid {}", quoted(Path::new(point))))]);
        }
        if self.machine.has_capability && self.machine.uid == 0 {
            return read(State::Told, place);
        }
        if executable.has_capabilities && self.machine.has_capability {
            return read(
                State::Ok,
                format!("{place}, with a capability: nobody of the same user can catch it at its exec"),
            );
        }
        let is_dumped_anyway = self.machine.suid_dumpable == Some(1);
        if !executable.is_readable() && executable.owner == 0 && !is_dumped_anyway {
            return read(
                State::Ok,
                format!("{place}: not readable, so nobody of the same user can catch it at its exec"),
            );
        }
        let mut remedies = Vec::new();
        if executable.is_readable() || executable.owner != 0 {
            remedies.push(Remedy::as_root(install(executable, executable.has_capabilities)));
        }
        if is_dumped_anyway {
            remedies.push(Remedy::as_root("sysctl -w fs.suid_dumpable=0"));
        }
        let why = if is_dumped_anyway { "fs.suid_dumpable is 1" } else { "it is readable" };
        read(
            State::Open,
            format!("{place}: a process of the same user that lies in wait can catch envward at its exec, as {why}"),
        )
        .with(remedies)
    }

    /// Whether our file carries a capability that we have not got.
    fn is_capability_ignored(&self) -> bool {
        !self.machine.has_capability && self.machine.executable.as_ref().is_some_and(|file| file.has_capabilities)
    }

    fn core_pattern(&self) -> Check {
        let read = |state, found: String| Check::read(Group::Machine, "core-pattern", state, found);
        match self.machine.core_pattern.as_deref() {
            None => read(State::Unknown, "not told".to_owned()),
            Some(pattern) => {
                let where_to =
                    if pattern.starts_with('|') { "are handed to a program" } else { "are written to files" };
                read(
                    State::Told,
                    format!(
                        "core files {where_to} ({pattern}); secret memory is never in them, copies that a program makes are, unless --no-core or the full or sealed mode"
                    ),
                )
            }
        }
    }

    fn bpf(&self) -> Check {
        let read = |state, found: String| Check::read(Group::Machine, "bpf-lsm", state, found);
        match self.machine.security_modules.as_deref() {
            Some(modules) if modules.split(',').any(|module| module == "bpf") => {
                read(State::Ok, format!("the security modules are {modules}"))
            }
            Some(modules) => read(
                State::Missing,
                format!("bpf is not among the security modules ({modules}): the agent can only watch"),
            )
            .with([Remedy::setting(
                format!("lsm={modules},bpf"),
                "the kernel's command line (a kernel with CONFIG_BPF_LSM)",
            )]),
            None => {
                read(State::Unknown, "/sys/kernel/security/lsm cannot be read: securityfs is not mounted".to_owned())
                    .with([Remedy::as_root("mount -t securityfs securityfs /sys/kernel/security")])
            }
        }
    }
}

/// What lets a system call pass that a filter refuses.
fn filter_remedies(call: &str) -> Vec<Remedy> {
    vec![
        Remedy::setting(format!("SystemCallFilter={call}"), "[Service] of a systemd unit that has a SystemCallFilter="),
        Remedy::setting(
            format!("--security-opt seccomp=PROFILE, a profile that allows {call}"),
            "the container's start",
        ),
    ]
}

/// The command that makes our file what it should be. A change of owner takes capabilities away,
/// so they come last.
fn install(executable: &Executable, with_capability: bool) -> String {
    let path = quoted(&executable.path);
    let closed = format!("chown root:root {path} && chmod 0711 {path}");
    if with_capability { format!("{closed} && setcap cap_sys_ptrace=ep {path}") } else { closed }
}

/// A path for a shell.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+');
    if text.chars().all(is_plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn size(bytes: u64) -> String {
    match bytes {
        u64::MAX => "unlimited".to_owned(),
        bytes if bytes >= 1024 => format!("{} KiB", bytes / 1024),
        bytes => format!("{bytes} bytes"),
    }
}

fn which(modes: &[(&str, bool)]) -> String {
    modes.iter().filter(|(_, works)| *works).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "judgement_tests.rs"]
mod tests;
