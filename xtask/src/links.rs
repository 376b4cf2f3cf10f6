//! Links in the documents that lead nowhere. Addresses on the web are left alone: nothing
//! here needs a network.

use std::collections::BTreeSet;

use crate::repository::Repository;
use crate::{Finding, Trouble};

/// Links to files, directories or headings that are not there.
pub(crate) fn check(repository: &Repository) -> Result<Vec<Finding>, Trouble> {
    let mut findings = Vec::new();
    for file in repository.with_extension("md") {
        for (line, target) in targets(&repository.read(file)?) {
            let (path, heading) = target.split_once('#').map_or((target.as_str(), None), |(a, b)| (a, Some(b)));
            let goal = if path.is_empty() { Some(file.to_owned()) } else { resolve(file, path) };
            let Some(goal) = goal.filter(|goal| goal.is_empty() || repository.has(goal)) else {
                findings.push(format!("{file}:{line}: no such file: {target}"));
                continue;
            };
            if let Some(heading) = heading.filter(|_| goal.ends_with(".md"))
                && !anchors(&repository.read(&goal)?).contains(heading)
            {
                findings.push(format!("{file}:{line}: no such heading: {target}"));
            }
        }
    }
    Ok(findings)
}

/// The lines that are not inside a fenced block, each with its number.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fence && !fenced).then_some((index + 1, line))
    })
}

/// The local targets of the links in a document, with their lines.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        // Code spans hold no links.
        let line: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        for after in line.split("](").skip(1) {
            let Some((target, _)) = after.split_once(')') else { continue };
            let target = target.split_whitespace().next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") {
                found.push((number, target.to_owned()));
            }
        }
    }
    found
}

/// A path that is written relative to `file`, from the root; nothing if it leaves the
/// repository. The root itself is empty.
fn resolve(file: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = match path.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => file.split('/').collect(),
    };
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The names by which the headings of a document can be linked to.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, line) in prose(text).filter(|(_, line)| line.starts_with('#')) {
        let name: String = line
            .trim_start_matches('#')
            .trim()
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                '-' | '_' => Some(c),
                _ => c.is_alphanumeric().then(|| c.to_ascii_lowercase()),
            })
            .collect();
        let mut unique = name.clone();
        let mut count = 0;
        while !found.insert(unique.clone()) {
            count += 1;
            unique = format!("{name}-{count}");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_targets_are_found_outside_of_code() {
        let text = "[a](b.md) and [c](https://example.org/d)\n```\n[e](f.md)\n```\n`[g](h.md)` [i](j/k.md#l \"m\")\n";
        assert_eq!(targets(text), [(1, "b.md".to_owned()), (5, "j/k.md#l".to_owned())]);
    }

    #[test]
    fn paths_are_relative_to_the_document() {
        assert_eq!(resolve("docs/a.md", "b.md").as_deref(), Some("docs/b.md"));
        assert_eq!(resolve("docs/a.md", "../README.md").as_deref(), Some("README.md"));
        assert_eq!(resolve("docs/a.md", "../crates/cli/").as_deref(), Some("crates/cli"));
        assert_eq!(resolve("a.md", "../outside.md"), None);
    }

    #[test]
    fn headings_are_named_as_on_the_web() {
        let found = anchors("# What, `a` name!\n## Twice\n## Twice\n```\n# not one\n```\n");
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), ["twice", "twice-1", "what-a-name"]);
    }

    #[test]
    fn dead_links_are_found_in_a_checkout() {
        let repository = Repository::here().unwrap();
        assert!(repository.has("xtask/src/links.rs") && repository.has("xtask/src") && !repository.has("xtask/sr"));
    }
}
