//! A short-lived process of ours with everything in protected memory.

#![expect(unsafe_code, reason = "runs a child on a stack that it is given")]

use std::fmt;
use std::io;
use std::ptr::NonNull;

use envward_kernel::process::{self, Change, Ending};
use envward_kernel::{capability, confine, prctl};

use crate::heap::Heap;
use crate::{Backing, Region, RegionError};

/// What `body` may use of the stack, in bytes. Only pages that are used cost anything, but all
/// count against the limit on locked memory.
const STACK: usize = 256 * 1024;

/// The child could not be confined: its own numbers are below this.
const UNCONFINED: u8 = 255;
/// The program's global allocator is not [`Heap`].
const UNPROTECTED: u8 = 254;

/// Runs `body` in a child process whose stack and heap are protected memory, which is not
/// dumpable, and which can neither exec nor trace, start nothing and connect to nothing. It
/// shares this process's files, and what it writes to an [`Exchange`]. It dies with this process.
///
/// Returns what `body` did, which must be below 254.
///
/// # Errors
///
/// [`ConfinedError`]; nothing was done by `body`, except for
/// [`Killed`](ConfinedError::Killed).
pub fn run(backing: Backing, body: &mut dyn FnMut() -> u8) -> Result<u8, ConfinedError> {
    let mut stack = Region::inherited(STACK, backing).map_err(ConfinedError::Memory)?;
    let stack_end = NonNull::from(stack.as_mut_slice()).cast::<u8>().as_ptr().wrapping_add(STACK);
    let Some(stack_end) = NonNull::new(stack_end) else { return Err(ConfinedError::Unconfined) };
    let mut child = || {
        if prepare(backing).is_err() {
            return UNCONFINED;
        }
        if !Heap::is_protected() {
            return UNPROTECTED;
        }
        body()
    };
    // SAFETY: the region is not used here before the child has ended, has a guard page below,
    // and is a mapping that children have; its end is the end of a page.
    let pid = unsafe { confine::fork_onto(stack_end, &mut child) }.map_err(ConfinedError::Fork)?;
    match process::wait_for(pid).map_err(ConfinedError::Fork)? {
        Change::Ended(Ending::Exited(UNCONFINED)) => Err(ConfinedError::Unconfined),
        Change::Ended(Ending::Exited(UNPROTECTED)) => Err(ConfinedError::Unprotected),
        Change::Ended(Ending::Exited(code)) => Ok(code),
        Change::Ended(Ending::Killed(signal)) => Err(ConfinedError::Killed(signal)),
        Change::Stopped { signal, .. } => Err(ConfinedError::Killed(signal)),
        Change::Continued => Err(ConfinedError::Unconfined),
    }
}

/// What the child does first.
fn prepare(backing: Backing) -> io::Result<()> {
    prctl::die_with_parent()?;
    prctl::set_dumpable(false)?;
    process::forbid_core_files()?;
    if process::is_privileged_executable() {
        // The capability on the file is for tracing, which is not done here.
        capability::set_all(0, 0)?;
    }
    confine::confine()?;
    // SAFETY: the child has the one thread that it was started with, and is now confined: it
    // can start no other.
    unsafe { Heap::protect(backing) };
    Ok(())
}

/// Protected memory that a [confined](run) child shares with the process that started it: both
/// see the same bytes. Only one of them uses it at a time.
pub struct Exchange(Region);

impl Exchange {
    /// Memory of `len` bytes, zero at first, rounded up to whole pages.
    ///
    /// # Errors
    ///
    /// See [`RegionError`].
    pub fn new(len: usize, backing: Backing) -> Result<Self, RegionError> {
        Region::inherited(len, backing).map(Self)
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The bytes, to be changed.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.0.as_mut_slice()
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exchange").field(&self.0).finish()
    }
}

/// Why a task was not done in protected memory.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfinedError {
    /// No protected memory for the stack.
    Memory(RegionError),
    /// No process: `EBUSY` when this one has threads.
    Fork(io::Error),
    /// The process could not be confined.
    Unconfined,
    /// The program has another global allocator than [`Heap`].
    Unprotected,
    /// The process was killed by this signal: `SIGABRT` when it had no more protected memory.
    Killed(i32),
}

impl fmt::Display for ConfinedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(source) => source.fmt(f),
            Self::Fork(source) => write!(f, "cannot start the process that handles secrets: {source}"),
            Self::Unconfined => {
                f.write_str("the process that handles secrets could not be confined (seccomp is refused here)")
            }
            Self::Unprotected => f.write_str("this program has no heap in protected memory"),
            Self::Killed(signal) => write!(
                f,
                "the process that handles secrets died of signal {signal}; if it ran out of protected memory, \
                 raise the limit on locked memory (ulimit -l)"
            ),
        }
    }
}

impl std::error::Error for ConfinedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Memory(source) => source.source(),
            Self::Fork(source) => Some(source),
            _ => None,
        }
    }
}
