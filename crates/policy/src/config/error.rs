//! What can be wrong with a configuration file.

use std::fmt;

use super::keys;
use crate::dialect::UnknownDialect;
use crate::glob::GlobError;
use crate::inherit;
use crate::kind::{KIND_NAMES, Mismatch, PatternError};
use crate::mechanism::{Conflict, UnknownMechanism};
use crate::mode::UnknownMode;
use crate::reference::ReferenceError;
use crate::rules::RuleError;

/// A configuration file is wrong.
///
/// `Display` reads `LINE:COLUMN: what is wrong; what to do`, so that the path
/// and a colon can be put in front. It shows keys but no other text of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) shown: Shown,
    pub(super) problem: Box<Problem>,
}

/// What of the line may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing: it may be a secret.
    Nothing,
    /// The key that it is about.
    Key(String),
    /// The key, and that there is a value.
    ValueOf(String),
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

    /// What is wrong and what to do, without the place.
    #[must_use]
    pub fn message(&self) -> String {
        self.problem.to_string()
    }

    /// The line with a caret below what is wrong, in three lines of text. A value is shown as
    /// `…`: it may be a secret that was put there by mistake.
    #[must_use]
    pub fn excerpt(&self) -> String {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let (text, width) = match &self.shown {
            Shown::Nothing => (format!("{}…", " ".repeat(self.column - 1)), 1),
            Shown::Key(key) => (format!("{}{key}", " ".repeat(self.column - 1)), key.chars().count().max(1)),
            Shown::ValueOf(key) => {
                let before = format!("{key} = ");
                let room = (self.column - 1).saturating_sub(before.chars().count());
                if before.chars().count() < self.column {
                    (format!("{}{before}…", " ".repeat(room)), 1)
                } else {
                    (format!("{}…", " ".repeat(self.column - 1)), 1)
                }
            }
        };
        let carets = format!("{}{}", " ".repeat(self.column - 1), "^".repeat(width));
        format!("{margin} |\n{number} | {text}\n{margin} | {carets}")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    Syntax(String),
    UnknownKey { name: String, place: String, known: &'static [&'static str] },
    WrongType { name: String, expected: &'static str, found: &'static str },
    VariableIsNoTable { secret: bool },
    ValueInFile,
    OnlyNothing,
    EmptyPath,
    Mode(UnknownMode),
    Dialect(UnknownDialect),
    DialectOfNothing { known: Vec<String> },
    Mechanism(UnknownMechanism),
    Conflict(Conflict),
    Reference(ReferenceError),
    Rule(RuleError),
    UnknownKind { near: Option<&'static str> },
    Needs { kind: &'static str, key: &'static str },
    BelongsTo { key: &'static str, kind: &'static str },
    NoValues,
    Pattern(PatternError),
    SecretDefault { name: String },
    SecretByTable,
    DefaultMismatch { name: String, mismatch: Mismatch },
    DefaultNumber,
    DefaultNul,
    RequiredDefault { name: String },
    RuleOfPlain { name: String },
    DeclaredTwice { name: String },
    NameGlob(GlobError),
    ProfileName,
    ExtendsUnknown { near: Option<String>, known: Vec<String> },
    Cycle { path: Vec<String> },
    InProfile { profile: String, problem: Box<Problem> },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.problem)
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(message) => write!(f, "not TOML: {message}"),
            Self::UnknownKey { name, place, known } => {
                write!(f, "unknown key `{}` in {place}; ", name.escape_debug())?;
                match keys::nearest(name, known.iter().copied()) {
                    Some(near) => write!(f, "did you mean `{near}`?"),
                    None => write!(f, "known are {}", known.join(", ")),
                }
            }
            Self::WrongType { name, expected, found } => {
                write!(f, "`{}` is of type {found}; it must be {expected}", name.escape_debug())
            }
            Self::VariableIsNoTable { secret: true } => f.write_str(
                "a secret is a table; write [secrets.NAME] and below it source = \"file:PATH\" \
                 (this file holds references, never values)",
            ),
            Self::VariableIsNoTable { secret: false } => f.write_str(
                "a variable is a table; write [variables.NAME] and below it what is to be said of it, \
                 such as type = \"port\"",
            ),
            Self::ValueInFile => f.write_str(
                "this file holds references, never values; put the value into a file of its own \
                 and write source = \"file:PATH\"",
            ),
            Self::OnlyNothing => f.write_str(
                "an empty `only` would keep the secret from every program; \
                 name programs or leave it out",
            ),
            Self::EmptyPath => f.write_str("an empty path; name a file"),
            Self::Mode(error) => error.fmt(f),
            Self::Dialect(error) => error.fmt(f),
            Self::DialectOfNothing { known } if known.is_empty() => f.write_str(
                "the dialect of a file that is not read: there are no env-files; \
                 list the file there, or leave this out",
            ),
            Self::DialectOfNothing { known } => write!(
                f,
                "the dialect of a file that is not among the env-files; write its path as it stands there, \
                 one of {}",
                known.join(", ")
            ),
            Self::Mechanism(error) => error.fmt(f),
            Self::Conflict(error) => error.fmt(f),
            Self::Reference(ReferenceError::UnknownKind) => f.write_str(
                "not a reference to a secret; write file:PATH, fd:N, stdin or env \
                 (a value itself would be seen by everyone who reads this file)",
            ),
            Self::Reference(error) => error.fmt(f),
            Self::Rule(error) => error.fmt(f),
            Self::UnknownKind { near: Some(near) } => write!(f, "no such type; did you mean `{near}`?"),
            Self::UnknownKind { near: None } => write!(f, "no such type; the types are {}", KIND_NAMES.join(", ")),
            Self::Needs { kind, key } => write!(f, "the type `{kind}` needs `{key}` beside it"),
            Self::BelongsTo { key, kind } => {
                write!(f, "`{key}` belongs to the type `{kind}`; write type = \"{kind}\" beside it or leave it out")
            }
            Self::NoValues => f.write_str("no values; name those that the variable may have"),
            Self::Pattern(error) => error.fmt(f),
            Self::SecretDefault { name } => write!(
                f,
                "{name}: a default for a secret would be a secret in a file that everybody reads; \
                 give it a source, or write secret = false if it is none"
            ),
            Self::SecretByTable => {
                f.write_str("what stands in [secrets] is secret; move it to [variables] to say secret = false")
            }
            Self::DefaultMismatch { name, mismatch } => write!(f, "{name}: the default {mismatch}"),
            Self::DefaultNumber => f.write_str("write the default as a string or as a plain decimal number"),
            Self::DefaultNul => f.write_str("the default holds a NUL character, which no variable can hold"),
            Self::RequiredDefault { name } => {
                write!(f, "{name}: a variable with a default is never missing; leave `required` or `default` out")
            }
            Self::RuleOfPlain { name } => write!(
                f,
                "{name}: rules keep secrets from programs, and this variable is declared secret = false; \
                 leave one of the two out"
            ),
            Self::DeclaredTwice { name } => {
                write!(f, "{name} stands in [secrets] and in [variables]; put all of it into one of them")
            }
            Self::NameGlob(error) => f.write_str(inherit::describe(*error)),
            Self::ProfileName => f.write_str(
                "not a name of a profile; it has letters, digits, `-` and `_`, as it is given with --profile",
            ),
            Self::ExtendsUnknown { near: Some(near), .. } => write!(f, "no such profile; did you mean `{near}`?"),
            Self::ExtendsUnknown { near: None, known } => {
                write!(f, "no such profile; the profiles are {}", known.join(", "))
            }
            Self::Cycle { path } => write!(f, "profiles that extend each other in a circle: {}", path.join(" → ")),
            Self::InProfile { profile, problem } => write!(f, "in the profile {profile}: {problem}"),
        }
    }
}
