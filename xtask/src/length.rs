//! Files that have grown too long to be read in one go.

use crate::repository::Repository;
use crate::{Finding, Trouble};

/// The most lines that a source file has; 400 is what to aim for.
const MOST: usize = 800;

/// Source files that are too long.
pub(crate) fn check(repository: &Repository) -> Result<Vec<Finding>, Trouble> {
    let mut findings = Vec::new();
    for extension in ["rs", "c", "h", "sh"] {
        for file in repository.with_extension(extension) {
            findings.extend(judge(file, &repository.read(file)?));
        }
    }
    Ok(findings)
}

fn judge(file: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    (lines > MOST).then(|| format!("{file}: {lines} lines, {MOST} at most: split it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_too_many_is_found() {
        assert_eq!(judge("a.rs", &"x\n".repeat(MOST)), None);
        let finding = judge("a.rs", &"x\n".repeat(MOST + 1)).unwrap();
        assert!(finding.starts_with("a.rs: 801 lines"), "{finding}");
    }
}
