//! Patterns of paths and of names.

use std::fmt;

/// A pattern that a whole path or name must match.
///
/// `*` stands for any number of any bytes, `/` included, so `*/psql` is every
/// program called `psql`; `?` stands for one byte other than `/`; a backslash
/// takes the character behind it as it is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    parts: Vec<Part>,
    text: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Byte(u8),
    One,
    Any,
}

/// Why a pattern cannot match a path, or is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GlobError {
    Empty,
    Relative,
    Equals,
    Class,
    Backslash,
}

impl Glob {
    /// A pattern of the absolute paths of programs.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, GlobError> {
        match text.first() {
            None => Err(GlobError::Empty),
            Some(b'/' | b'*') => Self::compile(text),
            Some(_) => Err(GlobError::Relative),
        }
    }

    /// A pattern of the names of variables.
    pub(crate) fn of_names(text: &[u8]) -> Result<Self, GlobError> {
        match text {
            [] => Err(GlobError::Empty),
            text if text.contains(&b'=') => Err(GlobError::Equals),
            text => Self::compile(text),
        }
    }

    fn compile(text: &[u8]) -> Result<Self, GlobError> {
        let mut parts = Vec::with_capacity(text.len());
        let mut bytes = text.iter().copied();
        while let Some(byte) = bytes.next() {
            let part = match byte {
                // Two stars in a row are one.
                b'*' if parts.last() == Some(&Part::Any) => continue,
                b'*' => Part::Any,
                b'?' => Part::One,
                b'[' | b'{' => return Err(GlobError::Class),
                b'\\' => Part::Byte(bytes.next().ok_or(GlobError::Backslash)?),
                byte => Part::Byte(byte),
            };
            parts.push(part);
        }
        Ok(Self { parts, text: text.to_owned() })
    }

    /// Matches in time proportional to the product of the lengths at worst.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        let (mut part, mut at) = (0, 0);
        // Where to go on if the path does not fit: behind the last `*`, which
        // then takes one byte more.
        let mut retry: Option<(usize, usize)> = None;
        while at < path.len() {
            let fits = match self.parts.get(part) {
                Some(Part::Any) => {
                    part += 1;
                    retry = Some((part, at));
                    continue;
                }
                Some(Part::Byte(byte)) => *byte == path[at],
                Some(Part::One) => path[at] != b'/',
                None => false,
            };
            if fits {
                part += 1;
                at += 1;
            } else if let Some((behind, taken)) = &mut retry {
                *taken += 1;
                (part, at) = (*behind, *taken);
            } else {
                return false;
            }
        }
        self.parts[part..].iter().all(|part| *part == Part::Any)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob({self})")
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&String::from_utf8_lossy(&self.text), f)
    }
}

impl fmt::Display for GlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the pattern is empty; write one such as */psql",
            Self::Relative => {
                "the pattern can match no path, as paths of programs start with `/`; \
                 start it with `/` or `*`, as in */psql"
            }
            Self::Equals => "the pattern holds an `=`, which no name of a variable has",
            Self::Class => {
                "`[` and `{` have no meaning in patterns; write several patterns, \
                 or a backslash before the character"
            }
            Self::Backslash => "the pattern ends in a backslash; write two for one",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, path, expected) in [
            ("*/psql", "/usr/lib/postgresql/15/bin/psql", true),
            ("*/psql", "/psql", true),
            ("*/psql", "/usr/bin/psql2", false),
            ("*/psql", "/usr/bin/mypsql", false),
            ("*/psql", "psql", false),
            ("/usr/bin/psql", "/usr/bin/psql", true),
            ("/usr/bin/psql", "/usr/bin/psq", false),
            ("/usr/bin/*", "/usr/bin/a/b", true),
            ("/usr/*/psql", "/usr/lib/bin/psql", true),
            ("/usr/*/psql", "/usr/psql", false),
            ("/bin/python3.?", "/bin/python3.9", true),
            ("/bin/python3.?", "/bin/python3.", false),
            ("/bin/python3.?", "/bin/python3.11", false),
            ("/a?b", "/a/b", false),
            ("*", "/anything", true),
            ("*", "", true),
            ("**/x", "/a/x", true),
            ("/a\\*b", "/a*b", true),
            ("/a\\*b", "/axb", false),
            ("/a*b*c", "/abbcbc", true),
            ("/a*b*c", "/abbcb", false),
        ] {
            let glob = Glob::parse(pattern.as_bytes()).unwrap();
            assert_eq!(glob.matches(path.as_bytes()), expected, "{pattern} {path}");
            assert_eq!(glob.to_string(), pattern);
        }
    }

    #[test]
    fn paths_are_bytes() {
        let glob = Glob::parse(b"/\xff*").unwrap();
        assert!(glob.matches(b"/\xff\xfe"));
        assert!(!glob.matches(b"/\xfe"));
    }

    #[test]
    fn wrong_patterns_are_refused() {
        for (pattern, expected) in [
            ("", GlobError::Empty),
            ("psql", GlobError::Relative),
            ("?usr/bin/psql", GlobError::Relative),
            ("/bin/[ab]", GlobError::Class),
            ("/bin/{a,b}", GlobError::Class),
            ("/bin/a\\", GlobError::Backslash),
        ] {
            assert_eq!(Glob::parse(pattern.as_bytes()), Err(expected), "{pattern}");
        }
    }

    #[test]
    fn many_stars_are_no_trouble() {
        let pattern = format!("/{}b", "*a".repeat(60));
        let path = format!("/{}", "a".repeat(5000));
        assert!(!Glob::parse(pattern.as_bytes()).unwrap().matches(path.as_bytes()));
    }

    /// The definition, without cleverness.
    fn matches_by_definition(parts: &[Part], path: &[u8]) -> bool {
        match (parts, path) {
            ([], path) => path.is_empty(),
            ([Part::Any, rest @ ..], path) => (0..=path.len()).any(|taken| matches_by_definition(rest, &path[taken..])),
            ([Part::One, rest @ ..], [byte, path @ ..]) => *byte != b'/' && matches_by_definition(rest, path),
            ([Part::Byte(expected), rest @ ..], [byte, path @ ..]) => {
                expected == byte && matches_by_definition(rest, path)
            }
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn matching_follows_the_definition(pattern in "[*/][ab*?/]{0,8}", path in "[ab/]{0,10}") {
            let glob = Glob::parse(pattern.as_bytes()).unwrap();
            prop_assert_eq!(
                glob.matches(path.as_bytes()),
                matches_by_definition(&glob.parts, path.as_bytes())
            );
        }

        #[test]
        fn every_path_matches_itself_escaped(path in prop::collection::vec(1..=255u8, 0..20)) {
            let mut pattern = vec![b'/'];
            pattern.extend(path.iter().flat_map(|byte| [b'\\', *byte]));
            let path = [b"/", &path[..]].concat();
            prop_assert!(Glob::parse(&pattern).unwrap().matches(&path));
        }
    }
}
