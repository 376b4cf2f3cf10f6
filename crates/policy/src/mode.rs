//! The modes of running a program.

use std::fmt;
use std::str::FromStr;

/// How a program and its descendants are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Processes are non-dumpable and the execs of descendants are supervised.
    /// Needs `CAP_SYS_PTRACE`.
    Full,
    /// Processes stay dumpable; the execs of descendants are supervised.
    Supervised,
    /// Processes are non-dumpable; descendants may not exec with secrets.
    Sealed,
}

impl Mode {
    /// All modes, the strongest first.
    pub const ALL: [Self; 3] = [Self::Full, Self::Supervised, Self::Sealed];

    /// The name that the command line and the configuration file use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Supervised => "supervised",
            Self::Sealed => "sealed",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(name: &str) -> Result<Self, UnknownMode> {
        Self::ALL.into_iter().find(|mode| mode.name() == name).ok_or(UnknownMode)
    }
}

/// No mode has that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such mode; the modes are full, supervised and sealed")]
pub struct UnknownMode;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_modes_correspond() {
        for mode in Mode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
            let message = UnknownMode.to_string();
            assert!(message.contains(mode.name()), "{message}");
        }
        assert_eq!("Full".parse::<Mode>(), Err(UnknownMode));
    }
}
