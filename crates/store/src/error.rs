//! Why a store could not be used.

use std::io;
use std::path::PathBuf;

/// What sort of trouble it is, for exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// What was asked for is not there, or is not clear.
    Absent,
    /// None of the identities opens the store.
    Locked,
    /// The store is not what envward wrote.
    Damaged,
    /// A file could not be read or written.
    File,
    /// What was given cannot be stored.
    Input,
}

/// A store could not be used. Names files, lines and secrets, never a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file could not be written; what was there before is unchanged.
    #[error("cannot write {}: {step}: {source}; nothing was changed", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file is there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// Another process holds the store for too long.
    #[error("{} is locked by another process", path.display())]
    Busy {
        /// The path.
        path: PathBuf,
    },
    /// The text is not a store.
    #[error("line {line}: {problem}")]
    Damaged {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A version of a secret was changed, moved or made by somebody without the key.
    #[error("version {version} of {name} was not written with the key of this store")]
    Forged {
        /// The secret.
        name: String,
        /// Its version.
        version: u32,
    },
    /// A line that others refer to is gone.
    #[error("a line is missing that was there when version {version} of {name} was written")]
    Missing {
        /// The secret whose line refers to it.
        name: String,
        /// Its version.
        version: u32,
    },
    /// The versions of a secret have a gap.
    #[error("version {version} of {name} is missing")]
    Gap {
        /// The secret.
        name: String,
        /// The version.
        version: u32,
    },
    /// The block with the store's key does not belong to the lines around it.
    #[error("the recipients were changed without the key of this store")]
    Recipients,
    /// The block with the store's key is broken.
    #[error("the block with the store's key is broken")]
    KeyBlock,
    /// No identity fits.
    #[error("none of the identities opens the store")]
    NoIdentity,
    /// The passphrase is wrong.
    #[error("the passphrase does not open the store")]
    WrongPassphrase,
    /// There was nobody to ask.
    #[error("no passphrase was given")]
    NoPassphrase,
    /// The passphrase takes more work than is accepted.
    #[error("the passphrase was hashed with a work factor of {0}, more than is accepted")]
    TooMuchWork(u8),
    /// An identity cannot be used.
    #[error("{}: {problem}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A recipient cannot be used.
    #[error("not a recipient: {0}")]
    Recipient(&'static str),
    /// There is no such secret.
    #[error("there is no secret {0}")]
    NoSecret(String),
    /// There is no such version.
    #[error("there is no version {version} of {name}")]
    NoVersion {
        /// The secret.
        name: String,
        /// What was asked for.
        version: String,
    },
    /// A secret was set on two branches that were merged.
    #[error("{name} has two newest versions, from two branches that were merged: {first} and {second}")]
    Conflict {
        /// The secret.
        name: String,
        /// One, as `history` shows it.
        first: String,
        /// The other.
        second: String,
    },
    /// Not a name.
    #[error("not a name of a secret: it has letters, digits and `_`, does not begin with a digit, and at most 255")]
    Name,
    /// Not a value.
    #[error("the value of {name} {problem}")]
    Value {
        /// The secret.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Random numbers cannot be had.
    #[error("no random numbers: {0}")]
    Random(io::Error),
}

impl StoreError {
    /// What sort of trouble it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSecret(_) | Self::NoVersion { .. } | Self::Conflict { .. } => Kind::Absent,
            Self::NoIdentity
            | Self::WrongPassphrase
            | Self::NoPassphrase
            | Self::TooMuchWork(_)
            | Self::Identity { .. } => Kind::Locked,
            Self::Damaged { .. }
            | Self::Forged { .. }
            | Self::Missing { .. }
            | Self::Gap { .. }
            | Self::Recipients
            | Self::KeyBlock => Kind::Damaged,
            Self::Read { .. } | Self::Write { .. } | Self::Exists { .. } | Self::Busy { .. } | Self::Random(_) => {
                Kind::File
            }
            Self::Recipient(_) | Self::Name | Self::Value { .. } => Kind::Input,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Damaged { .. }
            | Self::Forged { .. }
            | Self::Missing { .. }
            | Self::Gap { .. }
            | Self::Recipients
            | Self::KeyBlock => {
                "nothing was changed; take the last good version of the file from git or a backup \
                 (after a merge: keep all lines of both sides)"
            }
            Self::NoIdentity => {
                "name the file with your identity (--identity, or `identity` in [store] of envward.toml), or ask \
                 somebody who can open the store to add you: envward recipients add"
            }
            Self::Conflict { .. } => "choose one with `envward revert NAME VERSION`, or set a new value",
            Self::Write { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space and try again",
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "the folder must be writable: the store is replaced as a whole"
                }
                _ => return None,
            },
            Self::Busy { .. } => "try again when it has ended",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_and_lack_of_space_come_with_a_remedy() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = StoreError::Write { path: "x".into(), step: "fsync", source: full };
        assert_eq!(error.kind(), Kind::File);
        assert!(error.hint().is_some_and(|hint| hint.contains("space")));
        assert!(error.to_string().ends_with("nothing was changed"));
        assert!(StoreError::KeyBlock.hint().is_some());
    }
}
