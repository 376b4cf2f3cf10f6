//! Why a command failed: the cause, a remedy, and the exit status.

use std::fmt;

/// A command that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit status.
    pub(crate) code: u8,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// `run`: envward itself failed, nothing runs.
    pub(crate) const OWN: u8 = 125;
    /// `run`: the program was found and cannot be executed.
    pub(crate) const NOT_EXECUTABLE: u8 = 126;
    /// `run`: the program was not found.
    pub(crate) const NOT_FOUND: u8 = 127;
    /// Other commands: the command line is wrong.
    pub(crate) const USAGE: u8 = 2;
    /// Other commands: what was asked for could not be done.
    pub(crate) const NEGATIVE: u8 = 1;

    /// `env`: a dialect rejects a file or cannot express a variable.
    pub(crate) const REJECTED: u8 = 3;

    pub(crate) fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), hint: None }
    }

    /// A failure of `run` before the program runs.
    pub(crate) fn own(message: impl fmt::Display) -> Self {
        Self::new(Self::OWN, message)
    }

    /// The same with another exit status, for a command that shares code with `run`.
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// The same with the place before it where it happened.
    pub(crate) fn within(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// What went wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    pub(crate) fn hint_if(mut self, hint: Option<impl fmt::Display>) -> Self {
        self.hint = hint.map(|hint| hint.to_string()).or(self.hint);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}
