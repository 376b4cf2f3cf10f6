//! The differences that are kept on purpose, with the reasons; `docs/dialects.md` has them as one
//! table.

use std::collections::BTreeMap;

use envward_source::Dialect;
use envward_source::dotenv::Problem;

use crate::answer::Answer;

type Values = BTreeMap<String, Option<String>>;

/// Files of the corpus that we read differently.
pub(crate) struct Kept {
    pub(crate) dialect: Dialect,
    pub(crate) reason: &'static str,
    names: &'static [&'static str],
}

pub(crate) const KEPT: &[Kept] = &[
    Kept {
        dialect: Dialect::DotenvExpand,
        reason: "since 1000.0.0 dotenv-expand runs commands; here its `$(` is text, as before",
        names: &["command-01", "command-02", "command-03", "command-04", "command-06"],
    },
    Kept {
        dialect: Dialect::Dotenvx,
        reason: "commands run only with --allow-commands, and are an error without",
        names: &["command-01", "command-02", "command-04", "command-06"],
    },
    Kept {
        dialect: Dialect::Ruby,
        reason: "commands run only with --allow-commands, and are an error without",
        names: &["command-01", "command-02"],
    },
    Kept {
        dialect: Dialect::Compose,
        reason: "no variable can have an empty name",
        names: &["export-06", "key-12", "key-13"],
    },
    Kept {
        dialect: Dialect::Shell,
        reason: "commands run only with --allow-commands, and are an error without",
        names: &["command-01", "command-02", "command-06", "empty-13"],
    },
    Kept {
        dialect: Dialect::Shell,
        reason: "only assignments are read; a shell runs the rest and goes on",
        names: &[
            "bom-02",
            "export-14",
            "heredoc-07",
            "key-10",
            "key-11",
            "lines-05",
            "multiline-13",
            "odd-03",
            "odd-05",
            "odd-12",
            "plain-08",
            "variable-26",
        ],
    },
    Kept { dialect: Dialect::Shell, reason: "patterns in expansions are not done", names: &["operator-28"] },
    Kept {
        dialect: Dialect::Dotenvy,
        reason: "a backslash at the end of an unquoted value is an error",
        names: &["backslash-05", "backslash-06", "multiline-09"],
    },
    Kept {
        dialect: Dialect::Dotenvy,
        reason: "Dotenvy 1.1.1 damages characters beyond ASCII; here they stay",
        names: &[
            "blank-11",
            "blank-12",
            "utf8-01",
            "utf8-02",
            "utf8-03",
            "utf8-04",
            "utf8-05",
            "utf8-07",
            "utf8-08",
            "variable-30",
        ],
    },
    Kept { dialect: Dialect::Dotenvy, reason: "a byte order mark is skipped", names: &["bom-01", "bom-03"] },
    Kept {
        dialect: Dialect::Dotenvy,
        reason: "commands run only with --allow-commands, and are an error without",
        names: &["command-01", "command-02"],
    },
    Kept {
        dialect: Dialect::Dotenvy,
        reason: "in Dotenvy 1.1.1 variables are text on all lines after a single-quoted value",
        names: &["dollar-08", "dollar-09"],
    },
    Kept {
        dialect: Dialect::Dotenvy,
        reason: "`export` may have any blanks around it",
        names: &["export-03", "export-06", "export-12"],
    },
    Kept {
        dialect: Dialect::Dotenvy,
        reason: "a key without a value is an error, also before a comment",
        names: &["key-26"],
    },
    Kept { dialect: Dialect::Dotenvy, reason: "a line break inside of quotes is LF", names: &["lines-02", "lines-03"] },
];

pub(crate) fn in_corpus(dialect: Dialect, name: &str) -> Option<&'static str> {
    KEPT.iter().find(|kept| kept.dialect == dialect && kept.names.contains(&name)).map(|kept| kept.reason)
}

pub(crate) fn names(dialect: Dialect) -> impl Iterator<Item = &'static str> {
    KEPT.iter().filter(move |kept| kept.dialect == dialect).flat_map(|kept| kept.names).copied()
}

/// The reason why a random file may be read differently. The reasons are those of the table.
pub(crate) fn in_general(dialect: Dialect, text: &[u8], ours: &Answer, theirs: &Answer) -> Option<&'static str> {
    let has = |bytes: &[u8]| text.windows(bytes.len()).any(|window| window == bytes);
    match (dialect, ours, theirs) {
        (Dialect::Compose, Answer::Wrong(Problem::MissingKey), Answer::Values(values)) if values.contains_key("") => {
            Some("no variable can have an empty name")
        }
        (Dialect::Compose, Answer::Values(_), Answer::Values(theirs)) if theirs.contains_key("") => {
            Some("a name alone at the end of the file is left out")
        }
        (Dialect::Dotenvx, Answer::Values(ours), Answer::Values(theirs))
            if theirs.iter().all(|(name, value)| {
                ours.get(name) == Some(value) || value.as_ref().is_some_and(|value| value.contains(":-\""))
            }) =>
        {
            Some("a quote that a variable brings into a default does not end the expansion")
        }
        (Dialect::Node, Answer::Values(ours), Answer::Values(theirs))
            if theirs.iter().filter(|(name, _)| !name.trim().is_empty()).eq(ours) =>
        {
            Some("a name of nothing but line breaks is none")
        }
        (Dialect::Shell, Answer::Wrong(problem), _) if is_refused(problem) => Some("only assignments are read"),
        (Dialect::Dotenvy, Answer::Wrong(Problem::BackslashAtEnd), _) => Some("a backslash at the end is an error"),
        (Dialect::Dotenvy, Answer::Wrong(Problem::MissingEquals | Problem::InvalidKey), _) => {
            Some("a key without a value is an error")
        }
        (Dialect::Dotenvy, ..) if !text.is_ascii() => Some("characters beyond ASCII stay"),
        (Dialect::Dotenvy, ..) if has(b"\r") => Some("a line break inside of quotes is LF"),
        (Dialect::Dotenvy, ..) if has(b"'") && (has(b"${") || has(b"\\")) => {
            Some("variables and escapes count also after single quotes")
        }
        (Dialect::Dotenvy, ..) if has(b"export") => Some("`export` may have any blanks around it"),
        (Dialect::Dotenvy, Answer::Values(ours), Answer::Values(theirs)) if are_alike(ours, theirs) => {
            Some("blanks that an escape or a variable brings to an end of a value stay")
        }
        _ => None,
    }
}

/// What a shell does and we do not.
fn is_refused(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::NotAnAssignment
            | Problem::Tilde
            | Problem::ShellParameter
            | Problem::Arithmetic
            | Problem::DollarQuote
            | Problem::ShellExpansion
            | Problem::NestedQuotes
            | Problem::CommandSubstitution
    )
}

/// Whether the values differ in blanks at their ends only.
fn are_alike(ours: &Values, theirs: &Values) -> bool {
    let trimmed = |values: &Values| -> Vec<(String, Option<String>)> {
        values.iter().map(|(name, value)| (name.clone(), value.as_deref().map(|text| text.trim().to_owned()))).collect()
    };
    trimmed(ours) == trimmed(theirs)
}
