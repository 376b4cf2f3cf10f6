//! Starting a tree: from a vault and a command line to a running [`Tree`].

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use envward_kernel::arch::{self, Cookie};
use envward_kernel::capability::Capability;
use envward_kernel::signal::{self, SignalQueue, SignalSet};
use envward_kernel::spawn::{self, Plan, SpawnError, Spawned};
use envward_kernel::{descriptor, prctl};
use envward_secret::{RegionError, Vault};

use crate::carry::{self, CarryError};
use crate::companion::Home;
use crate::group::Group;
use crate::image::{Image, ImageError};
use crate::inject::{Guard, InjectError};
use crate::mode::{Attempt, Mode, Protection};
use crate::permit::Permit;
use crate::pristine::Given;
use crate::report::Report;
use crate::scratchpad::Scratchpads;
use crate::service::{self, Notifications};
use crate::supervise::{First, Supervisor};
use crate::tree::{self, Tree};

/// What to start.
#[derive(Debug)]
pub struct Command<'a> {
    /// The files to try, in order.
    pub paths: &'a [CString],
    /// The arguments, `argv[0]` first.
    pub arguments: &'a [CString],
    /// The environment without secrets.
    pub environment: &'a [&'a CStr],
    /// How to protect the tree.
    pub protection: Protection,
}

/// Why nothing runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The supervisor cannot prepare itself.
    #[error("cannot {step}: {source}")]
    Prepare {
        /// What was being done.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The secrets stand under too many other names in the environment.
    #[error(transparent)]
    Carry(#[from] CarryError),
    /// No protected memory.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// The tree cannot be supervised, and without that rules cannot be kept.
    #[error("rules about programs need supervision, which cannot be had: {0}")]
    RulesWithoutSupervision(io::Error),
    /// The program could not be started.
    #[error("{}", spawn_text(.0))]
    Spawn(SpawnError),
    /// The secrets could not be put into it; it was killed.
    #[error("the secrets could not be put into the program: {0}")]
    Inject(#[from] InjectError),
}

fn spawn_text(error: &SpawnError) -> String {
    match error {
        SpawnError::Clone(source) => format!("cannot create a process: {source}"),
        SpawnError::Trace(source) => format!("the program cannot be traced: {source}"),
        SpawnError::Prepare(source) => format!("the new process cannot be prepared: {source}"),
        SpawnError::Filter(source) => format!("the execs of the program cannot be supervised: {source}"),
        SpawnError::Exec(source) => source.to_string(),
        _ => "the program cannot be started".to_owned(),
    }
}

/// Starts the program with the secrets of `vault`.
///
/// From here on all signals of this process are forwarded to it.
///
/// # Errors
/// See [`StartError`]; nothing runs then.
pub fn start<'a>(
    command: &Command<'_>,
    vault: Vault,
    permit: &'a dyn Permit,
    report: &'a mut dyn FnMut(Report),
) -> Result<Tree<'a>, StartError> {
    let preparing = |step| move |source| StartError::Prepare { step, source };
    prctl::become_subreaper().map_err(preparing("adopt orphans"))?;
    // An inherited "ignore" would reap our children behind our back.
    signal::set_default(SIGCHLD).map_err(preparing("watch for children"))?;
    let mask = signal::set_mask(SignalSet::ALL).map_err(preparing("block signals"))?;
    let signals = SignalQueue::new().map_err(preparing("receive signals"))?;
    let mut image = Image::new(vault)?;
    let notifications = value_of(command.environment, b"NOTIFY_SOCKET")
        .map(Notifications::new)
        .transpose()
        .map_err(preparing("stand between the program and the service manager"))?;
    let socket = notifications.as_ref().map(Notifications::variable);
    let (environment, carry) = carry::of_own(&mut image, service::environment(command.environment, socket.as_deref()))?;
    let mut random = [0; 32];
    envward_kernel::random::fill(&mut random).map_err(preparing("get random numbers"))?;
    let mut words = random.chunks_exact(8).map(|word| word.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    let cookie = Cookie([(); 3].map(|()| words.next().unwrap_or_default()));
    let pads = Scratchpads::new(words.next().unwrap_or_default());
    let home = Home::new();
    let companion = home.settle_here();
    let guard = match command.protection.mode {
        Mode::Full => Guard::needed().map_err(preparing("read our capabilities"))?,
        Mode::Supervised | Mode::Sealed => None,
    };
    let filter = arch::exec_filter(&cookie);
    let (paths, arguments) = (references(command.paths), references(command.arguments));
    let plan = Plan {
        paths: &paths,
        arguments: &arguments,
        environment: &environment,
        filter: Some(&filter),
        cookie,
        forbid_core: command.protection.forbid_core,
        guard: guard.map(|_| Capability::SysPtrace),
    };
    let mut inherited = None;
    let spawned = match spawn::spawn(&plan) {
        Err(SpawnError::Filter(error)) if command.protection.supervision == Attempt::BestEffort => {
            if permit.is_restrictive() {
                return Err(StartError::RulesWithoutSupervision(error));
            }
            report(Report::Unsupervised(error));
            let copy = image.copy(|_, _| true)?;
            descriptor::set_close_on_exec(copy.descriptor.as_raw_fd(), false)
                .map_err(preparing("pass on the secrets"))?;
            inherited = Some(copy);
            spawn::spawn(&Plan { filter: None, ..plan })
        }
        other => other,
    };
    let Spawned { program, listener, executed, .. } = spawned.map_err(StartError::Spawn)?;
    // Before the program runs: from its first instruction on it may be signalled by its group.
    let watch = signals.as_fd().try_clone_to_owned().map_err(preparing("watch for children"))?;
    let group = Group::leave();
    let mut supervisor =
        Supervisor::new(listener, watch, image, permit, command.protection, cookie, home, pads, report);
    let given = Given::new(executed, &paths, &arguments, &environment);
    let stopped = supervisor.start(program, First { given, carry, inherited, guard })?;
    let program = stopped.tid();
    // What was pending for us when we became envward is pending for the program now.
    while let Some(received) = signals.next().map_err(preparing("receive signals"))? {
        tree::forward(&received, program, &group);
    }
    supervisor.release(stopped, mask, companion)?;
    // From now on nobody waits in vain for the end of a pipe because we hold the other side.
    descriptor::close_inherited();
    descriptor::close_standard_input_and_output();
    Ok(Tree::new(supervisor, signals, notifications, group, program))
}

/// The value of a variable in an environment.
fn value_of<'a>(environment: &[&'a CStr], name: &[u8]) -> Option<&'a [u8]> {
    environment.iter().find_map(|string| string.to_bytes().strip_prefix(name)?.strip_prefix(b"="))
}

fn references(strings: &[CString]) -> Vec<&CStr> {
    strings.iter().map(CString::as_c_str).collect()
}

const SIGCHLD: i32 = 17;
