//! Why a source could not be loaded.

use std::io;
use std::path::PathBuf;

use envward_kernel::initial_env::AcquireError;
use envward_secret::{ReadError, RegionError, VaultError};

use crate::dotenv::{Excerpt, SyntaxError};

/// A source could not be loaded. Names files, places and variables, never a
/// value; `Display` says what to do where that is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A file could not be opened.
    #[error("cannot open {}: {source}{}", path.display(), open_hint(source))]
    Open {
        /// The path as it was given.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A source could not be read to its end.
    #[error("cannot load {from}: {source}")]
    Read {
        /// The source's description.
        from: String,
        /// Why.
        source: ReadError,
    },
    /// An env file does not follow the grammar.
    #[error("{}:{source}{excerpt}", path.display())]
    Syntax {
        /// The path as it was given.
        path: PathBuf,
        /// The line with a caret below the place, without what it says.
        excerpt: Excerpt,
        /// Where and why.
        source: Box<SyntaxError>,
    },
    /// The vault did not take a variable.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// No protected memory to read into.
    #[error(transparent)]
    Memory(#[from] RegionError),
    /// A descriptor was not handed to this process.
    #[error("cannot read {name} from descriptor {number}: {source}{}", descriptor_hint(source))]
    Descriptor {
        /// The variable.
        name: String,
        /// The number.
        number: i32,
        /// What the kernel said.
        source: io::Error,
    },
    /// Standard input was asked for twice.
    #[error(
        "cannot read {name} from standard input, which another secret was read from already; \
         use fd:N for one of them"
    )]
    StdinTaken {
        /// The variable.
        name: String,
    },
    /// A variable is not in this process's environment.
    #[error(
        "{name} is not set in the environment that envward was started with; \
         export it there or leave out --from-env {name}"
    )]
    NotSet {
        /// The variable.
        name: String,
    },
    /// This process's environment could not be taken from.
    #[error("cannot take {name} out of the environment: {source}")]
    Environment {
        /// The variable.
        name: String,
        /// Why.
        source: AcquireError,
    },
}

fn open_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; check the path, which is relative to where envward runs",
        io::ErrorKind::PermissionDenied => "; the user that runs envward must be able to read it",
        _ => "",
    }
}

fn descriptor_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ResourceBusy => {
            "; fd:N is for a descriptor from 3 up that the caller hands over, and is read once \
             (for descriptor 0 use stdin)"
        }
        _ => "; open it for envward in the shell, as in N< FILE",
    }
}
