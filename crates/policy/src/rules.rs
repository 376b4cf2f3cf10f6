//! Which program may have which secret.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use crate::glob::Glob;
use crate::reference::variable_name;

/// One rule: a secret goes only to, or never to, programs whose path matches.
///
/// The pattern is held against the whole absolute path of the executable file.
/// `*` stands for any number of any characters, **`/` included**: `*/psql` is
/// every program called `psql`, and `/usr/*` everything below `/usr`. `?` is one
/// character (one byte) other than `/`, and a backslash takes the next character
/// as it is. Of a script it is the interpreter's path that counts, as that is
/// what runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    secret: String,
    effect: Effect,
    glob: Glob,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Only,
    Deny,
}

impl Rule {
    /// The argument of `--only`: `NAME=EXE-GLOB`.
    ///
    /// # Errors
    ///
    /// [`RuleError`].
    pub fn parse_only(text: &OsStr) -> Result<Self, RuleError> {
        Self::parse(text, Effect::Only)
    }

    /// The argument of `--deny`: `NAME=EXE-GLOB`.
    ///
    /// # Errors
    ///
    /// [`RuleError`].
    pub fn parse_deny(text: &OsStr) -> Result<Self, RuleError> {
        Self::parse(text, Effect::Deny)
    }

    /// The secret goes to programs that match.
    ///
    /// # Errors
    ///
    /// [`RuleError::Pattern`].
    pub fn only(secret: &str, glob: &[u8]) -> Result<Self, RuleError> {
        Self::new(secret, Effect::Only, glob)
    }

    /// The secret does not go to programs that match.
    ///
    /// # Errors
    ///
    /// [`RuleError::Pattern`].
    pub fn deny(secret: &str, glob: &[u8]) -> Result<Self, RuleError> {
        Self::new(secret, Effect::Deny, glob)
    }

    /// The secret it is about.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Whether it names programs that get the secret, rather than some that do not.
    #[must_use]
    pub fn is_only(&self) -> bool {
        self.effect == Effect::Only
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn pattern(&self) -> String {
        self.glob.to_string()
    }

    fn parse(text: &OsStr, effect: Effect) -> Result<Self, RuleError> {
        let bytes = text.as_bytes();
        let Some(equals) = bytes.iter().position(|byte| *byte == b'=') else {
            return Err(RuleError::NoPattern);
        };
        let name = variable_name(OsStr::from_bytes(&bytes[..equals])).map_err(|_| RuleError::InvalidName)?;
        Self::new(&name, effect, &bytes[equals + 1..])
    }

    fn new(secret: &str, effect: Effect, glob: &[u8]) -> Result<Self, RuleError> {
        let glob = Glob::parse(glob)
            .map_err(|problem| RuleError::Pattern { secret: secret.to_owned(), problem: problem.to_string() })?;
        Ok(Self { secret: secret.to_owned(), effect, glob })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match self.effect {
            Effect::Only => "only",
            Effect::Deny => "deny",
        };
        write!(f, "{effect} {}={}", self.secret, self.glob)
    }
}

/// All rules, from the configuration file and the command line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

impl Rules {
    /// Adds a rule. Their order does not matter.
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// True if a program may have a secret: no deny rule of that secret matches
    /// its path, and an only rule does if there are any. `exe` is the absolute
    /// path of the executable in bytes.
    #[must_use]
    pub fn permits(&self, secret: &str, exe: &[u8]) -> bool {
        let mut only = self.of(secret, Effect::Only).peekable();
        let allowed = only.peek().is_none() || only.any(|rule| rule.glob.matches(exe));
        allowed && !self.of(secret, Effect::Deny).any(|rule| rule.glob.matches(exe))
    }

    /// True if a secret goes only to programs that are named.
    #[must_use]
    pub fn restricts(&self, secret: &str) -> bool {
        self.of(secret, Effect::Only).next().is_some()
    }

    /// True if there are no rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// All rules in the order in which they were added.
    pub fn iter(&self) -> std::slice::Iter<'_, Rule> {
        self.rules.iter()
    }

    fn of<'a>(&'a self, secret: &'a str, effect: Effect) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(move |rule| rule.secret == secret && rule.effect == effect)
    }
}

impl Extend<Rule> for Rules {
    fn extend<T: IntoIterator<Item = Rule>>(&mut self, rules: T) {
        self.rules.extend(rules);
    }
}

impl<'a> IntoIterator for &'a Rules {
    type Item = &'a Rule;
    type IntoIter = std::slice::Iter<'a, Rule>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A rule is not written as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// No `=`.
    #[error("no `=`; write NAME=EXE-GLOB, as in PGPASSWORD=*/psql")]
    NoPattern,
    /// Not a name.
    #[error("not a name of a variable before `=`; it must be UTF-8 and not empty")]
    InvalidName,
    /// The pattern is wrong.
    #[error("{secret}: {problem}")]
    Pattern {
        /// The secret.
        secret: String,
        /// What is wrong and what to do.
        problem: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(only: &[&str], deny: &[&str]) -> Rules {
        let mut rules = Rules::default();
        rules.extend(only.iter().map(|text| Rule::parse_only(OsStr::new(text)).unwrap()));
        rules.extend(deny.iter().map(|text| Rule::parse_deny(OsStr::new(text)).unwrap()));
        rules
    }

    #[test]
    fn rules_decide() {
        let psql = "/usr/lib/postgresql/15/bin/psql";
        let curl = "/usr/bin/curl";
        let cases: &[(&[&str], &[&str], bool, bool)] = &[
            (&[], &[], true, true),
            (&["A=*/psql"], &[], true, false),
            (&["A=*/psql", "A=*/curl"], &[], true, true),
            (&[], &["A=*/curl"], true, false),
            (&["A=*"], &["A=*/curl"], true, false),
            (&["A=*/curl"], &["A=*/curl"], false, false),
            (&["B=*/psql"], &["B=*"], true, true),
        ];
        for (only, deny, for_psql, for_curl) in cases {
            let rules = rules(only, deny);
            assert_eq!(rules.permits("A", psql.as_bytes()), *for_psql, "{rules:?}");
            assert_eq!(rules.permits("A", curl.as_bytes()), *for_curl, "{rules:?}");
        }
    }

    #[test]
    fn only_rules_restrict() {
        let rules = rules(&["A=*/psql"], &["B=*/psql"]);
        assert!(rules.restricts("A"));
        assert!(!rules.restricts("B"));
        assert!(!rules.is_empty() && Rules::default().is_empty());
        let shown: Vec<String> = rules.iter().map(Rule::to_string).collect();
        assert_eq!(shown, ["only A=*/psql", "deny B=*/psql"]);
    }

    #[test]
    fn wrong_rules_are_told() {
        for (text, message) in [
            ("A", "no `=`; write NAME=EXE-GLOB, as in PGPASSWORD=*/psql"),
            ("=*/psql", "not a name of a variable before `=`; it must be UTF-8 and not empty"),
            ("A=", "A: the pattern is empty; write one such as */psql"),
            (
                "A=psql",
                "A: the pattern can match no path, as paths of programs start with `/`; \
                 start it with `/` or `*`, as in */psql",
            ),
            (
                "A=/bin/[ab]",
                "A: `[` and `{` have no meaning in patterns; write several patterns, \
                 or a backslash before the character",
            ),
            ("A=/bin/\\", "A: the pattern ends in a backslash; write two for one"),
        ] {
            let error = Rule::parse_only(OsStr::new(text)).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert_eq!(Rule::parse_deny(OsStr::new(text)).unwrap_err(), error);
        }
    }
}
