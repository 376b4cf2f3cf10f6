//! Where `unsafe` stands. The compiler's `unsafe_code` lint can be switched off in any file;
//! this list is in one place.

use crate::repository::Repository;
use crate::{Finding, Trouble};

/// Directories (ending in `/`) and files that may hold unsafe code, and why.
const ALLOWED: &[(&str, &str)] = &[
    ("crates/kernel/", "raw system calls"),
    ("crates/secret/", "slices of protected mappings"),
    ("crates/table/", "the environment's published arrays"),
    ("crates/environ/", "the environment's published arrays"),
    ("crates/preload/", "the C interface"),
    ("crates/cli/src/main.rs", "the unmangled name of the C entry point"),
    ("crates/attack/src/sys/", "the system calls that only attacks need"),
];

/// Unsafe code anywhere else.
pub(crate) fn check(repository: &Repository) -> Result<Vec<Finding>, Trouble> {
    let mut findings = Vec::new();
    for file in repository.with_extension("rs").filter(|file| !is_allowed(file)) {
        findings.extend(judge(file, &repository.read(file)?));
    }
    Ok(findings)
}

fn is_allowed(file: &str) -> bool {
    ALLOWED.iter().any(|(place, _)| if place.ends_with('/') { file.starts_with(place) } else { file == *place })
}

fn judge(file: &str, text: &str) -> Vec<Finding> {
    let code = without_comments_and_literals(text);
    code.lines()
        .enumerate()
        .filter(|(_, line)| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe"))
        .map(|(index, _)| format!("{file}:{}: unsafe code: see the list in xtask/src/unsafety.rs", index + 1))
        .collect()
}

/// The text with comments and literals blanked out, line by line as it was.
fn without_comments_and_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if first == '"' {
            quoted(rest)
        } else if first == 'r' && !out.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            raw_string(rest).unwrap_or(0)
        } else if first == '\'' {
            character(rest).unwrap_or(0)
        } else {
            0
        };
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    out
}

/// The length of the block comment that `text` begins with; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the string literal that `text` begins with.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the raw string literal that `text` begins with, if it does.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    let body = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&end).map_or(text.len(), |at| 2 + hashes + at + end.len()))
}

/// The length of the character literal that `text` begins with; nothing for a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        return text[3..].find('\'').map(|at| 3 + at + 1);
    }
    chars.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_is_found_with_its_line() {
        let bad = "fn f() {}\nfn g() { let a = 'x'; unsafe { f() } }\n#[unsafe(no_mangle)]\nunsafe extern \"C\" {}\n";
        let lines: Vec<_> = judge("a.rs", bad).iter().map(|finding| finding[..6].to_owned()).collect();
        assert_eq!(lines, ["a.rs:2", "a.rs:3", "a.rs:4"]);
    }

    #[test]
    fn words_in_comments_and_literals_and_lints_are_not_code() {
        let good = "//! unsafe\n/* unsafe /* unsafe */ unsafe */\n#![forbid(unsafe_code)]\n\
                    const A: &str = \"unsafe \\\" unsafe\";\nconst B: &str = r#\"unsafe \" unsafe\"#;\n\
                    fn f<'a>(c: char) -> bool { c == '\"' || c == '\\'' } // unsafe\n";
        assert_eq!(judge("a.rs", good), [""; 0]);
    }

    #[test]
    fn only_the_listed_places_are_allowed() {
        assert!(is_allowed("crates/kernel/src/memory.rs"));
        assert!(is_allowed("crates/cli/src/main.rs"));
        assert!(!is_allowed("crates/cli/src/run/mod.rs"));
        assert!(!is_allowed("crates/launch/src/inject.rs"));
    }
}
