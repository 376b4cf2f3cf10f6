//! The dialects of env files.

use std::fmt;
use std::str::FromStr;

/// How an env file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Dialect {
    /// What Elixir's Dotenvy documents.
    #[default]
    Dotenvy,
    /// npm's `dotenv`.
    Dotenv,
    /// npm's `dotenv` with `dotenv-expand`.
    DotenvExpand,
    /// npm's `@dotenvx/dotenvx`, without decryption.
    Dotenvx,
    /// Node's own `--env-file`.
    Node,
    /// Ruby's `dotenv`.
    Ruby,
    /// Python's `python-dotenv`.
    Python,
    /// The env files of docker compose.
    Compose,
    /// Assignments of a POSIX shell.
    Shell,
}

impl Dialect {
    /// All dialects, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Dotenvy,
        Self::Dotenv,
        Self::DotenvExpand,
        Self::Dotenvx,
        Self::Node,
        Self::Ruby,
        Self::Python,
        Self::Compose,
        Self::Shell,
    ];

    /// The name on the command line and in `envward.toml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dotenvy => "dotenvy",
            Self::Dotenv => "dotenv",
            Self::DotenvExpand => "dotenv-expand",
            Self::Dotenvx => "dotenvx",
            Self::Node => "node",
            Self::Ruby => "ruby",
            Self::Python => "python",
            Self::Compose => "compose",
            Self::Shell => "shell",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not the name of a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownDialect;

impl fmt::Display for UnknownDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Dialect::ALL.iter().map(|dialect| dialect.name()).collect();
        write!(f, "not a dialect of env files; there are {}", names.join(", "))
    }
}

impl std::error::Error for UnknownDialect {}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name).ok_or(UnknownDialect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_dialects_correspond() {
        let message = UnknownDialect.to_string();
        for dialect in Dialect::ALL {
            assert_eq!(dialect.to_string().parse(), Ok(dialect));
            assert!(message.contains(dialect.name()), "{message}");
        }
        assert_eq!("Node".parse::<Dialect>(), Err(UnknownDialect));
    }
}
