//! Findings that somebody has looked at and accepted.
//!
//! A rule is one line of `KEY=PATTERN` words, all of which must match; the keys are `name` (of the
//! variable or option), `kind`, `program` (the path of the executable) and `path` (of a file that
//! is committed). In a pattern `*` stands for any number of any characters and `?` for one. Empty
//! lines and those that begin with `#` say nothing.

use std::str::FromStr;

/// What a finding is compared with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// The name of the variable or option.
    pub name: Option<&'a str>,
    /// The kind of credential.
    pub kind: &'a str,
    /// The executable of the process.
    pub program: Option<&'a str>,
    /// The file.
    pub path: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Name,
    Kind,
    Program,
    Path,
}

const KEYS: [(&str, Key); 4] =
    [("name", Key::Name), ("kind", Key::Kind), ("program", Key::Program), ("path", Key::Path)];

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule(Vec<(Key, String)>);

/// Why a rule is none. What it says holds nothing of the rule: it may have been a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A word has no `=`.
    #[error("a rule is made of words such as name=CI_* or kind=json-web-token")]
    NoPattern,
    /// The word before the `=` is none of the four.
    #[error("the words of a rule begin with name=, kind=, program= or path=")]
    UnknownKey,
    /// There is nothing behind the `=`.
    #[error("a pattern is empty; `*` matches everything")]
    EmptyPattern,
    /// There is no word.
    #[error("the rule is empty")]
    Empty,
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let words = text.split_whitespace().map(|word| {
            let (key, pattern) = word.split_once('=').ok_or(RuleError::NoPattern)?;
            let (_, key) = KEYS.into_iter().find(|(name, _)| *name == key).ok_or(RuleError::UnknownKey)?;
            if pattern.is_empty() { Err(RuleError::EmptyPattern) } else { Ok((key, pattern.to_owned())) }
        });
        let words = words.collect::<Result<Vec<_>, _>>()?;
        if words.is_empty() { Err(RuleError::Empty) } else { Ok(Self(words)) }
    }
}

impl Rule {
    /// Whether all words of the rule match.
    #[must_use]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        self.0.iter().all(|(key, pattern)| {
            let text = match key {
                Key::Name => subject.name,
                Key::Kind => Some(subject.kind),
                Key::Program => subject.program,
                Key::Path => subject.path,
            };
            text.is_some_and(|text| fits(pattern.as_bytes(), text.as_bytes()))
        })
    }
}

/// The rules of a file.
///
/// # Errors
/// The number of the first line, from 1, that is no rule, and why.
pub fn parse(text: &str) -> Result<Vec<Rule>, (usize, RuleError)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| line.parse().map_err(|error| (number, error)))
        .collect()
}

/// Matches in time proportional to the product of the lengths at worst.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut part, mut at) = (0, 0);
    let mut retry = None;
    while at < text.len() {
        match pattern.get(part) {
            Some(b'*') => {
                retry = Some((part, at));
                part += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[at] => {
                part += 1;
                at += 1;
            }
            _ => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                part = star + 1;
                at = from + 1;
            }
        }
    }
    pattern[part..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("CI_*", "CI_TOKEN", true),
            ("CI_*", "XCI_TOKEN", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*b", "abab", true),
            ("*b*c", "abab", false),
            ("a**", "a", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn all_words_of_a_rule_must_match() {
        let rule: Rule = "name=*_TOKEN program=*/runner".parse().unwrap();
        let subject = Subject { name: Some("CI_TOKEN"), kind: "token", program: Some("/opt/runner"), path: None };
        assert!(rule.matches(&subject));
        assert!(!rule.matches(&Subject { program: Some("/opt/other"), ..subject }));
        assert!(!rule.matches(&Subject { program: None, ..subject }));
        assert!("kind=token".parse::<Rule>().unwrap().matches(&subject));
        assert!(!"path=*".parse::<Rule>().unwrap().matches(&subject));
    }

    #[test]
    fn what_is_no_rule_is_refused_without_being_repeated() {
        for (text, expected) in [
            ("CI_TOKEN", RuleError::NoPattern),
            ("swordfish=x", RuleError::UnknownKey),
            ("name=", RuleError::EmptyPattern),
            ("", RuleError::Empty),
        ] {
            assert_eq!(text.parse::<Rule>(), Err(expected));
            assert!(!expected.to_string().contains("swordfish"));
        }
        assert_eq!(parse("# a comment\n\nname=A\nswordfish\n"), Err((4, RuleError::NoPattern)));
        assert_eq!(parse("name=A\n  kind=b path=c\n").map(|rules| rules.len()), Ok(2));
    }
}
