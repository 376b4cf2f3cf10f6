//! The source that empties this process's own environment.

use std::ffi::OsStr;

use envward_kernel::initial_env::InitialEnv;
use envward_policy::reference::{ReferenceError, variable_name};
use envward_secret::Vault;

use crate::{Source, SourceError};

/// One variable that the caller passed to envward in its environment.
///
/// Loading copies the value from where `execve` put it, above the initial
/// stack, into the vault and then wipes every string of that name there, so
/// that this process's `/proc/PID/environ` no longer shows it. The caller's
/// own environment still does.
///
/// It must be loaded while this process has one thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromEnv {
    name: String,
}

impl FromEnv {
    /// The variable that the argument of `--from-env` names.
    ///
    /// # Errors
    ///
    /// [`ReferenceError::InvalidName`], without the text: somebody may have
    /// written `NAME=value`.
    pub fn parse(name: &OsStr) -> Result<Self, ReferenceError> {
        variable_name(name).map(|name| Self { name })
    }

    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// The name of the variable.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Source for FromEnv {
    fn describe(&self) -> String {
        format!("{} from envward's own environment", self.name)
    }

    fn load(&self, vault: &mut Vault) -> Result<(), SourceError> {
        let failed = |source| SourceError::Environment { name: self.name.clone(), source };
        let mut env = InitialEnv::acquire().map_err(failed)?;
        let Some(value) = env.value(self.name.as_bytes()) else {
            return Err(SourceError::NotSet { name: self.name.clone() });
        };
        vault.insert(&self.name, "environment", value.to_bytes())?;
        env.wipe(self.name.as_bytes()).map_err(failed)?;
        Ok(())
    }
}
