//! Which variables of envward's own environment the program gets.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use crate::glob::{Glob, GlobError};

/// Lists of patterns for the names of inherited variables.
///
/// Without a list everything is inherited. With `allow` only what matches one of its patterns
/// is; what matches `deny` never is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inherit {
    pub(crate) allow: Option<Vec<NamePattern>>,
    pub(crate) deny: Vec<NamePattern>,
}

/// What becomes of an inherited variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage<'a> {
    /// The program gets it.
    Passes,
    /// A pattern of `deny` keeps it out.
    Denied(&'a NamePattern),
    /// There is a list of what may pass, and it is not on it.
    NotListed,
}

impl Inherit {
    /// Inherits nothing but what was and will be allowed.
    pub fn start_from_nothing(&mut self) {
        self.allow.get_or_insert_default();
    }

    /// Allows what matches a pattern, and nothing else that is not allowed too.
    pub fn allow(&mut self, pattern: NamePattern) {
        self.allow.get_or_insert_default().push(pattern);
    }

    /// Whether everything is inherited.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }

    /// What becomes of the variable of this name. A variable that is declared counts as
    /// allowed, and may still be denied.
    #[must_use]
    pub fn passage(&self, name: &[u8], is_declared: bool) -> Passage<'_> {
        if let Some(pattern) = self.deny.iter().find(|pattern| pattern.0.matches(name)) {
            return Passage::Denied(pattern);
        }
        match &self.allow {
            Some(allow) if !is_declared && !allow.iter().any(|pattern| pattern.0.matches(name)) => Passage::NotListed,
            _ => Passage::Passes,
        }
    }
}

/// A pattern of names of variables: `*` stands for any number of any characters, `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(Glob);

impl NamePattern {
    /// Parses the argument of `--inherit`.
    ///
    /// # Errors
    ///
    /// [`NamePatternError`].
    pub fn parse(text: &OsStr) -> Result<Self, NamePatternError> {
        Self::compile(text.as_bytes()).map_err(NamePatternError)
    }

    pub(crate) fn compile(text: &[u8]) -> Result<Self, GlobError> {
        Glob::of_names(text).map(Self)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Not a pattern of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePatternError(GlobError);

impl fmt::Display for NamePatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(describe(self.0))
    }
}

impl std::error::Error for NamePatternError {}

/// What is wrong with a pattern of names.
pub(crate) fn describe(error: GlobError) -> &'static str {
    match error {
        GlobError::Empty => "an empty pattern; write the name of a variable or a pattern such as LC_*",
        GlobError::Class => "`[` and `{` have no meaning in patterns; write several patterns",
        GlobError::Backslash => "the pattern ends in a backslash; write two for one",
        GlobError::Relative | GlobError::Equals => "the pattern can match no name, as names of variables have no `=`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<NamePattern> {
        texts.iter().map(|text| NamePattern::parse(OsStr::new(text)).unwrap()).collect()
    }

    #[test]
    fn lists_decide() {
        type Case<'a> = (Option<&'a [&'a str]>, &'a [&'a str], &'a str, bool, &'a str);
        let cases: &[Case<'_>] = &[
            (None, &[], "ANY", false, "passes"),
            (None, &["AWS_*"], "AWS_SECRET", false, "denied by AWS_*"),
            (None, &["AWS_*"], "AWS", false, "passes"),
            (None, &["AWS_*"], "AWS_SECRET", true, "denied by AWS_*"),
            (Some(&[]), &[], "PATH", false, "not listed"),
            (Some(&[]), &[], "PATH", true, "passes"),
            (Some(&["LC_*", "PATH"]), &[], "LC_ALL", false, "passes"),
            (Some(&["LC_*", "PATH"]), &[], "PATH2", false, "not listed"),
            (Some(&["LC_*"]), &["LC_ALL"], "LC_ALL", false, "denied by LC_ALL"),
        ];
        for (allow, deny, name, is_declared, expected) in cases {
            let inherit = Inherit { allow: allow.map(patterns), deny: patterns(deny) };
            let outcome = match inherit.passage(name.as_bytes(), *is_declared) {
                Passage::Passes => "passes".to_owned(),
                Passage::Denied(pattern) => format!("denied by {pattern}"),
                Passage::NotListed => "not listed".to_owned(),
            };
            assert_eq!(outcome, *expected, "{allow:?} {deny:?} {name}");
            assert_eq!(inherit.is_everything(), allow.is_none() && deny.is_empty());
        }
    }

    #[test]
    fn pristine_adds_to_a_list_and_makes_one() {
        let mut inherit = Inherit::default();
        inherit.start_from_nothing();
        assert_eq!(inherit.passage(b"HOME", false), Passage::NotListed);
        inherit.allow(NamePattern::parse(OsStr::new("HO?E")).unwrap());
        inherit.start_from_nothing();
        assert_eq!(inherit.passage(b"HOME", false), Passage::Passes);
        assert_eq!(inherit.passage(b"PATH", false), Passage::NotListed);
    }

    #[test]
    fn wrong_patterns_are_told() {
        for (text, part) in [("", "empty"), ("A=1", "no `=`"), ("[AB]", "several"), ("A\\", "backslash")] {
            let error = NamePattern::parse(OsStr::new(text)).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
