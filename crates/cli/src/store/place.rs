//! Where the store and the identity are.

use std::path::{Path, PathBuf};

use clap::Args;
use envward_policy::mechanism::Selection;
use envward_policy::{Config, Mechanism, Requirement, Requirements};
use envward_secret::Backing;

use crate::failure::Failure;
use crate::run::configuration::read_config;

use super::{code, failure};

/// The name of a store that is not named.
pub(super) const STORE_FILE: &str = "secrets.envward";

/// Which store, and who opens it
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Place {
    /// The store; else the `path` in [store] of envward.toml, else secrets.envward
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) store: Option<PathBuf>,
    /// A file with an age identity or an SSH private key; else the `identity` in [store] of
    /// envward.toml, else envward/identity.txt in the user's configuration directory
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) identity: Vec<PathBuf>,
    /// A file whose first line is the passphrase of the store
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
    /// Read this configuration file instead of ./envward.toml
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "no_config")]
    pub(super) config: Option<PathBuf>,
    /// Read no configuration file
    #[arg(long, global = true)]
    pub(super) no_config: bool,
    #[command(flatten)]
    pub(super) best: Best,
}

/// What may be missing
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Best {
    /// Go on without this mechanism (memfd_secret) if it cannot be had
    #[arg(long, global = true, value_name = "MECHANISM")]
    best_effort: Vec<String>,
}

/// A store, and what opens it: files, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) store: PathBuf,
    pub(crate) identities: Vec<PathBuf>,
    pub(crate) passphrase_file: Option<PathBuf>,
    pub(crate) backing: Backing,
}

impl Place {
    pub(super) fn locate(&self) -> Result<Located, Failure> {
        let config = self.read()?;
        let section = config.store.clone().unwrap_or_default();
        let store = self.store.clone().or(section.path).unwrap_or_else(|| STORE_FILE.into());
        let identities = if self.identity.is_empty() { identities(section.identity) } else { self.identity.clone() };
        let backing = self.best.backing(&config)?;
        Ok(Located { store, identities, passphrase_file: self.passphrase_file.clone(), backing })
    }

    pub(super) fn read(&self) -> Result<Config, Failure> {
        read_config(self.config.as_deref(), self.no_config).map_err(|failure| failure.with_code(code::USAGE))
    }
}

impl Best {
    /// The memory that there is.
    fn backing(&self, config: &Config) -> Result<Backing, Failure> {
        let usage = |error: &dyn std::fmt::Display| failure(code::USAGE, format!("--best-effort: {error}"));
        let named: Result<Vec<Selection>, _> = self.best_effort.iter().map(|name| name.parse()).collect();
        let mut requirements = Requirements::default();
        requirements.apply(&config.require, &config.best_effort).map_err(|error| failure(code::USAGE, error))?;
        requirements.apply(&[], &named.map_err(|error| usage(&error))?).map_err(|error| usage(&error))?;
        if requirements.of(Mechanism::MemfdSecret) == Requirement::BestEffort && Backing::MemfdSecret.probe().is_err() {
            return Ok(Backing::Locked);
        }
        Ok(Backing::MemfdSecret)
    }
}

/// The identities of a configuration file, or the usual one.
pub(super) fn identities(configured: Option<PathBuf>) -> Vec<PathBuf> {
    configured.map(|path| at_home(&path)).or_else(usual_identity).into_iter().collect()
}

/// A path whose `~/` is the home directory.
fn at_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.to_owned(),
    }
}

/// Where `init` puts an identity.
pub(super) fn usual_identity() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let directory = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(directory.join("envward/identity.txt"))
}

/// Where drafts are kept that could not be saved.
pub(super) fn state_directory() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let directory = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(directory.join("envward"))
}
