//! The three ways to keep a tree's secrets, and which of them this machine allows.

use std::fmt;
use std::io;

use envward_kernel::capability::{self, Capability};

/// How the processes of a tree are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Processes are non-dumpable and their execs are supervised. Needs `CAP_SYS_PTRACE`.
    Full,
    /// Processes stay dumpable, so that a supervisor without privileges can handle their
    /// execs; the secret pages cannot be read from outside all the same.
    Supervised,
    /// Processes are non-dumpable and may not exec: a supervisor without privileges could
    /// not look at what such an exec would carry.
    Sealed,
}

impl Mode {
    /// All modes, strongest first.
    pub const ALL: [Self; 3] = [Self::Full, Self::Supervised, Self::Sealed];

    /// The mode that is chosen when none is asked for.
    ///
    /// # Errors
    /// When the kernel does not tell the capabilities.
    pub fn strongest() -> io::Result<Self> {
        Ok(if capability::is_effective(Capability::SysPtrace)? { Self::Full } else { Self::Supervised })
    }

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Supervised => "supervised",
            Self::Sealed => "sealed",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Whether something is to be tried, and what its failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It is not tried.
    No,
    /// Its failure is reported and otherwise ignored.
    BestEffort,
    /// Its failure stops the start.
    Required,
}

/// How a tree is to be protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// The mode.
    pub mode: Mode,
    /// Supervision of execs. Without it programs that the program starts get their secrets as
    /// plain strings.
    pub supervision: Attempt,
    /// Going on in a process whose memory was never dumpable.
    pub fork_away: Attempt,
    /// Whether the program may write no core files.
    pub forbid_core: bool,
}
