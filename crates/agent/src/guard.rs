//! The programs in the kernel: loaded, attached, told what to protect.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aya::maps::{Array, HashMap, MapData, MapError, RingBuf};
use aya::programs::{Lsm, ProgramError, RawTracePoint};
use aya::{Btf, BtfError, Ebpf, EbpfError, EbpfLoader};

use crate::event::{Record, Unknown};
use crate::layout::{self, Counter, Settings, role};
use crate::process::{self, Identity};

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
    pub fn deny(settings: Settings) -> Result<Self, GuardError> {
        let types = Btf::from_sys_fs().map_err(GuardError::Types)?;
        let mut guard = Self::load(&types, settings)?;
        // First who is whose child, then who may do what.
        guard.follow_processes()?;
        for name in HOOKS {
            let program: &mut Lsm = guard.program(name)?;
            program.load(name, &types).and_then(|()| program.attach()).map_err(|source| failed(name, source))?;
        }
        Ok(guard)
    }

    /// Loads and attaches what only sees: tracepoints, for kernels that do not let BPF deny.
    ///
    /// # Errors
    /// See [`GuardError`]; nothing is attached then. Linux 5.15.
    pub fn detect(settings: Settings) -> Result<Self, GuardError> {
        let types = Btf::from_sys_fs().map_err(GuardError::Types)?;
        let mut guard = Self::load(&types, settings)?;
        guard.follow_processes()?;
        guard.attach_tracepoint("on_call", "sys_exit")?;
        Ok(guard)
    }

    fn load(types: &Btf, settings: Settings) -> Result<Self, GuardError> {
        let object = |error| GuardError::Object(Box::new(error));
        if OBJECT.is_empty() {
            return Err(GuardError::NotBuilt);
        }
        let mut ebpf = EbpfLoader::new().btf(Some(types)).load(OBJECT).map_err(object)?;
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
            tree: 0,
        };
        guard.configure()?;
        let own = subject(process::identify(std::process::id()), || "the agent itself".to_owned())?;
        guard.insert(&own, 0, role::AGENT)?;
        Ok(guard)
    }

    fn follow_processes(&mut self) -> Result<(), GuardError> {
        LINEAGE.iter().try_for_each(|(name, tracepoint)| self.attach_tracepoint(name, tracepoint))
    }

    fn attach_tracepoint(&mut self, name: &str, tracepoint: &str) -> Result<(), GuardError> {
        let program: &mut RawTracePoint = self.program(name)?;
        program.load().and_then(|()| program.attach(tracepoint)).map(drop).map_err(|source| failed(name, source))
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
        self.trusted_exe.insert(identity, permit, 0).map_err(|source| unusable("trusted_exe", source))
    }

    /// Trusts a user with something.
    ///
    /// # Errors
    /// When there is no room.
    pub fn trust_uid(&mut self, uid: u32, trust: u32) -> Result<(), GuardError> {
        self.trusted_uid.insert(uid, trust, 0).map_err(|source| unusable("trusted_uid", source))
    }

    /// Trusts a cgroup with something, given its directory.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn trust_cgroup(&mut self, directory: &Path, trust: u32) -> Result<(), GuardError> {
        let id = subject(fs::metadata(directory), || directory.display().to_string())?.ino();
        self.trusted_cgroup.insert(id, trust, 0).map_err(|source| unusable("trusted_cgroup", source))
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
        self.ring.next().map(|item| Record::parse(&item))
    }

    /// Becomes readable when there are events.
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
