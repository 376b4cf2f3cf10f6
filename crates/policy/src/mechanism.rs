//! The protections, and which of them must be had.

use std::fmt;
use std::str::FromStr;

/// A protection that the machine may or may not offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mechanism {
    /// Secrets lie in pages that no other process can read.
    MemfdSecret,
    /// The program's processes cannot be traced or dumped by the same user.
    NonDumpable,
    /// The execs of descendants are supervised.
    Supervision,
    /// The first program goes on in a process whose memory never was dumpable.
    ForkAway,
    /// No core files.
    NoCore,
    /// Inaccessible pages on both sides of protected memory.
    GuardPages,
    /// The machine restricts tracing to ancestors, `ptrace_scope` 1 or more.
    Yama,
    /// The machine keeps unprivileged users from sampling processes,
    /// `perf_event_paranoid` 3 or more.
    PerfParanoid,
}

impl Mechanism {
    /// All mechanisms in the order of reports.
    pub const ALL: [Self; 8] = [
        Self::MemfdSecret,
        Self::NonDumpable,
        Self::Supervision,
        Self::ForkAway,
        Self::NoCore,
        Self::GuardPages,
        Self::Yama,
        Self::PerfParanoid,
    ];

    /// The stable name that command line, configuration file and reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MemfdSecret => "memfd_secret",
            Self::NonDumpable => "non-dumpable",
            Self::Supervision => "supervision",
            Self::ForkAway => "fork-away",
            Self::NoCore => "no-core",
            Self::GuardPages => "guard-pages",
            Self::Yama => "yama",
            Self::PerfParanoid => "perf-paranoid",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    fn from_str(name: &str) -> Result<Self, UnknownMechanism> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name).ok_or(UnknownMechanism)
    }
}

/// No mechanism has that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownMechanism;

impl fmt::Display for UnknownMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such mechanism; the mechanisms are ")?;
        for mechanism in Mechanism::ALL {
            write!(f, "{mechanism}, ")?;
        }
        f.write_str("or all")
    }
}

impl std::error::Error for UnknownMechanism {}

/// What `--require` and `--best-effort` take: one mechanism or `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Selection {
    /// Every mechanism that is not named itself.
    All,
    /// This one.
    One(Mechanism),
}

impl FromStr for Selection {
    type Err = UnknownMechanism;

    fn from_str(name: &str) -> Result<Self, UnknownMechanism> {
        match name {
            "all" => Ok(Self::All),
            name => name.parse().map(Self::One),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.pad("all"),
            Self::One(mechanism) => mechanism.fmt(f),
        }
    }
}

/// Whether a program may start without a mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Requirement {
    /// Nothing was said; what that means depends on the mode.
    #[default]
    Default,
    /// It must be had, or the program does not start.
    Required,
    /// It may be missing, and the report says so.
    BestEffort,
}

/// The requirement of every mechanism.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requirements {
    by_mechanism: [Requirement; Mechanism::ALL.len()],
}

impl Requirements {
    /// Adds what one place says, the configuration file or the command line.
    ///
    /// A mechanism's own name counts more than `all`, so that
    /// `--require all --best-effort yama` does what it says. What is applied
    /// later overrides what was applied earlier: the command line is applied
    /// last.
    ///
    /// # Errors
    ///
    /// [`Conflict`] if one place requires and does not require the same; nothing
    /// is changed then.
    pub fn apply(&mut self, require: &[Selection], best_effort: &[Selection]) -> Result<(), Conflict> {
        if let Some(both) = require.iter().find(|one| best_effort.contains(one)) {
            return Err(Conflict { selection: *both });
        }
        for (selections, requirement) in [(require, Requirement::Required), (best_effort, Requirement::BestEffort)] {
            if selections.contains(&Selection::All) {
                self.by_mechanism = [requirement; Mechanism::ALL.len()];
            }
        }
        for (selections, requirement) in [(require, Requirement::Required), (best_effort, Requirement::BestEffort)] {
            for selection in selections {
                if let Selection::One(mechanism) = selection {
                    self.by_mechanism[mechanism.index()] = requirement;
                }
            }
        }
        Ok(())
    }

    /// The requirement of one mechanism.
    #[must_use]
    pub fn of(&self, mechanism: Mechanism) -> Requirement {
        self.by_mechanism[mechanism.index()]
    }

    /// The mechanisms that must be had.
    pub fn required(&self) -> impl Iterator<Item = Mechanism> {
        Mechanism::ALL.into_iter().filter(|mechanism| self.of(*mechanism) == Requirement::Required)
    }
}

/// The same is required and best effort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{selection} is both required and best effort; leave out one of them")]
pub struct Conflict {
    /// What is.
    pub selection: Selection,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(names: &[&str]) -> Vec<Selection> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn names_and_mechanisms_correspond() {
        let message = UnknownMechanism.to_string();
        for (index, mechanism) in Mechanism::ALL.into_iter().enumerate() {
            assert_eq!(mechanism.index(), index);
            assert_eq!(mechanism.to_string().parse(), Ok(mechanism));
            assert!(message.contains(mechanism.name()), "{message}");
        }
        assert_eq!("memfd-secret".parse::<Mechanism>(), Err(UnknownMechanism));
        assert_eq!("all".parse::<Mechanism>(), Err(UnknownMechanism));
    }

    #[test]
    fn requirements_are_resolved() {
        use Mechanism::{NoCore, Yama};
        use Requirement::{BestEffort, Default, Required};
        let cases: &[(&[&str], &[&str], Requirement, Requirement)] = &[
            (&[], &[], Default, Default),
            (&["yama"], &[], Required, Default),
            (&["yama"], &["no-core"], Required, BestEffort),
            (&["all"], &[], Required, Required),
            (&["all"], &["yama"], BestEffort, Required),
            (&["no-core"], &["all"], BestEffort, Required),
            (&["yama", "yama"], &[], Required, Default),
        ];
        for (require, best_effort, yama, no_core) in cases {
            let mut requirements = Requirements::default();
            requirements.apply(&parsed(require), &parsed(best_effort)).unwrap();
            assert_eq!(requirements.of(Yama), *yama, "{require:?} {best_effort:?}");
            assert_eq!(requirements.of(NoCore), *no_core);
        }
    }

    #[test]
    fn the_same_cannot_be_both() {
        for (name, message) in [
            ("all", "all is both required and best effort; leave out one of them"),
            ("yama", "yama is both required and best effort; leave out one of them"),
        ] {
            let mut requirements = Requirements::default();
            let both = parsed(&[name]);
            let conflict = requirements.apply(&both, &both).unwrap_err();
            assert_eq!(conflict.to_string(), message);
            assert_eq!(requirements, Requirements::default());
        }
    }

    #[test]
    fn what_is_applied_later_overrides() {
        let mut requirements = Requirements::default();
        requirements.apply(&parsed(&["yama", "no-core"]), &[]).unwrap();
        requirements.apply(&[], &parsed(&["yama"])).unwrap();
        assert_eq!(requirements.of(Mechanism::Yama), Requirement::BestEffort);
        assert_eq!(requirements.of(Mechanism::NoCore), Requirement::Required);
        assert!(requirements.required().eq([Mechanism::NoCore]));
        requirements.apply(&parsed(&["all"]), &[]).unwrap();
        assert_eq!(requirements.of(Mechanism::Yama), Requirement::Required);
    }
}
