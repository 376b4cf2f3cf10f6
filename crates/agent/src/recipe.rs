//! Recipes: what an event means, as data. Ours are in `recipes/`; a user's own come from a
//! directory. docs/agent-recipes.md describes the format.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::event::Record;
use crate::layout::{Route, Verdict};

/// Ours. The first that fits an event is the event's, so the more special ones come first.
const OWN: &[(&str, &str)] = &[
    ("ci_runner_memory_read", include_str!("../recipes/ci_runner_memory_read.toml")),
    ("environ_read_from_procfs", include_str!("../recipes/environ_read_from_procfs.toml")),
    ("environ_sweep", include_str!("../recipes/environ_sweep.toml")),
    ("process_memory_read", include_str!("../recipes/process_memory_read.toml")),
    ("process_trace", include_str!("../recipes/process_trace.toml")),
    ("descriptor_theft", include_str!("../recipes/descriptor_theft.toml")),
    ("core_pattern_tampering", include_str!("../recipes/core_pattern_tampering.toml")),
    ("preload_tampering", include_str!("../recipes/preload_tampering.toml")),
    ("program_tracing", include_str!("../recipes/program_tracing.toml")),
    ("runtime_signal", include_str!("../recipes/runtime_signal.toml")),
    ("agent_tampering", include_str!("../recipes/agent_tampering.toml")),
];

/// What an event means and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Its name in events: lower case, digits, underscores.
    pub id: String,
    /// One line.
    pub title: String,
    /// Grows when the recipe changes.
    pub version: u32,
    /// How bad it is.
    pub importance: Importance,
    /// The tactic of MITRE ATT&CK.
    pub tactic: Tactic,
    /// Techniques of MITRE ATT&CK.
    pub techniques: Vec<String>,
    /// Other tactics and techniques under which the same is known.
    #[serde(default)]
    pub related: Vec<Related>,
    /// The attack that shows that it works.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// What happens, and how it is recognised.
    pub description: String,
    /// Which events it is about.
    pub when: When,
    /// What it means, by place.
    pub implications: Implications,
    /// What to do, by place.
    pub actions: Actions,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Importance {
    /// Worth a line in a log.
    Low,
    /// Worth a look.
    Medium,
    /// Worth waking somebody.
    High,
    /// An attack, or as bad as one.
    Critical,
}

impl Importance {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// A tactic of MITRE ATT&CK.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tactic {
    /// `TA` and four digits.
    pub id: String,
    /// Its name there.
    pub name: String,
}

/// A pair of tactic and technique.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Related {
    /// The tactic's id.
    pub tactic: String,
    /// The technique's id.
    pub technique: String,
}

/// The attacks that prove recipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Reads `/proc/PID/environ`.
    Environ,
    /// Reads those of many processes.
    Sweep,
    /// Reads `/proc/PID/mem`.
    Memory,
    /// Attaches with ptrace.
    Trace,
    /// Takes a descriptor with `pidfd_getfd`.
    Descriptor,
    /// Opens `kernel.core_pattern` for writing, and writes nothing.
    CorePattern,
    /// Creates an `etc/ld.so.preload` in a directory of its own.
    Preload,
    /// Opens a performance counter.
    Perf,
    /// Sends the agent a signal that does nothing.
    AgentSignal,
    /// Sends `SIGUSR1` to a process that ignores it.
    Signal,
    /// Reads the memory of a process that is called like a CI runner.
    RunnerMemory,
}

/// Which events a recipe is about: all of these conditions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// One of these routes.
    pub routes: Vec<String>,
    /// One of these verdicts; any if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<String>,
    /// Who did it.
    #[serde(default)]
    pub reader: Who,
    /// To whom.
    #[serde(default)]
    pub target: Who,
}

/// Conditions on a process; empty ones hold for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Who {
    /// The last part of the executable's path is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exe: Vec<String>,
    /// The user is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid: Vec<u32>,
}

/// What it means.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Implications {
    /// In a build pipeline.
    pub ci: String,
    /// Before production.
    pub staging: String,
    /// In production.
    pub production: String,
}

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Actions {
    /// In a build pipeline.
    pub ci: Vec<String>,
    /// Before production.
    pub staging: Vec<String>,
    /// In production.
    pub production: Vec<String>,
}

/// Why a recipe was refused. Those that were loaded before stay in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file or directory cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No TOML, or a key that is missing, unknown or of the wrong kind.
    #[error("{place}: {}", source.to_string().trim_end())]
    Syntax {
        /// Which file.
        place: String,
        /// What and where.
        source: Box<toml::de::Error>,
    },
    /// A value that means nothing.
    #[error("{place}: {what}")]
    Value {
        /// Which file.
        place: String,
        /// What is wrong.
        what: String,
    },
}

impl Recipe {
    /// Reads one recipe; `place` is where it comes from, for errors.
    ///
    /// # Errors
    /// See [`RecipeError`].
    pub fn parse(place: &str, text: &str) -> Result<Self, RecipeError> {
        let recipe: Self = toml::from_str(text)
            .map_err(|source| RecipeError::Syntax { place: place.to_owned(), source: Box::new(source) })?;
        match recipe.objection() {
            Some(what) => Err(RecipeError::Value { place: place.to_owned(), what }),
            None => Ok(recipe),
        }
    }

    fn objection(&self) -> Option<String> {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.id.is_empty() || !self.id.chars().all(is_word) {
            return Some(format!("id: `{}` has to consist of lower case letters, digits and _", self.id));
        }
        if !is_number(&self.tactic.id, "TA") {
            return Some(format!("tactic: `{}` is not TA and four digits", self.tactic.id));
        }
        let techniques = self.techniques.iter().chain(self.related.iter().map(|related| &related.technique));
        if let Some(bad) = techniques.into_iter().find(|id| !is_technique(id)) {
            return Some(format!("techniques: `{bad}` is not like T1003 or T1003.007"));
        }
        if self.techniques.is_empty() {
            return Some("techniques: none is named".to_owned());
        }
        if self.when.routes.is_empty() {
            return Some("when.routes: none is named".to_owned());
        }
        if let Some(bad) = self.when.routes.iter().find(|name| Route::from_name(name).is_none()) {
            let known: Vec<_> = Route::ALL.iter().map(|route| route.name()).collect();
            return Some(format!("when.routes: there is no `{bad}`; there are {}", known.join(", ")));
        }
        let bad = self.when.verdicts.iter().find(|name| Verdict::from_name(name).is_none());
        bad.map(|bad| format!("when.verdicts: there is no `{bad}`; there are observed, denied, killed"))
    }

    fn fits(&self, record: &Record) -> bool {
        let has = |list: &[String], name: &str| list.iter().any(|item| item == name);
        has(&self.when.routes, record.route.name())
            && (self.when.verdicts.is_empty() || has(&self.when.verdicts, record.verdict.name()))
            && self.when.reader.fits(&record.reader.exe.name, record.reader.uid)
            && match &record.target {
                Some(target) => self.when.target.fits(&target.exe.name, target.uid),
                None => self.when.target == Who::default(),
            }
    }
}

impl Who {
    fn fits(&self, exe: &str, uid: u32) -> bool {
        (self.exe.is_empty() || self.exe.iter().any(|name| name == exe))
            && (self.uid.is_empty() || self.uid.contains(&uid))
    }
}

fn is_number(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.len() == 4 && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_technique(text: &str) -> bool {
    match text.split_once('.') {
        None => is_number(text, "T"),
        Some((main, part)) => is_number(main, "T") && part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// All recipes in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    recipes: Vec<Recipe>,
}

impl Book {
    /// Ours.
    ///
    /// # Errors
    /// None: a test reads them all.
    pub fn own() -> Result<Self, RecipeError> {
        let recipes = OWN.iter().map(|(id, text)| Recipe::parse(id, text)).collect::<Result<_, _>>()?;
        Ok(Self { recipes })
    }

    /// Adds every `*.toml` of a directory, before ours; one with the id of another replaces it.
    ///
    /// # Errors
    /// The first file that is no recipe; nothing is changed then.
    pub fn add_directory(&mut self, directory: &Path) -> Result<(), RecipeError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            |source| RecipeError::Read { path, source }
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).map_err(unreadable(directory))? {
            let path = entry.map_err(unreadable(directory))?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                files.push(path);
            }
        }
        files.sort();
        let mut added = Vec::new();
        for path in files {
            let text = fs::read_to_string(&path).map_err(unreadable(&path))?;
            added.push(Recipe::parse(&path.display().to_string(), &text)?);
        }
        let ids: BTreeSet<&str> = added.iter().map(|recipe| recipe.id.as_str()).collect();
        if ids.len() < added.len() {
            let what = "two recipes have the same id".to_owned();
            return Err(RecipeError::Value { place: directory.display().to_string(), what });
        }
        let kept = self.recipes.iter().filter(|recipe| !ids.contains(recipe.id.as_str())).cloned().collect::<Vec<_>>();
        self.recipes = added.into_iter().chain(kept).collect();
        Ok(())
    }

    /// The recipe that an event belongs to.
    #[must_use]
    pub fn find(&self, record: &Record) -> Option<&Recipe> {
        self.recipes.iter().find(|recipe| recipe.fits(record))
    }

    /// The recipe with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Recipe> {
        self.recipes.iter().find(|recipe| recipe.id == id)
    }

    /// All of them, in the order in which they are tried.
    pub fn iter(&self) -> impl Iterator<Item = &Recipe> {
        self.recipes.iter()
    }
}

#[cfg(test)]
#[path = "recipe_tests.rs"]
mod tests;
