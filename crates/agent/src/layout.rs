//! Numbers and layouts that the BPF programs share with us: `bpf/shared.h`, in Rust. A test
//! compares the two.

/// Declares an enumeration of `shared.h` with its names there and the names we show.
macro_rules! numbers {
    ($(#[$doc:meta])* $name:ident, $prefix:literal: $($(#[$item_doc:meta])* $item:ident = $number:literal, $shown:literal;)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$item_doc])* $item = $number,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$item,)*];

            /// The one with this number.
            #[must_use]
            pub const fn from_number(number: u64) -> Option<Self> {
                match number { $($number => Some(Self::$item),)* _ => None }
            }

            /// The name, as events and configuration have it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$item => $shown,)* }
            }

            /// The one with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|item| item.name() == name)
            }
        }

        #[cfg(test)]
        impl $name {
            fn in_header() -> Vec<(String, u64)> {
                Self::ALL.iter().map(|item| (format!("{}_{}", $prefix, item.name().to_uppercase().replace('-', "_")), *item as u64)).collect()
            }
        }
    };
}

numbers! {
    /// Which way somebody took.
    Route, "ROUTE":
    /// `/proc/PID/environ`, by whatever name.
    Environ = 1, "environ";
    /// `/proc/PID/mem`.
    Mem = 2, "mem";
    /// `maps`, `smaps`, `smaps_rollup`, `numa_maps`.
    Maps = 3, "maps";
    /// `/proc/PID/auxv`.
    Auxv = 4, "auxv";
    /// `/proc/PID/stack`.
    Stack = 5, "stack";
    /// `/proc/PID/syscall`.
    Syscall = 6, "syscall";
    /// `/proc/PID/pagemap`.
    Pagemap = 7, "pagemap";
    /// `/proc/PID/clear_refs`.
    ClearRefs = 8, "clear-refs";
    /// A write to `/proc/PID/coredump_filter`.
    CoredumpFilter = 9, "coredump-filter";
    /// ptrace(2): attach, seize.
    Ptrace = 10, "ptrace";
    /// A process that asks to be traced by its parent.
    Traceme = 11, "traceme";
    /// `process_vm_readv(2)`.
    VmRead = 12, "vm-read";
    /// `process_vm_writev(2)`.
    VmWrite = 13, "vm-write";
    /// `pidfd_getfd(2)`.
    PidfdGetfd = 14, "pidfd-getfd";
    /// kcmp(2).
    Kcmp = 15, "kcmp";
    /// `process_madvise(2)`.
    Madvise = 16, "madvise";
    /// An open through a link of procfs: `fd/N`, `map_files`, `ns`, `root`.
    Link = 17, "link";
    /// Any other use that the kernel takes for looking into a process.
    Access = 18, "access";
    /// bpf(2): programs, and the descriptors of those of others.
    Bpf = 20, "bpf";
    /// `perf_event_open(2)`.
    Perf = 21, "perf";
    /// `/proc/kcore`, `/dev/mem` and their kind.
    KernelMemory = 22, "kernel-memory";
    /// Loading a kernel module.
    Module = 23, "module";
    /// Loading another kernel.
    Kexec = 24, "kexec";
    /// A signal that makes a runtime talk or a process dump its memory.
    Signal = 25, "signal";
    /// `/proc/sys/kernel/core_pattern`.
    CorePattern = 26, "core-pattern";
    /// `/etc/ld.so.preload`.
    Preload = 27, "preload";
    /// A protected process that makes itself dumpable.
    Dumpable = 28, "dumpable";
    /// The agent's own objects in bpffs.
    Pins = 29, "pins";
    /// One reader, many processes' environments.
    Sweep = 30, "sweep";
    /// No room for another protected process.
    ForkLimit = 31, "fork-limit";
    /// kprobes, uprobes and tracefs.
    Probes = 32, "probes";
    /// A signal to the agent.
    AgentSignal = 33, "agent-signal";
}

numbers! {
    /// Where it was seen.
    Hook, "HOOK":
    /// The LSM hook of that name.
    FileOpen = 1, "file-open";
    /// The LSM hook of that name.
    FilePermission = 2, "file-permission";
    /// The LSM hook `ptrace_access_check`.
    PtraceAccess = 3, "ptrace-access";
    /// The LSM hook of that name.
    PtraceTraceme = 4, "ptrace-traceme";
    /// The LSM hook of that name.
    Bpf = 5, "bpf";
    /// The LSM hook `perf_event_open`.
    Perf = 6, "perf";
    /// The LSM hook of that name.
    LockedDown = 7, "locked-down";
    /// The LSM hook `kernel_read_file`.
    KernelRead = 8, "kernel-read";
    /// The LSM hook `kernel_load_data`.
    KernelLoad = 9, "kernel-load";
    /// The LSM hook of that name.
    TaskKill = 10, "task-kill";
    /// The LSM hook of that name.
    TaskAlloc = 11, "task-alloc";
    /// The LSM hook of that name.
    TaskPrctl = 12, "task-prctl";
    /// LSM hooks on the names of files.
    Inode = 13, "inode";
    /// LSM hooks on mounts.
    Mount = 14, "mount";
    /// The tracepoint at the end of system calls.
    Syscall = 15, "syscall";
}

numbers! {
    /// What came of it.
    Verdict, "VERDICT":
    /// It happened.
    Observed = 0, "observed";
    /// It was refused.
    Denied = 1, "denied";
    /// Whoever did it was killed.
    Killed = 2, "killed";
}

numbers! {
    /// What is done about a route.
    Action, "ACTION":
    /// Nothing.
    Off = 0, "off";
    /// It is reported.
    Report = 1, "report";
    /// It is refused and reported.
    Deny = 2, "deny";
}

numbers! {
    /// What the programs count.
    Counter, "COUNTER":
    /// Events, told or lost.
    Events = 0, "events";
    /// Events that found the ring full.
    Lost = 1, "lost";
    /// What was refused.
    Denied = 2, "denied";
    /// What was only reported.
    Observed = 3, "observed";
    /// Protected processes now, without those that were named by the loader.
    Entries = 4, "entries";
    /// Children of protected processes without an entry of their own.
    NotInherited = 5, "not-inherited";
    /// What the trusted did to protected processes.
    Allowed = 6, "allowed";
    /// Sweeps.
    Sweeps = 7, "sweeps";
}

/// Roles of a protected process, as bits.
pub mod role {
    /// Looks after a tree.
    pub const SUPERVISOR: u32 = 1;
    /// The agent itself.
    pub const AGENT: u32 = 2;
}

/// What somebody is trusted with, as bits.
pub mod trust {
    /// May look at protected processes.
    pub const READ: u32 = 1;
    /// May use BPF, perf, probes, load modules.
    pub const KERNEL: u32 = 2;
    /// Looks at every process by design.
    pub const SWEEP: u32 = 4;
    /// May signal protected processes and the agent.
    pub const SIGNAL: u32 = 8;
}

/// The version of [`event`].
pub const EVENT_VERSION: u32 = 1;
/// "Everybody" where a user is expected.
pub const ANY_UID: u32 = u32::MAX;
/// Protected processes at one time.
pub const ENTRIES_MAX: u32 = 32768;

/// Offsets in `struct event`, in bytes.
pub mod event {
    pub(crate) const ROUTE: usize = 4;
    pub(crate) const HOOK: usize = 6;
    pub(crate) const VERDICT: usize = 7;
    pub(crate) const SEQUENCE: usize = 8;
    pub(crate) const TIME: usize = 16;
    pub(crate) const LOST: usize = 24;
    pub(crate) const DETAIL: usize = 32;
    pub(crate) const ARGUMENTS_LENGTH: usize = 40;
    pub(crate) const READER: usize = 48;
    pub(crate) const TARGET: usize = 160;
    pub(crate) const ARGUMENTS: usize = 272;
    /// The size of it.
    pub const SIZE: usize = 400;
}

/// Offsets in `struct party`, in bytes.
pub(crate) mod party {
    pub(crate) const CGROUP: usize = 8;
    pub(crate) const EXE_INODE: usize = 16;
    pub(crate) const EXE_DEVICE: usize = 24;
    pub(crate) const PID: usize = 28;
    pub(crate) const TID: usize = 32;
    pub(crate) const UID: usize = 36;
    pub(crate) const GID: usize = 40;
    pub(crate) const COMM: usize = 48;
    pub(crate) const EXE: usize = 64;
    pub(crate) const SIZE: usize = 112;
}

/// `struct entry`: a protected process.
#[must_use]
pub fn entry(start: u64, tree: u64, roles: u32) -> [u8; 24] {
    let mut bytes = [0; 24];
    put(&mut bytes, 0, &start.to_ne_bytes());
    put(&mut bytes, 8, &tree.to_ne_bytes());
    put(&mut bytes, 16, &roles.to_ne_bytes());
    bytes
}

/// `struct identity`: an executable, with the device number as the kernel has it.
#[must_use]
pub fn identity(inode: u64, device: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    put(&mut bytes, 0, &inode.to_ne_bytes());
    put(&mut bytes, 8, &device.to_ne_bytes());
    bytes
}

/// `struct permit`: who may use an executable for what.
#[must_use]
pub fn permit(owner: u32, uid: u32, trust: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    put(&mut bytes, 0, &owner.to_ne_bytes());
    put(&mut bytes, 4, &uid.to_ne_bytes());
    put(&mut bytes, 8, &trust.to_ne_bytes());
    bytes
}

/// What is done about everything: `struct settings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    actions: [u64; 2],
    /// How long a sweep may take, in nanoseconds.
    pub sweep_window_ns: u64,
    /// How many processes make a sweep; 0 for never.
    pub sweep_targets: u32,
    /// Whether whole cgroups are protected.
    pub by_cgroup: bool,
    /// Whether executables are protected.
    pub by_exe: bool,
    /// Whether readers that can only be seen are killed.
    pub kill: bool,
}

impl Settings {
    /// The same action for every route, with the usual limits for sweeps.
    #[must_use]
    pub fn all(action: Action) -> Self {
        let mut settings = Self {
            actions: [0; 2],
            sweep_window_ns: 10_000_000_000,
            sweep_targets: 10,
            by_cgroup: false,
            by_exe: false,
            kill: false,
        };
        for route in Route::ALL {
            settings.set(*route, action);
        }
        settings
    }

    /// What is done unless somebody says otherwise: everything is refused, except for what
    /// ordinary programs do too, which is reported: loading modules, sending signals, making
    /// oneself dumpable, and looking at many processes that nobody protects.
    #[must_use]
    pub fn usual() -> Self {
        let mut settings = Self::all(Action::Deny);
        for route in [Route::Module, Route::Signal, Route::Dumpable, Route::Sweep] {
            settings.set(route, Action::Report);
        }
        settings
    }

    /// What is done about `route` from now on.
    pub fn set(&mut self, route: Route, action: Action) {
        let (word, shift) = (route as usize / 32, route as usize % 32 * 2);
        self.actions[word] = self.actions[word] & !(3 << shift) | (action as u64) << shift;
    }

    /// What is done about `route`.
    #[must_use]
    pub fn action(&self, route: Route) -> Action {
        let (word, shift) = (route as usize / 32, route as usize % 32 * 2);
        Action::from_number(self.actions[word] >> shift & 3).unwrap_or(Action::Deny)
    }

    /// As the programs have it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        put(&mut bytes, 0, &self.actions[0].to_ne_bytes());
        put(&mut bytes, 8, &self.actions[1].to_ne_bytes());
        put(&mut bytes, 16, &self.sweep_window_ns.to_ne_bytes());
        put(&mut bytes, 24, &self.sweep_targets.to_ne_bytes());
        put(&mut bytes, 28, &[self.by_cgroup.into(), self.by_exe.into(), self.kill.into()]);
        bytes
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const HEADER: &str = include_str!("../bpf/shared.h");

    #[test]
    fn every_number_is_the_headers() {
        let mut header = BTreeMap::new();
        for line in HEADER.lines().filter_map(|line| line.trim().strip_suffix(',')) {
            if let Some((name, number)) = line.split_once(" = ") {
                header.insert(name.to_owned(), parse(number));
            }
        }
        let mut ours: BTreeMap<String, u64> = [
            ("COUNTERS", Counter::ALL.len() as u64),
            ("ROLE_SUPERVISOR", role::SUPERVISOR.into()),
            ("ROLE_AGENT", role::AGENT.into()),
            ("TRUST_READ", trust::READ.into()),
            ("TRUST_KERNEL", trust::KERNEL.into()),
            ("TRUST_SWEEP", trust::SWEEP.into()),
            ("TRUST_SIGNAL", trust::SIGNAL.into()),
            ("EVENT_VERSION", EVENT_VERSION.into()),
            ("ENTRIES_MAX", ENTRIES_MAX.into()),
            ("ANY_UID", ANY_UID.into()),
            ("RING_BYTES", 2 << 20),
            ("ARGUMENTS_BYTES", (event::SIZE - event::ARGUMENTS) as u64),
            ("EXE_BYTES", (party::SIZE - party::EXE) as u64),
        ]
        .map(|(name, number)| (name.to_owned(), number))
        .into();
        for list in
            [Route::in_header(), Hook::in_header(), Verdict::in_header(), Action::in_header(), Counter::in_header()]
        {
            ours.extend(list);
        }
        assert_eq!(ours, header);
    }

    #[test]
    fn every_offset_is_the_headers() {
        let header: BTreeMap<String, u64> = HEADER
            .lines()
            .filter_map(|line| line.strip_prefix("LAYOUT(").or(line.strip_prefix("SIZE("))?.strip_suffix(");"))
            .map(|line| line.rsplit_once(", ").map(|(name, number)| (name.replace(", ", "."), parse(number))))
            .map(Option::unwrap)
            .collect();
        let ours: BTreeMap<String, u64> = [
            ("entry.tree", 8),
            ("entry.roles", 16),
            ("entry", 24),
            ("identity.device", 8),
            ("identity", 16),
            ("permit.uid", 4),
            ("permit.trust", 8),
            ("permit", 16),
            ("settings.sweep_window_ns", 16),
            ("settings.sweep_targets", 24),
            ("settings.by_cgroup", 28),
            ("settings.by_exe", 29),
            ("settings.kill", 30),
            ("settings", 32),
            ("party.cgroup", party::CGROUP),
            ("party.exe_inode", party::EXE_INODE),
            ("party.exe_device", party::EXE_DEVICE),
            ("party.pid", party::PID),
            ("party.tid", party::TID),
            ("party.uid", party::UID),
            ("party.gid", party::GID),
            ("party.comm", party::COMM),
            ("party.exe", party::EXE),
            ("party", party::SIZE),
            ("event.route", event::ROUTE),
            ("event.hook", event::HOOK),
            ("event.verdict", event::VERDICT),
            ("event.sequence", event::SEQUENCE),
            ("event.time", event::TIME),
            ("event.lost", event::LOST),
            ("event.detail", event::DETAIL),
            ("event.arguments_length", event::ARGUMENTS_LENGTH),
            ("event.reader", event::READER),
            ("event.target", event::TARGET),
            ("event.arguments", event::ARGUMENTS),
            ("event", event::SIZE),
        ]
        .map(|(name, offset)| (name.to_owned(), offset as u64))
        .into();
        assert_eq!(ours, header);
    }

    #[test]
    fn an_action_is_set_for_its_route_alone() {
        for route in Route::ALL {
            let mut settings = Settings::all(Action::Report);
            settings.set(*route, Action::Deny);
            for other in Route::ALL {
                let expected = if other == route { Action::Deny } else { Action::Report };
                assert_eq!(settings.action(*other), expected, "{} {}", route.name(), other.name());
            }
        }
    }

    fn parse(number: &str) -> u64 {
        number.strip_prefix("0x").map_or_else(|| number.parse(), |hex| u64::from_str_radix(hex, 16)).unwrap()
    }
}
