//! The keys of the configuration file, in one place for the parser, its messages and the test
//! that holds the JSON Schema against them.

/// The tables at the top of the file.
pub const FILE: &[&str] = &["run", "store", "inherit", "variables", "secrets", "profiles"];
/// `[run]`.
pub const RUN: &[&str] = &["env-files", "dialect", "dialects", "mode", "require", "best-effort"];
/// `[store]`.
pub const STORE: &[&str] = &["path", "identity"];
/// `[inherit]`.
pub const INHERIT: &[&str] = &["allow", "deny"];
/// `[variables.NAME]`.
pub const VARIABLE: &[&str] =
    &["source", "required", "type", "values", "pattern", "default", "secret", "only", "deny", "description"];
/// `[secrets.NAME]`.
pub const SECRET: &[&str] = &["source", "required", "type", "values", "pattern", "only", "deny", "description"];
/// `[profiles.NAME]`.
pub const PROFILE: &[&str] = &["extends", "run", "store", "inherit", "variables", "secrets"];

/// The one of some names that was probably meant: it differs in few enough places.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = match name.chars().count() {
        0..3 => 0,
        3..6 => 1,
        _ => 2,
    };
    let like = |text: &str| text.to_lowercase().replace(['_', ' '], "-");
    known
        .map(|candidate| (distance(&like(name), &like(candidate)), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many characters have to be put in, left out, changed or swapped with the next.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().take(64).collect(), to.chars().take(64).collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let changed = usize::from(from[i - 1] != to[j - 1]);
            let mut least = (rows[i - 1][j - 1] + changed).min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_not() {
        for (name, expected) in [
            ("envfiles", Some("env-files")),
            ("env_files", Some("env-files")),
            ("ENV-FILES", Some("env-files")),
            ("mod", Some("mode")),
            ("moed", Some("mode")),
            ("requires", Some("require")),
            ("best", None),
            ("x", None),
            ("", None),
            ("value", None),
        ] {
            assert_eq!(nearest(name, RUN.iter().copied()), expected, "{name}");
        }
        assert_eq!(nearest("defualt", VARIABLE.iter().copied()), Some("default"));
    }
}
