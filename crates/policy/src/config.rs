//! The configuration file, `envward.toml`.
//!
//! ```toml
//! [run]
//! env-files = ["app.env"]        # relative to the configuration file
//! mode = "full"                  # full, supervised or sealed
//! require = ["memfd_secret"]     # mechanisms, or "all"
//! best-effort = []
//!
//! [secrets.PGPASSWORD]
//! source = "file:/run/secrets/pg"   # or fd:N, stdin, env; may be left out for rules only
//! only = ["*/psql"]
//! deny = ["*/curl"]
//! ```
//!
//! It holds references to secrets, never values. What it does not know is an
//! error. The tables are read by hand rather than by `serde`, whose messages
//! quote the text that they do not like, and that text may be a secret that
//! somebody put there by mistake.

use std::ffi::OsStr;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::mechanism::{Conflict, Requirements, Selection, UnknownMechanism};
use crate::mode::{Mode, UnknownMode};
use crate::reference::{NamedReference, Reference, ReferenceError, variable_name};
use crate::rules::{Rule, RuleError, Rules};

/// What a configuration file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Config {
    /// Env files in their order, made relative to the configuration file's
    /// directory.
    pub env_files: Vec<PathBuf>,
    /// The mode that is required.
    pub mode: Option<Mode>,
    /// Mechanisms that must be had.
    pub require: Vec<Selection>,
    /// Mechanisms that may be missing.
    pub best_effort: Vec<Selection>,
    /// Secrets with a source, in the order of their names. Paths are made
    /// relative to the configuration file's directory.
    pub secrets: Vec<NamedReference>,
    /// Which programs may have which secret.
    pub rules: Rules,
}

impl Config {
    /// Parses the text of a configuration file that lies in `directory`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the place of the first thing that is wrong.
    pub fn parse(text: &str, directory: &Path) -> Result<Self, ConfigError> {
        let reader = Reader { text, directory };
        let document = DeTable::parse(text).map_err(|error| {
            let span = error.span().unwrap_or(text.len()..text.len());
            reader.error(span, Problem::Syntax(error.message().to_owned()))
        })?;
        let mut config = Self::default();
        reader.each(document.get_ref(), |key, value| match key.name {
            "run" => reader.run(&mut config, key, value),
            "secrets" => reader.secrets(&mut config, key, value),
            _ => Err(reader.unknown(key, "the file", &["run", "secrets"])),
        })?;
        Ok(config)
    }
}

const RUN_KEYS: &[&str] = &["env-files", "mode", "require", "best-effort"];

/// A key and where it stands.
#[derive(Clone)]
struct Key<'a> {
    name: &'a str,
    span: Range<usize>,
}

struct Reader<'a> {
    text: &'a str,
    directory: &'a Path,
}

impl Reader<'_> {
    fn run(&self, config: &mut Config, key: Key<'_>, value: &Value<'_>) -> Result<(), ConfigError> {
        let mut best_effort_span = key.span.clone();
        self.each(self.table(&key, value)?, |key, value| {
            match key.name {
                "env-files" => {
                    for (path, span) in self.strings(&key, value)? {
                        if path.is_empty() {
                            return Err(self.error(span, Problem::EmptyPath));
                        }
                        config.env_files.push(self.directory.join(path));
                    }
                }
                "mode" => {
                    let (name, span) = self.string(&key, value)?;
                    let mode = name.parse();
                    config.mode = Some(mode.map_err(|e| self.error(span, Problem::Mode(e)))?);
                }
                "require" => config.require = self.selections(&key, value)?,
                "best-effort" => {
                    best_effort_span = value.span();
                    config.best_effort = self.selections(&key, value)?;
                }
                _ => {
                    return Err(self.unknown(key, "[run]", RUN_KEYS));
                }
            }
            Ok(())
        })?;
        Requirements::default()
            .apply(&config.require, &config.best_effort)
            .map_err(|conflict| self.error(best_effort_span, Problem::Conflict(conflict)))
    }

    fn secrets(&self, config: &mut Config, key: Key<'_>, value: &Value<'_>) -> Result<(), ConfigError> {
        self.each(self.table(&key, value)?, |key, value| {
            let DeValue::Table(table) = value.get_ref() else {
                return Err(self.error(key.span, Problem::SecretIsNoTable));
            };
            let name =
                variable_name(OsStr::new(key.name)).map_err(|error| self.error(key.span, Problem::Reference(error)))?;
            self.each(table, |key, value| self.secret(config, &name, key, value))
        })
    }

    fn secret(&self, config: &mut Config, name: &str, key: Key<'_>, value: &Value<'_>) -> Result<(), ConfigError> {
        type Constructor = fn(&str, &[u8]) -> Result<Rule, RuleError>;
        let (make_rule, key): (Constructor, _) = match key.name {
            "only" => (Rule::only, key),
            "deny" => (Rule::deny, key),
            "source" => {
                let (text, span) = self.string(&key, value)?;
                let reference = match Reference::parse(OsStr::new(text)) {
                    Ok(Reference::File(path)) => Reference::File(self.directory.join(path)),
                    Ok(other) => other,
                    Err(error) => return Err(self.error(span, Problem::Reference(error))),
                };
                config.secrets.push(NamedReference { name: name.to_owned(), reference });
                return Ok(());
            }
            "value" => return Err(self.error(key.span, Problem::ValueInFile)),
            _ => return Err(self.unknown(key, "a secret", &["source", "only", "deny"])),
        };
        let globs = self.strings(&key, value)?;
        if globs.is_empty() && key.name == "only" {
            return Err(self.error(value.span(), Problem::OnlyNothing));
        }
        for (glob, span) in globs {
            let rule = make_rule(name, glob.as_bytes());
            let rule = rule.map_err(|error| self.error(span, Problem::Rule(error)))?;
            config.rules.add(rule);
        }
        Ok(())
    }

    /// Calls `read` for every key, in the order of the file, so that the first
    /// error is the one that is reported.
    fn each<'t>(
        &self,
        table: &'t DeTable<'_>,
        mut read: impl FnMut(Key<'t>, &'t Value<'t>) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let span = key.span();
            let name = key.get_ref().as_ref();
            read(Key { name, span }, value)?;
        }
        Ok(())
    }

    fn table<'t>(&self, key: &Key<'_>, value: &'t Value<'t>) -> Result<&'t DeTable<'t>, ConfigError> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.wrong_type(key, value, "a table")),
        }
    }

    fn string<'t>(&self, key: &Key<'_>, value: &'t Value<'t>) -> Result<(&'t str, Range<usize>), ConfigError> {
        match value.get_ref() {
            DeValue::String(text) => Ok((text, value.span())),
            _ => Err(self.wrong_type(key, value, "a string")),
        }
    }

    fn strings<'t>(&self, key: &Key<'_>, value: &'t Value<'t>) -> Result<Vec<(&'t str, Range<usize>)>, ConfigError> {
        match value.get_ref() {
            DeValue::Array(array) => array
                .iter()
                .map(|value| match value.get_ref() {
                    DeValue::String(text) => Ok((text.as_ref(), value.span())),
                    _ => Err(self.wrong_type(key, value, "an array of strings")),
                })
                .collect(),
            _ => Err(self.wrong_type(key, value, "an array of strings")),
        }
    }

    /// An array of names, or the string "all".
    fn selections(&self, key: &Key<'_>, value: &Value<'_>) -> Result<Vec<Selection>, ConfigError> {
        let names = match value.get_ref() {
            DeValue::String(name) => vec![(name.as_ref(), value.span())],
            _ => self.strings(key, value)?,
        };
        names
            .into_iter()
            .map(|(name, span)| {
                let selection = name.parse();
                selection.map_err(|error| self.error(span, Problem::Mechanism(error)))
            })
            .collect()
    }

    fn unknown(&self, key: Key<'_>, place: &'static str, known: &'static [&str]) -> ConfigError {
        let name = key.name.to_owned();
        self.error(key.span, Problem::UnknownKey { name, place, known })
    }

    fn wrong_type(&self, key: &Key<'_>, value: &Value<'_>, expected: &'static str) -> ConfigError {
        let problem = Problem::WrongType { name: key.name.to_owned(), expected, found: value.get_ref().type_str() };
        self.error(value.span(), problem)
    }

    fn error(&self, span: Range<usize>, problem: Problem) -> ConfigError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ConfigError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem,
        }
    }
}

type Value<'a> = Spanned<DeValue<'a>>;

/// A configuration file is wrong.
///
/// `Display` reads `LINE:COLUMN: what is wrong; what to do`, so that the path
/// and a colon can be put in front. It shows keys but no other text of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    line: usize,
    column: usize,
    problem: Problem,
}

impl ConfigError {
    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    Syntax(String),
    UnknownKey { name: String, place: &'static str, known: &'static [&'static str] },
    WrongType { name: String, expected: &'static str, found: &'static str },
    SecretIsNoTable,
    ValueInFile,
    OnlyNothing,
    EmptyPath,
    Mode(UnknownMode),
    Mechanism(UnknownMechanism),
    Conflict(Conflict),
    Reference(ReferenceError),
    Rule(RuleError),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        match &self.problem {
            Problem::Syntax(message) => write!(f, "not TOML: {message}"),
            Problem::UnknownKey { name, place, known } => {
                write!(f, "unknown key `{}` in {place}; known are {}", name.escape_debug(), known.join(", "))
            }
            Problem::WrongType { name, expected, found } => {
                write!(f, "`{name}` is of type {found}; it must be {expected}")
            }
            Problem::SecretIsNoTable => f.write_str(
                "a secret is a table; write [secrets.NAME] and below it source = \"file:PATH\" \
                 (this file holds references, never values)",
            ),
            Problem::ValueInFile => f.write_str(
                "this file holds references, never values; put the value into a file of its own \
                 and write source = \"file:PATH\"",
            ),
            Problem::OnlyNothing => f.write_str(
                "an empty `only` would keep the secret from every program; \
                 name programs or leave it out",
            ),
            Problem::EmptyPath => f.write_str("an empty path; name a file"),
            Problem::Mode(error) => error.fmt(f),
            Problem::Mechanism(error) => error.fmt(f),
            Problem::Conflict(error) => error.fmt(f),
            Problem::Reference(ReferenceError::UnknownKind) => f.write_str(
                "not a reference to a secret; write file:PATH, fd:N, stdin or env \
                 (a value itself would be seen by everyone who reads this file)",
            ),
            Problem::Reference(error) => error.fmt(f),
            Problem::Rule(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests;
