//! What was looked at, what was found, and what to do about it, as data. The JSON form is
//! documented in `docs/doctor.md`.

use serde::Serialize;

/// The name and version of the JSON form.
pub(crate) const SCHEMA: &str = "envward.doctor/1";

/// Everything that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Examination {
    pub(crate) schema: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kernel: String,
    pub(crate) checks: Vec<Check>,
    /// The names of checks that were required and are not `ok`.
    pub(crate) missing: Vec<&'static str>,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Group {
    Mode,
    Mechanism,
    Machine,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It can be had, and protects.
    Ok,
    /// It leaves something open.
    Open,
    /// It cannot be had.
    Missing,
    /// It could not be found out.
    Unknown,
    /// It is told for information.
    Told,
}

/// How it was found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// By doing it.
    Tried,
    /// From what the kernel says.
    Read,
}

/// One thing.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) group: Group,
    pub(crate) name: &'static str,
    pub(crate) state: State,
    pub(crate) how: How,
    pub(crate) found: String,
    pub(crate) remedies: Vec<Remedy>,
}

impl Check {
    pub(crate) fn tried(group: Group, name: &'static str, state: State, found: impl Into<String>) -> Self {
        Self { group, name, state, how: How::Tried, found: found.into(), remedies: Vec::new() }
    }

    pub(crate) fn read(group: Group, name: &'static str, state: State, found: impl Into<String>) -> Self {
        Self { how: How::Read, ..Self::tried(group, name, state, found) }
    }

    pub(crate) fn with(mut self, remedies: impl IntoIterator<Item = Remedy>) -> Self {
        self.remedies.extend(remedies);
        self
    }
}

/// What mends something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Remedy {
    /// A command for a shell.
    Command { command: String, as_root: bool },
    /// A setting, and where it is made.
    Setting { setting: String, place: String },
}

impl Remedy {
    pub(crate) fn as_root(command: impl Into<String>) -> Self {
        Self::Command { command: command.into(), as_root: true }
    }

    pub(crate) fn command(command: impl Into<String>) -> Self {
        Self::Command { command: command.into(), as_root: false }
    }

    pub(crate) fn setting(setting: impl Into<String>, place: impl Into<String>) -> Self {
        Self::Setting { setting: setting.into(), place: place.into() }
    }
}
