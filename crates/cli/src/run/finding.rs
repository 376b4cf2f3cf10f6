//! What is wrong before anything is started: all of it, and where.

use std::fmt;
use std::path::Path;

use envward_policy::ConfigError;
use envward_policy::reference::Reference;
use envward_source::SourceError;
use serde::Serialize;

use crate::failure::Failure;

/// Something that stops the start. Holds names and places, never a value.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(flatten)]
    pub(crate) place: Option<Place>,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    #[serde(skip)]
    excerpt: Option<String>,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// The configuration file is wrong or cannot be read.
    Config,
    /// There is no such profile.
    Profile,
    /// A source cannot be loaded.
    Source,
    /// A required variable has no value.
    Missing,
    /// A value is not of its type.
    Type,
    /// A rule names what is no secret.
    Rule,
    /// What is declared not to be secret holds a secret.
    Secret,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    pub(crate) file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<usize>,
}

impl Finding {
    pub(crate) fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self { kind, name: None, place: None, message: message.to_string(), hint: None, excerpt: None }
    }

    pub(crate) fn about(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    pub(crate) fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// What stops a command.
    pub(crate) fn failure(kind: Kind, failure: &Failure) -> Self {
        let finding = Self::new(kind, failure.message());
        match failure.remedy() {
            Some(remedy) => finding.hint(remedy),
            None => finding,
        }
    }

    /// A source that cannot be loaded. Where that is a mistake in a file, its place and variable
    /// are taken out of the text.
    pub(crate) fn source(error: &SourceError) -> Self {
        let text = error.to_string();
        let SourceError::Syntax { path, source, .. } = error else { return Self::new(Kind::Source, text) };
        let position = source.position();
        let place =
            Place { file: path.display().to_string(), line: Some(position.line), column: Some(position.column) };
        let Some(rest) = text.strip_prefix(&format!("{place}: ")) else { return Self::new(Kind::Source, text) };
        let named = source.key().and_then(|key| Some((key, rest.strip_prefix(&format!("{key}: "))?)));
        match named {
            Some((key, rest)) => Self::new(Kind::Source, rest).about(key).at(Some(place)),
            None => Self::new(Kind::Source, rest).at(Some(place)),
        }
    }

    /// What is wrong with a configuration file.
    pub(crate) fn config(path: &Path, error: &ConfigError) -> Self {
        let place = Place { file: path.display().to_string(), line: Some(error.line()), column: Some(error.column()) };
        let mut finding = Self::new(Kind::Config, error.message()).at(Some(place));
        finding.excerpt = Some(error.excerpt());
        finding
    }
}

impl Place {
    /// Where a value stands, if that is in a file.
    pub(crate) fn of_value(origin: &str, place: Option<(usize, usize)>) -> Option<Self> {
        if let Some((line, column)) = place {
            let file = origin.strip_suffix(&format!(":{line}")).unwrap_or(origin);
            return Some(Self { file: file.to_owned(), line: Some(line), column: Some(column) });
        }
        if let Some(path) = origin.strip_prefix("file:") {
            return Some(Self { file: path.to_owned(), line: None, column: None });
        }
        // `app.env:3`, and not `fd:3`.
        let (file, line) = origin.rsplit_once(':').filter(|(file, _)| *file != "fd")?;
        Some(Self { file: file.to_owned(), line: Some(line.parse().ok()?), column: None })
    }

    /// Where a reference leads, if that is a file.
    pub(crate) fn of_reference(reference: &Reference) -> Option<Self> {
        match reference {
            Reference::File(path) => Some(Self { file: path.display().to_string(), line: None, column: None }),
            _ => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if let Some(name) = &self.name {
            write!(f, "{name}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(excerpt) = &self.excerpt {
            for line in excerpt.lines() {
                write!(f, "\n  {line}")?;
            }
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// All of them as the failure of `run`.
pub(crate) fn failure(findings: &[Finding]) -> Failure {
    let texts: Vec<String> = findings.iter().map(Finding::to_string).collect();
    Failure::own(texts.join("\nenvward: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_origins() {
        for (origin, place, expected) in [
            ("app.env:3", Some((3, 7)), Some("app.env:3:7")),
            ("a:b.env:3", Some((3, 7)), Some("a:b.env:3:7")),
            ("app.env:3", None, Some("app.env:3")),
            ("file:/run/x:3", None, Some("/run/x:3")),
            ("fd:3", None, None),
            ("stdin", None, None),
            ("environment", None, None),
            ("store:name", None, None),
        ] {
            let shown = Place::of_value(origin, place).map(|place| place.to_string());
            assert_eq!(shown.as_deref(), expected, "{origin}");
        }
    }
}
