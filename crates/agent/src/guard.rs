//! The programs in the kernel: loaded, attached, told what to protect.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aya::maps::{Array, HashMap, MapData, MapError, RingBuf};
use aya::programs::links::PinnedLink;
use aya::programs::raw_trace_point::RawTracePointLinkId;
use aya::programs::{Lsm, ProgramError, RawTracePoint};
use aya::{Btf, BtfError, Ebpf, EbpfError, EbpfLoader};

use envward_kernel::clock;

use crate::event::{Record, Unknown};
use crate::layout::{self, Counter, Settings, role};
use crate::pins::Pins;
use crate::process::{self, Identity};

/// Events that are held for later at most.
const BACKLOG: usize = 20_000;
/// The compiled `bpf/agent.bpf.c`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/agent.bpf.o"));

/// Hooks on system calls' way through the kernel: program and LSM hook have the same name.
const HOOKS: &[&str] = &[
    "file_open",
    "file_permission",
    "ptrace_access_check",
    "ptrace_traceme",
    "task_alloc",
    "task_kill",
    "task_prctl",
    "inode_create",
    "inode_unlink",
    "inode_rmdir",
    "sb_umount",
    "inode_rename",
    "inode_link",
    "inode_symlink",
    "perf_event_open",
    "locked_down",
    "kernel_read_file",
    "kernel_load_data",
    // The last one: from here on nobody loads programs, and neither do we.
    "bpf",
];
/// What the programs share with us and, when pinned, with those of the next agent.
const MAPS: &[&str] = &[
    "protected",
    "trusted_exe",
    "trusted_uid",
    "trusted_cgroup",
    "protected_cgroup",
    "protected_exe",
    "settings",
    "counters",
    "events",
];
/// Tracepoints that follow a process through its life: program, tracepoint.
const LINEAGE: &[(&str, &str)] =
    &[("on_fork", "sched_process_fork"), ("on_exec", "sched_process_exec"), ("on_exit", "sched_process_exit")];

/// Why nothing was loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The agent was built where there was no compiler for them.
    #[error("this agent was built without its BPF programs")]
    NotBuilt,
    /// The kernel does not describe its types.
    #[error("the kernel does not say how its objects are laid out (/sys/kernel/btf/vmlinux): {0}")]
    Types(#[source] BtfError),
    /// Maps, or the object as a whole.
    #[error("the kernel takes none of the BPF programs: {0}")]
    Object(#[source] Box<EbpfError>),
    /// One program.
    #[error("the kernel does not take the BPF program {name}: {}", refusal(.source))]
    Program {
        /// Its name.
        name: String,
        /// What the verifier or the loader said.
        source: Box<ProgramError>,
    },
    /// What a program shares with us.
    #[error("the map {name} cannot be used: {source}")]
    Map {
        /// Its name.
        name: &'static str,
        /// Why.
        source: Box<MapError>,
    },
    /// What is to outlive the agent.
    #[error("the programs cannot be kept in {}: {source}", place.display())]
    Pin {
        /// Where.
        place: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A process or file that is to be protected or trusted.
    #[error("{what}: {source}")]
    Subject {
        /// Which.
        what: String,
        /// Why it cannot be.
        source: io::Error,
    },
}

/// The last words of the verifier are what is of use.
fn refusal(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let lines: Vec<&str> = log.lines().rev().filter(|line| !line.is_empty()).take(12).collect();
            let end: Vec<&str> = lines.into_iter().rev().collect();
            format!("{io_error}\n{}", end.join("\n"))
        }
        other => other.to_string(),
    }
}

impl GuardError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotBuilt => Some("build it where clang is installed: apt-get install clang"),
            Self::Types(_) => Some("a kernel with CONFIG_DEBUG_INFO_BTF is needed; Debian's are"),
            Self::Object(_) if !is_capable() => {
                Some("run the agent as root: it needs CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN")
            }
            Self::Object(_) => None,
            Self::Program { .. } => Some(
                "Linux 5.13 or later with CONFIG_BPF_LSM is needed to deny; see what `envward agent --prove` shows",
            ),
            Self::Pin { .. } => Some("bpffs has to be mounted: mount -t bpf bpf /sys/fs/bpf"),
            Self::Map { .. } | Self::Subject { .. } => None,
        }
    }
}

fn is_capable() -> bool {
    process::effective_capabilities().is_some_and(|held| held >> 21 & 1 == 1)
}

type Map<K, V> = HashMap<MapData, K, V>;

/// The programs, as long as this lives.
pub struct Guard {
    ebpf: Ebpf,
    ring: RingBuf<MapData>,
    protected: Map<u32, [u8; 24]>,
    trusted_exe: Map<[u8; 16], [u8; 16]>,
    trusted_uid: Map<u32, u32>,
    trusted_cgroup: Map<u64, u32>,
    protected_cgroup: Map<u64, u32>,
    protected_exe: Map<[u8; 16], u32>,
    counters: Array<MapData, u64>,
    settings: Settings,
    tree: u64,
    given: Given,
    lineage: Vec<(&'static str, RawTracePointLinkId)>,
    /// Links that are in bpffs too.
    kept: Vec<PinnedLink>,
    backlog: VecDeque<Record>,
}

/// What the configuration has named, so that the rest can go.
#[derive(Debug, Default)]
struct Given {
    trusted_exe: HashSet<[u8; 16]>,
    trusted_uid: HashSet<u32>,
    trusted_cgroup: HashSet<u64>,
    protected_cgroup: HashSet<u64>,
    protected_exe: HashSet<[u8; 16]>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guard").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Guard {
    /// Loads and attaches the programs. The process that calls this is the agent and protected
    /// from here on.
    ///
    /// # Errors
    /// See [`GuardError`]; nothing is attached then. Linux 5.13.
    pub fn deny(settings: Settings, pins: Option<&Path>) -> Result<Self, GuardError> {
        let types = Btf::from_sys_fs().map_err(GuardError::Types)?;
        let pins = pins.map(Pins::prepare).transpose()?;
        let mut guard = Self::load(&types, settings, pins.as_ref())?;
        // First who is whose child, then who may do what.
        guard.follow_processes()?;
        for name in HOOKS {
            let program: &mut Lsm = guard.program(name)?;
            let link = program.load(name, &types).and_then(|()| program.attach());
            let link = link.map_err(|source| failed(name, source))?;
            if let Some(pins) = &pins {
                let link = program.take_link(link).map_err(|source| failed(name, source))?;
                let kept = pins.keep(name, link.into())?;
                guard.kept.push(kept);
            }
        }
        if let Some(pins) = &pins {
            guard.pin_lineage(pins)?;
        }
        Ok(guard)
    }

    /// Loads and attaches what only sees: tracepoints, for kernels that do not let BPF deny.
    ///
    /// # Errors
    /// See [`GuardError`]; nothing is attached then. Linux 5.15.
    pub fn detect(settings: Settings) -> Result<Self, GuardError> {
        let types = Btf::from_sys_fs().map_err(GuardError::Types)?;
        let mut guard = Self::load(&types, settings, None)?;
        guard.follow_processes()?;
        guard.attach_tracepoint("on_call", "sys_exit").map(drop)?;
        Ok(guard)
    }

    fn load(types: &Btf, settings: Settings, pins: Option<&Pins>) -> Result<Self, GuardError> {
        let object = |error| GuardError::Object(Box::new(error));
        if OBJECT.is_empty() {
            return Err(GuardError::NotBuilt);
        }
        let mut loader = EbpfLoader::new();
        loader.btf(Some(types));
        if let Some(pins) = pins {
            for name in MAPS {
                loader.map_pin_path(name, pins.map(name));
            }
        }
        let mut ebpf = loader.load(OBJECT).map_err(object)?;
        let ring = take(&mut ebpf, "events")?;
        let mut guard = Self {
            ring: RingBuf::try_from(ring).map_err(|source| unusable("events", source))?,
            protected: hash(&mut ebpf, "protected")?,
            trusted_exe: hash(&mut ebpf, "trusted_exe")?,
            trusted_uid: hash(&mut ebpf, "trusted_uid")?,
            trusted_cgroup: hash(&mut ebpf, "trusted_cgroup")?,
            protected_cgroup: hash(&mut ebpf, "protected_cgroup")?,
            protected_exe: hash(&mut ebpf, "protected_exe")?,
            counters: Array::try_from(take(&mut ebpf, "counters")?).map_err(|source| unusable("counters", source))?,
            ebpf,
            settings,
            // Higher than all that an agent before this one has given out.
            tree: clock::since_boot().as_nanos() as u64,
            given: Given::default(),
            lineage: Vec::new(),
            kept: Vec::new(),
            backlog: VecDeque::new(),
        };
        // What an agent before this one was told holds until we know better.
        guard.settings.by_cgroup = guard.protected_cgroup.keys().next().is_some();
        guard.settings.by_exe = guard.protected_exe.keys().next().is_some();
        guard.configure()?;
        let own = subject(process::identify(std::process::id()), || "the agent itself".to_owned())?;
        guard.insert(&own, 0, role::AGENT)?;
        Ok(guard)
    }

    fn follow_processes(&mut self) -> Result<(), GuardError> {
        for &(name, tracepoint) in LINEAGE {
            let link = self.attach_tracepoint(name, tracepoint)?;
            self.lineage.push((name, link));
        }
        Ok(())
    }

    fn pin_lineage(&mut self, pins: &Pins) -> Result<(), GuardError> {
        for (name, link) in std::mem::take(&mut self.lineage) {
            let program: &mut RawTracePoint = self.program(name)?;
            let link = program.take_link(link).map_err(|source| failed(name, source))?;
            let kept = pins.keep(name, link.into())?;
            self.kept.push(kept);
        }
        Ok(())
    }

    fn attach_tracepoint(&mut self, name: &str, tracepoint: &str) -> Result<RawTracePointLinkId, GuardError> {
        let program: &mut RawTracePoint = self.program(name)?;
        program.load().and_then(|()| program.attach(tracepoint)).map_err(|source| failed(name, source))
    }

    fn program<'a, P>(&'a mut self, name: &str) -> Result<&'a mut P, GuardError>
    where
        &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
    {
        self.ebpf
            .program_mut(name)
            .ok_or(ProgramError::NotLoaded)
            .and_then(TryInto::try_into)
            .map_err(|source| failed(name, source))
    }

    fn configure(&mut self) -> Result<(), GuardError> {
        let map = self.ebpf.map_mut("settings");
        let map = map.ok_or_else(|| unusable("settings", MapError::ElementNotFound))?;
        Array::<_, [u8; 32]>::try_from(map)
            .and_then(|mut settings| settings.set(0, self.settings.to_bytes(), 0))
            .map_err(|source| unusable("settings", source))
    }

    /// Protects a process and, from now on, everything that it starts.
    ///
    /// # Errors
    /// When it is gone.
    pub fn protect(&mut self, pid: u32, supervisor: bool) -> Result<(), GuardError> {
        let identity = subject(process::identify(pid), || format!("process {pid}"))?;
        self.tree += 1;
        self.insert(&identity, self.tree, if supervisor { role::SUPERVISOR } else { 0 })?;
        // It may have ended meanwhile, and somebody else may have its number.
        match process::identify(pid) {
            Ok(now) if now == identity => Ok(()),
            _ => {
                let _ = self.protected.remove(&pid);
                let gone = io::Error::from(io::ErrorKind::NotFound);
                Err(GuardError::Subject { what: format!("process {pid}"), source: gone })
            }
        }
    }

    fn insert(&mut self, process: &Identity, tree: u64, roles: u32) -> Result<(), GuardError> {
        let entry = layout::entry(process.start_ns, tree, roles);
        self.protected.insert(process.pid, entry, 0).map_err(|source| unusable("protected", source))
    }

    /// Protects every process of a cgroup, given its directory.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn protect_cgroup(&mut self, directory: &Path) -> Result<(), GuardError> {
        let id = subject(fs::metadata(directory), || directory.display().to_string())?.ino();
        self.given.protected_cgroup.insert(id);
        self.protected_cgroup.insert(id, 0, 0).map_err(|source| unusable("protected_cgroup", source))?;
        self.settings.by_cgroup = true;
        self.configure()
    }

    /// Protects every process that runs this executable.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn protect_exe(&mut self, path: &Path) -> Result<(), GuardError> {
        let (identity, _) = executable(path)?;
        self.given.protected_exe.insert(identity);
        self.protected_exe.insert(identity, 0, 0).map_err(|source| unusable("protected_exe", source))?;
        self.settings.by_exe = true;
        self.configure()
    }

    /// Trusts an executable with something (see [`layout::trust`]), for one user or for
    /// everybody, as long as the file has the owner that it has now.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn trust_exe(&mut self, path: &Path, uid: Option<u32>, trust: u32) -> Result<(), GuardError> {
        let (identity, owner) = executable(path)?;
        let permit = layout::permit(owner, uid.unwrap_or(layout::ANY_UID), trust);
        self.given.trusted_exe.insert(identity);
        self.trusted_exe.insert(identity, permit, 0).map_err(|source| unusable("trusted_exe", source))
    }

    /// Trusts a user with something.
    ///
    /// # Errors
    /// When there is no room.
    pub fn trust_uid(&mut self, uid: u32, trust: u32) -> Result<(), GuardError> {
        self.given.trusted_uid.insert(uid);
        self.trusted_uid.insert(uid, trust, 0).map_err(|source| unusable("trusted_uid", source))
    }

    /// Trusts a cgroup with something, given its directory.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn trust_cgroup(&mut self, directory: &Path, trust: u32) -> Result<(), GuardError> {
        let id = subject(fs::metadata(directory), || directory.display().to_string())?.ino();
        self.given.trusted_cgroup.insert(id);
        self.trusted_cgroup.insert(id, trust, 0).map_err(|source| unusable("trusted_cgroup", source))
    }

    /// From here on it counts whom the configuration names.
    pub fn begin_orders(&mut self) {
        self.given = Given::default();
    }

    /// Forgets whom the configuration has not named since [`Self::begin_orders`]. Called after it has been
    /// applied, so that nobody who is still in it is without protection meanwhile.
    ///
    /// # Errors
    /// None is expected.
    pub fn forget_others(&mut self) -> Result<(), GuardError> {
        let given = std::mem::take(&mut self.given);
        keep(&mut self.trusted_exe, &given.trusted_exe, "trusted_exe")?;
        keep(&mut self.trusted_uid, &given.trusted_uid, "trusted_uid")?;
        keep(&mut self.trusted_cgroup, &given.trusted_cgroup, "trusted_cgroup")?;
        keep(&mut self.protected_cgroup, &given.protected_cgroup, "protected_cgroup")?;
        keep(&mut self.protected_exe, &given.protected_exe, "protected_exe")?;
        self.settings.by_cgroup = !given.protected_cgroup.is_empty();
        self.settings.by_exe = !given.protected_exe.is_empty();
        self.configure()
    }

    /// Does other things about routes from now on.
    ///
    /// # Errors
    /// None is expected.
    pub fn set(&mut self, settings: Settings) -> Result<(), GuardError> {
        let (by_cgroup, by_exe) = (self.settings.by_cgroup, self.settings.by_exe);
        self.settings = settings;
        self.settings.by_cgroup = by_cgroup;
        self.settings.by_exe = by_exe;
        self.configure()
    }

    /// What the programs have counted.
    ///
    /// # Errors
    /// None is expected.
    pub fn count(&self, counter: Counter) -> Result<u64, GuardError> {
        self.counters.get(&(counter as u32), 0).map_err(|source| unusable("counters", source))
    }

    /// The next event, if there is one.
    pub fn next_event(&mut self) -> Option<Result<Record, Unknown>> {
        if let Some(record) = self.backlog.pop_front() {
            return Some(Ok(record));
        }
        self.ring.next().map(|item| Record::parse(&item))
    }

    /// Puts events back that somebody has taken who was waiting for another.
    pub fn put_back(&mut self, records: Vec<Record>) {
        records.into_iter().rev().for_each(|record| self.backlog.push_front(record));
    }

    /// Takes what waits in the ring, up to what it holds a few times over, to be returned by
    /// [`Self::next_event`].
    pub fn make_room(&mut self) {
        while self.backlog.len() < BACKLOG {
            let Some(item) = self.ring.next() else { return };
            if let Ok(record) = Record::parse(&item) {
                self.backlog.push_back(record);
            }
        }
    }

    /// Becomes readable when there are events that were not put back.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }

    /// What is done about each route.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }
}

fn failed(name: &str, source: ProgramError) -> GuardError {
    GuardError::Program { name: name.to_owned(), source: Box::new(source) }
}

fn unusable(name: &'static str, source: MapError) -> GuardError {
    GuardError::Map { name, source: Box::new(source) }
}

fn subject<T>(result: io::Result<T>, what: impl FnOnce() -> String) -> Result<T, GuardError> {
    result.map_err(|source| GuardError::Subject { what: what(), source })
}

fn keep<K, V>(map: &mut Map<K, V>, given: &HashSet<K>, name: &'static str) -> Result<(), GuardError>
where
    K: aya::Pod + Eq + std::hash::Hash,
    V: aya::Pod,
{
    let others: Vec<K> = map.keys().filter_map(Result::ok).filter(|key| !given.contains(key)).collect();
    others.iter().try_for_each(|key| map.remove(key)).map_err(|source| unusable(name, source))
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<aya::maps::Map, GuardError> {
    ebpf.take_map(name).ok_or_else(|| unusable(name, MapError::ElementNotFound))
}

fn hash<K: aya::Pod, V: aya::Pod>(ebpf: &mut Ebpf, name: &'static str) -> Result<Map<K, V>, GuardError> {
    HashMap::try_from(take(ebpf, name)?).map_err(|source| unusable(name, source))
}

/// Identity and owner of an executable.
fn executable(path: &Path) -> Result<([u8; 16], u32), GuardError> {
    let file = subject(fs::metadata(path), || path.display().to_string())?;
    Ok((layout::identity(file.ino(), process::kernel_device(file.dev())), file.uid()))
}
