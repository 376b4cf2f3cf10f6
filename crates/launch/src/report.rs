//! What a supervisor says of its work.

use std::io;

use envward_secret::Backing;

use crate::carry::CarryError;
use crate::inject::InjectError;
use crate::mode::Mode;

/// What the supervisor has seen and done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Execs that carried nothing.
    pub plain: u64,
    /// Programs that secrets were put into.
    pub injected: u64,
    /// Execs that carried secrets and failed by themselves.
    pub failed: u64,
    /// Execs that were refused.
    pub refused: u64,
    /// Programs that were killed because an injection failed.
    pub killed: u64,
}

/// The protection that a tree has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The mode.
    pub mode: Mode,
    /// What the secrets lie in.
    pub backing: Backing,
    /// Whether execs are supervised (or refused, in the sealed mode).
    pub supervised: bool,
    /// Whether the first program goes on in memory that was never dumpable.
    pub forked_away: bool,
    /// Whether the program may write no core files.
    pub no_core_files: bool,
}

/// Something that the person who started the tree should know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Report {
    /// A process was killed, because secrets could not be put into it.
    Killed {
        /// Which.
        pid: i32,
        /// Why.
        error: InjectError,
    },
    /// An exec was refused.
    Refused {
        /// By which thread.
        tid: i32,
        /// Why.
        error: RefuseError,
    },
    /// The tree is not supervised.
    Unsupervised(io::Error),
    /// The first program goes on in the memory that it was started with.
    NotForkedAway(io::Error),
}

/// Why an exec was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefuseError {
    /// The environment could not be taken apart.
    #[error(transparent)]
    Carry(#[from] CarryError),
    /// The process could not be traced.
    #[error("the process cannot be traced: {0}")]
    Trace(io::Error),
    /// The mode allows none.
    #[error("a sealed tree may not start other programs")]
    Sealed,
}
