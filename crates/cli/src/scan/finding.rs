//! What was found, without any of it. The JSON form is documented in `docs/scan.md`.

use std::ops::Range;

use envward_detect::allow::{Rule, Subject};
use envward_detect::{Confidence, Detection, is_plain_name};
use serde::Serialize;

/// The name and version of the JSON form.
pub(crate) const SCHEMA: &str = "envward.scan/1";

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Scan {
    pub(crate) schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) processes: Option<Processes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) files: Option<usize>,
    pub(crate) findings: Vec<Finding>,
    /// How many findings were accepted by rules.
    pub(crate) allowed: usize,
}

/// How many processes.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Processes {
    /// Were looked at.
    pub(crate) scanned: usize,
    /// May not be looked at, as those that are not dumpable.
    pub(crate) unreadable: usize,
    /// Belong to other users, and were not tried.
    pub(crate) of_others: usize,
    /// Were read in part, as there was no more protected memory.
    pub(crate) partial: usize,
}

/// A credential in plain sight.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    #[serde(flatten)]
    pub(crate) place: Place,
    /// The variable, option or key, where it has a name that can be shown.
    pub(crate) name: Option<String>,
    pub(crate) kind: &'static str,
    /// Of the credential, in bytes.
    pub(crate) length: usize,
    #[serde(serialize_with = "confidence_name")]
    pub(crate) confidence: Confidence,
    pub(crate) evidence: &'static str,
}

/// Where it is.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "where", rename_all = "snake_case")]
pub(crate) enum Place {
    Environ {
        #[serde(flatten)]
        process: Owner,
    },
    Cmdline {
        #[serde(flatten)]
        process: Owner,
        argument: usize,
    },
    Staged {
        path: String,
        line: usize,
    },
}

/// A process.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Owner {
    pub(crate) pid: i32,
    pub(crate) process: String,
    pub(crate) executable: Option<String>,
    pub(crate) uid: u32,
}

fn confidence_name<S: serde::Serializer>(confidence: &Confidence, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(confidence.name())
}

impl Finding {
    pub(crate) fn new(place: Place, name: Option<String>, detection: &Detection) -> Self {
        Self {
            place,
            name,
            kind: detection.kind,
            length: detection.range.len(),
            confidence: detection.confidence,
            evidence: detection.evidence.name(),
        }
    }

    fn is_allowed(&self, rules: &[Rule]) -> bool {
        let (program, path) = match &self.place {
            Place::Environ { process } | Place::Cmdline { process, .. } => (process.executable.as_deref(), None),
            Place::Staged { path, .. } => (None, Some(path.as_str())),
        };
        let subject = Subject { name: self.name.as_deref(), kind: self.kind, program, path };
        rules.iter().any(|rule| rule.matches(&subject))
    }
}

impl Scan {
    /// Adds a finding unless a rule accepts it.
    pub(crate) fn add(&mut self, finding: Finding, rules: &[Rule]) {
        if finding.is_allowed(rules) {
            self.allowed += 1;
        } else {
            self.findings.push(finding);
        }
    }

    /// Whether anything is at least as sure as this.
    pub(crate) fn reaches(&self, confidence: Confidence) -> bool {
        self.findings.iter().any(|finding| finding.confidence >= confidence)
    }
}

/// The name that stands at a place, if it is one: what is in the place of a name may be a value.
pub(crate) fn shown_name(bytes: &[u8], range: Option<Range<usize>>) -> Option<String> {
    let name = &bytes[range?];
    is_plain_name(name).then(|| String::from_utf8_lossy(name).into_owned())
}
