//! Why a command failed: the cause, a remedy, and the exit status.

use std::fmt;
use std::io::{self, Write};

use envward_agent::config::ConfigError;
use envward_agent::guard::GuardError;
use envward_agent::recipe::RecipeError;

/// A command that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    message: String,
    hint: Option<&'static str>,
    /// Whether a weaker tier would fail in the same way.
    pub(crate) is_final: bool,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), hint: None, is_final: true }
    }

    pub(crate) fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    pub(crate) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// A configuration that was refused.
    pub(crate) fn config(place: &str, error: &ConfigError) -> Self {
        Self::new(2, format_args!("{place}: {error}"))
    }

    pub(crate) fn print(&self) {
        let mut text = format!("envward-agent: {}\n", self.message);
        if let Some(hint) = self.hint {
            text.push_str(&format!("  hint: {hint}\n"));
        }
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

impl From<GuardError> for Failure {
    fn from(error: GuardError) -> Self {
        Self { hint: error.hint(), is_final: !matches!(error, GuardError::Program { .. }), ..Self::new(1, &error) }
    }
}

impl From<RecipeError> for Failure {
    fn from(error: RecipeError) -> Self {
        Self::new(2, error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(1, error)
    }
}
