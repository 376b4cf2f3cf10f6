//! The configuration file, `envward.toml`.
//!
//! ```toml
//! [run]
//! env-files = ["app.env"]        # relative to the configuration file
//! dialect = "node"               # of the env files
//! dialects = { "app.env" = "compose" }   # of single ones
//! mode = "full"                  # full, supervised or sealed
//! require = ["memfd_secret"]     # mechanisms, or "all"
//! best-effort = []
//!
//! [store]
//! path = "secrets.envward"       # the embedded store
//! identity = "~/.ssh/id_ed25519" # what opens it; may be left out
//!
//! [inherit]
//! deny = ["AWS_*"]
//!
//! [variables.PORT]
//! type = "port"
//! secret = false
//! default = 8080
//!
//! [secrets.PGPASSWORD]
//! source = "file:/run/secrets/pg"   # or fd:N, stdin, env
//! only = ["*/psql"]
//! deny = ["*/curl"]
//!
//! [profiles.staging]
//! extends = "base"
//! run.env-files = ["staging.env"]
//! ```
//!
//! It holds references to secrets, never values. What it does not know is an
//! error.

mod error;
pub mod keys;
mod layer;
mod reader;

use std::fmt;
use std::path::{Path, PathBuf};

pub use self::error::ConfigError;
use self::error::{Problem, Shown};
use self::layer::{Layer, Profile};
use self::reader::Reader;
use crate::dialect::Dialect;
use crate::inherit::Inherit;
use crate::kind::Kind;
use crate::mechanism::Selection;
use crate::mode::Mode;
use crate::reference::{NamedReference, Reference};
use crate::rules::Rules;

/// A configuration file with all its profiles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct File {
    base: Layer,
    profiles: Vec<Profile>,
}

/// What a configuration file says for one profile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Config {
    /// Env files in their order, made relative to the configuration file's
    /// directory.
    pub env_files: Vec<PathBuf>,
    /// The dialect of the env files.
    pub dialect: Option<Dialect>,
    /// The dialects of single env files, by their paths as in `env_files`; the last one counts.
    pub dialects: Vec<(PathBuf, Dialect)>,
    /// The mode that is required.
    pub mode: Option<Mode>,
    /// Mechanisms that must be had.
    pub require: Vec<Selection>,
    /// Mechanisms that may be missing.
    pub best_effort: Vec<Selection>,
    /// Secrets with a source, in the order of the file. Paths are made
    /// relative to the configuration file's directory.
    pub secrets: Vec<NamedReference>,
    /// Which programs may have which secret.
    pub rules: Rules,
    /// The embedded store, if there is to be one.
    pub store: Option<StoreSection>,
    /// What is declared of variables.
    pub variables: Vec<Variable>,
    /// Which variables of envward's own environment the program gets.
    pub inherit: Inherit,
    /// The profile and those that it extends, it first.
    pub profiles: Vec<String>,
}

/// Where the embedded store is. Paths are made relative to the configuration
/// file's directory, except for those that begin with `~/`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreSection {
    /// The file.
    pub path: Option<PathBuf>,
    /// The file with the identity that opens it.
    pub identity: Option<PathBuf>,
}

/// What is declared of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// The line of the configuration file that it is declared on, from 1.
    pub line: usize,
    /// Where its value is to be taken from.
    pub source: Option<Reference>,
    /// Whether the program must not be started without it.
    pub required: bool,
    /// What its value must look like.
    pub kind: Kind,
    /// Its value if there is no other; only for what is not secret.
    pub default: Option<String>,
    /// Whether it is a secret.
    pub secret: bool,
    /// What it is for.
    pub description: Option<String>,
}

impl File {
    /// Parses the text of a configuration file that lies in `directory`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in the order of the file.
    pub fn parse(text: &str, directory: &Path) -> Result<Self, Vec<ConfigError>> {
        let reader = Reader::new(text, directory);
        let (base, profiles) = reader.file();
        let file = Self { base, profiles };
        file.check(&reader);
        let errors = reader.into_errors();
        if errors.is_empty() { Ok(file) } else { Err(errors) }
    }

    /// The names of the profiles in the order of the file.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.profiles.iter().map(|profile| profile.name.as_str())
    }

    /// What the file says for a profile, or without one.
    ///
    /// # Errors
    ///
    /// [`UnknownProfile`].
    pub fn select(&self, name: Option<&str>) -> Result<Config, UnknownProfile> {
        let chain = match name {
            None => Vec::new(),
            Some(name) => {
                let profile = self.find(name).ok_or_else(|| self.unknown(name))?;
                // A file with a circle was refused.
                self.chain(profile).unwrap_or_default()
            }
        };
        let layer = self.merged(&chain);
        let secrets = layer.variables.iter().filter_map(|draft| {
            let reference = draft.source.clone()?;
            Some(NamedReference { name: draft.name.clone(), reference })
        });
        let mut rules = Rules::default();
        rules.extend(layer.variables.iter().flat_map(layer::Draft::rules).cloned());
        Ok(Config {
            secrets: secrets.collect(),
            rules,
            variables: layer.variables.iter().map(layer::Draft::variable).collect(),
            inherit: Inherit { allow: layer.allow, deny: layer.deny.unwrap_or_default() },
            profiles: chain.iter().map(|profile| profile.name.clone()).collect(),
            store: layer.store,
            env_files: layer.env_files,
            dialect: layer.dialect,
            dialects: layer.dialects.into_iter().map(|(path, dialect, _)| (path, dialect)).collect(),
            mode: layer.mode,
            require: layer.require,
            best_effort: layer.best_effort,
        })
    }

    fn find(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }

    fn unknown(&self, name: &str) -> UnknownProfile {
        UnknownProfile {
            near: keys::nearest(name, self.profiles()).map(str::to_owned),
            known: self.profiles().map(str::to_owned).collect(),
        }
    }

    /// A profile and those that it extends, it first; nothing if that does not end well.
    fn chain<'a>(&'a self, profile: &'a Profile) -> Option<Vec<&'a Profile>> {
        let mut chain = vec![profile];
        let mut last = profile;
        while let Some((name, _)) = &last.extends {
            last = self.find(name)?;
            if chain.iter().any(|earlier| earlier.name == last.name) {
                return None;
            }
            chain.push(last);
        }
        Some(chain)
    }

    fn merged(&self, chain: &[&Profile]) -> Layer {
        let mut merged = self.base.clone();
        for profile in chain.iter().rev() {
            merged.put(&profile.layer);
        }
        merged
    }

    /// Looks at what only shows when layers come together.
    fn check(&self, reader: &Reader<'_>) {
        self.check_dialects(reader);
        let mut told = Vec::new();
        Self::check_layer(reader, &self.base, None, &mut told);
        for profile in &self.profiles {
            if let Some((name, span)) = &profile.extends
                && self.find(name).is_none()
            {
                let UnknownProfile { near, known } = self.unknown(name);
                reader.note(span, Shown::ValueOf("extends".to_owned()), Problem::ExtendsUnknown { near, known });
            }
            match self.chain(profile) {
                Some(chain) => Self::check_layer(reader, &self.merged(&chain), Some(&profile.name), &mut told),
                None => self.check_circle(reader, profile),
            }
        }
    }

    /// Every file that has a dialect of its own has to be read, at least in some profile.
    fn check_dialects(&self, reader: &Reader<'_>) {
        let layers = || std::iter::once(&self.base).chain(self.profiles.iter().map(|profile| &profile.layer));
        let listed: Vec<&PathBuf> = layers().flat_map(|layer| &layer.env_files).collect();
        for (path, _, span) in layers().flat_map(|layer| &layer.dialects) {
            if !listed.contains(&path) {
                let known = listed.iter().map(|path| reader.as_written(path)).collect();
                reader.note(span, Shown::Nothing, Problem::DialectOfNothing { known });
            }
        }
    }

    /// Tells a circle once, at the first of its profiles.
    fn check_circle(&self, reader: &Reader<'_>, first: &Profile) {
        let mut path = vec![first.name.clone()];
        let mut last = first;
        while let Some(next) = last.extends.as_ref().and_then(|(name, _)| self.find(name)) {
            path.push(next.name.clone());
            if next.name == first.name {
                if let Some((_, span)) = &first.extends {
                    reader.note(span, Shown::ValueOf("extends".to_owned()), Problem::Cycle { path });
                }
                return;
            }
            // Told at an earlier member, or a circle that this one only leads to.
            if next.span.start < first.span.start || path.len() > self.profiles.len() {
                return;
            }
            last = next;
        }
    }

    fn check_layer(reader: &Reader<'_>, layer: &Layer, profile: Option<&str>, told: &mut Vec<(usize, &'static str)>) {
        for (span, key, problem) in layer.variables.iter().flat_map(layer::Draft::problems) {
            if told.contains(&(span.start, key)) {
                continue;
            }
            told.push((span.start, key));
            let problem = match profile {
                Some(profile) => Problem::InProfile { profile: profile.to_owned(), problem: Box::new(problem) },
                None => problem,
            };
            reader.note(&span, Shown::ValueOf(key.to_owned()), problem);
        }
    }
}

impl Config {
    /// Parses the text of a configuration file that lies in `directory`, and takes what it says
    /// without a profile.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the place of the first thing that is wrong.
    pub fn parse(text: &str, directory: &Path) -> Result<Self, ConfigError> {
        match File::parse(text, directory) {
            Ok(file) => Ok(file.select(None).unwrap_or_default()),
            Err(errors) => match errors.into_iter().next() {
                Some(first) => Err(first),
                None => Ok(Self::default()),
            },
        }
    }

    /// What is declared of a variable.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }
}

/// The file has no such profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownProfile {
    near: Option<String>,
    known: Vec<String>,
}

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.near, self.known.is_empty()) {
            (Some(near), _) => write!(f, "the file has no such profile; did you mean `{near}`?"),
            (None, true) => f.write_str("the file has no profiles"),
            (None, false) => write!(f, "the file has no such profile; its profiles are {}", self.known.join(", ")),
        }
    }
}

impl std::error::Error for UnknownProfile {}

#[cfg(test)]
mod tests;
