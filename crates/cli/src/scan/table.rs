//! The findings for people: what is the same in several processes is one line.

use std::fmt::Write;

use envward_detect::Confidence;

use super::finding::{Finding, Owner, Place, Scan};
use crate::output::Paint;

/// How many processes of a line are named.
const NAMED: usize = 3;

/// A line for each finding, the surest first, and a line about what was looked at.
pub(crate) fn render(scan: &Scan, paint: Paint) -> String {
    let mut text = String::new();
    let mut findings: Vec<&Finding> = scan.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.confidence));
    let mut rows: Vec<(&Finding, Vec<&Owner>)> = Vec::new();
    for finding in findings {
        let owner = owner(finding);
        match rows.iter_mut().find(|(first, _)| owner.is_some() && is_alike(first, finding)) {
            Some((_, owners)) => owners.extend(owner),
            None => rows.push((finding, owner.into_iter().collect())),
        }
    }
    if !rows.is_empty() {
        let _ = writeln!(
            text,
            "{}",
            paint.heading(format_args!("{:<10}  {:<24}  {:>6}  WHERE", "CONFIDENCE", "KIND", "LENGTH"))
        );
    }
    for (finding, owners) in rows {
        let confidence = format!("{:<10}", finding.confidence);
        let confidence = match finding.confidence {
            Confidence::High => paint.error(confidence),
            Confidence::Medium => paint.warning(confidence),
            Confidence::Low => paint.faint(confidence),
        };
        let _ =
            writeln!(text, "{confidence}  {:<24}  {:>6}  {}", finding.kind, finding.length, place(finding, &owners));
    }
    let _ = writeln!(text, "{}", paint.faint(summary(scan)));
    text
}

const fn owner(finding: &Finding) -> Option<&Owner> {
    match &finding.place {
        Place::Environ { process } | Place::Cmdline { process, .. } => Some(process),
        Place::Staged { .. } => None,
    }
}

/// Whether two findings differ in their processes only.
fn is_alike(one: &Finding, other: &Finding) -> bool {
    let is_same_place = match (&one.place, &other.place) {
        (Place::Environ { .. }, Place::Environ { .. }) => one.name.is_some(),
        _ => false,
    };
    is_same_place && one.name == other.name && one.kind == other.kind && one.length == other.length
}

fn place(finding: &Finding, owners: &[&Owner]) -> String {
    let name = finding.name.as_deref().unwrap_or("(no name)");
    let mut processes: Vec<String> =
        owners.iter().take(NAMED).map(|owner| format!("{} ({})", owner.pid, owner.process.escape_debug())).collect();
    if owners.len() > NAMED {
        processes.push(format!("and {} more", owners.len() - NAMED));
    }
    let processes = processes.join(", ");
    match &finding.place {
        Place::Environ { .. } => format!("environ {name} of {processes}"),
        Place::Cmdline { argument, .. } => match &finding.name {
            Some(name) => format!("cmdline argument {argument} ({name}) of {processes}"),
            None => format!("cmdline argument {argument} of {processes}"),
        },
        Place::Staged { path, line } => match &finding.name {
            Some(name) => format!("{}:{line} {name}", path.escape_debug()),
            None => format!("{}:{line}", path.escape_debug()),
        },
    }
}

fn summary(scan: &Scan) -> String {
    let mut parts = Vec::new();
    if let Some(processes) = &scan.processes {
        parts.push(format!("{} processes looked at", processes.scanned));
        for (count, what) in [
            (processes.unreadable, "that may not be looked at"),
            (processes.of_others, "of other users"),
            (processes.partial, "read in part"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
    }
    if let Some(files) = scan.files {
        parts.push(format!("{files} staged files looked at"));
    }
    parts.push(format!("{} findings", scan.findings.len()));
    if scan.allowed > 0 {
        parts.push(format!("{} allowed", scan.allowed));
    }
    parts.join(", ")
}
