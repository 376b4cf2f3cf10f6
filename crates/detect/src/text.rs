//! A line of a file, as somebody is about to commit it.

use std::ops::Range;

use crate::format::{self, shifted};
use crate::name::{Hint, hint};
use crate::value::{entropy, is_example, is_harmless};
use crate::variable::by_name;
use crate::{Confidence, Detection, catalogue, surest, url};

/// What kind of text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Names and values: an env file, a configuration. A value needs no quotes.
    Data,
    /// Anything else, such as a program: only what is in quotes is a value.
    Code,
}

impl Syntax {
    /// What a file of this path holds, from its name.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        const EXTENSIONS: &[&str] =
            &["env", "ini", "cfg", "conf", "cnf", "properties", "toml", "yaml", "yml", "tfvars", "envrc", "netrc"];
        let name = path.rsplit('/').next().unwrap_or(path);
        let extension = name.rsplit('.').next().unwrap_or(name);
        let is_data = name.starts_with(".env") || name.contains(".env.") || EXTENSIONS.contains(&extension);
        if is_data { Self::Data } else { Self::Code }
    }
}

/// A credential in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The name that it stands behind.
    pub name: Option<Range<usize>>,
    /// What it is.
    pub detection: Detection,
}

/// The words that say that a line may stay as it is.
const ALLOWED: &[u8] = b"envward:allow";

/// What can be said of a line.
#[must_use]
pub fn detect(line: &[u8], syntax: Syntax) -> Vec<Found> {
    if format::contains_word(line, &[ALLOWED]) {
        return Vec::new();
    }
    let mut found: Vec<Found> = format::find(catalogue::FORMATS, line)
        .chain(url::find(line).filter(|found| !is_example(&line[found.range.clone()])))
        .map(|detection| Found { name: None, detection })
        .collect();
    for assignment in Assignments::new(line) {
        let overlap = found.iter_mut().find(|known| {
            known.detection.range.start < assignment.value.end && assignment.value.start < known.detection.range.end
        });
        match overlap {
            // What is before `://` is no name.
            Some(_) if line[assignment.value.clone()].starts_with(b"//") => {}
            Some(known) => known.name = known.name.take().or(Some(assignment.name)),
            None => found.extend(judge(line, &assignment, syntax)),
        }
    }
    found.sort_by_key(|found| found.detection.range.start);
    found
}

/// Whether an assignment gives a secret its value.
fn judge(line: &[u8], assignment: &Assignment, syntax: Syntax) -> Option<Found> {
    let (name, value) = (&line[assignment.name.clone()], &line[assignment.value.clone()]);
    if !matches!(hint(name), Hint::Strong(_)) || is_harmless(value) || is_example(value) || value.len() < 6 {
        return None;
    }
    let is_literal = match (assignment.quoted, syntax) {
        (true, _) => !value.contains(&b' ') || syntax == Syntax::Data,
        (false, Syntax::Data) => !value.iter().any(|byte| matches!(byte, b'(' | b'{' | b'[' | b'<')),
        // `token = next_token` is no secret; `TOKEN=a8f2…` in a script is.
        (false, Syntax::Code) => {
            let has = |test: fn(&u8) -> bool| value.iter().any(test);
            line.get(assignment.name.end) == Some(&b'=')
                && has(u8::is_ascii_digit)
                && has(u8::is_ascii_alphabetic)
                && !has(|byte| matches!(byte, b'(' | b'.' | b'[' | b'{' | b':' | b'&' | b'*' | b'<' | b',' | b')'))
        }
    };
    if !is_literal {
        return None;
    }
    let mut detection = by_name(name, value)?;
    // Words in quotes are messages and keys more often than passwords.
    let is_wordy = syntax == Syntax::Code && (value.len() < 8 || entropy(value) < 3.0 || is_identifier(value));
    if is_wordy && detection.confidence == Confidence::Medium {
        detection.confidence = Confidence::Low;
    }
    detection.range = shifted(detection.range, assignment.value.start);
    Some(Found { name: Some(assignment.name.clone()), detection })
}

/// Letters and separators only, as names have.
fn is_identifier(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b'.' | b' ' | b':' | b'/'))
}

#[derive(Debug)]
struct Assignment {
    name: Range<usize>,
    value: Range<usize>,
    quoted: bool,
}

/// Finds `name = value`, `name: value`, `"name": "value"`, `name => value`.
struct Assignments<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Assignments<'a> {
    const fn new(line: &'a [u8]) -> Self {
        Self { line, at: 0 }
    }

    fn past(&self, mut at: usize, test: impl Fn(u8) -> bool) -> usize {
        while self.line.get(at).is_some_and(|byte| test(*byte)) {
            at += 1;
        }
        at
    }

    /// The assignment whose name begins at `start`, or where to go on.
    fn parse(&self, start: usize) -> Result<Assignment, usize> {
        let is_blank = |byte| matches!(byte, b' ' | b'\t');
        let end = self.past(start, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        let mut at = self.past(end, |byte| matches!(byte, b'"' | b'\'' | b']'));
        at = self.past(at, is_blank);
        let rest = &self.line[at..];
        // The operator, which is no comparison.
        let operator = [&b":="[..], b"=>", b"=", b":"].into_iter().find(|operator| rest.starts_with(operator));
        let Some(operator) = operator.filter(|_| !rest.starts_with(b"==") && !rest.starts_with(b"::")) else {
            return Err(end);
        };
        at = self.past(at + operator.len(), is_blank);
        let quote = self.line.get(at).copied().filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
        let value = match quote {
            Some(quote) => {
                let close = self.past(at + 1, |byte| byte != quote);
                if close >= self.line.len() {
                    return Err(end);
                }
                at + 1..close
            }
            None => at..self.past(at, |byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b';' | b',')),
        };
        Ok(Assignment { name: start..end, value, quoted: quote.is_some() })
    }
}

impl Iterator for Assignments<'_> {
    type Item = Assignment;

    fn next(&mut self) -> Option<Assignment> {
        while self.at < self.line.len() {
            let start = self.past(self.at, |byte| !byte.is_ascii_alphabetic() && byte != b'_');
            if start >= self.line.len() {
                break;
            }
            match self.parse(start) {
                Ok(assignment) => {
                    self.at = assignment.value.end.max(assignment.name.end + 1);
                    return Some(assignment);
                }
                Err(end) => self.at = end.max(start + 1),
            }
        }
        None
    }
}

/// The surest thing that can be said of a line.
#[must_use]
pub fn surest_of(line: &[u8], syntax: Syntax) -> Option<Detection> {
    surest(detect(line, syntax).into_iter().map(|found| found.detection))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str, syntax: Syntax) -> Option<(&'static str, Confidence, String)> {
        surest_of(line.as_bytes(), syntax).map(|found| (found.kind, found.confidence, line[found.range].to_owned()))
    }

    #[test]
    fn secrets_in_lines_are_found() {
        use Confidence::{High, Medium};
        use Syntax::{Code, Data};
        for (line, syntax, kind, confidence, value) in [
            ("DB_PASSWORD=swordfish", Data, "password", Medium, "swordfish"),
            ("export API_TOKEN='q8Zt3LmV0xKp2NwR7yBc'", Data, "token", High, "q8Zt3LmV0xKp2NwR7yBc"),
            ("  password: swordfish", Data, "password", Medium, "swordfish"),
            ("{\"apiKey\": \"q8Zt3LmV0xKp2NwR7yBc\"}", Code, "api-key", High, "q8Zt3LmV0xKp2NwR7yBc"),
            ("let token = \"q8Zt3LmV0xKp2NwR7yBc\";", Code, "token", High, "q8Zt3LmV0xKp2NwR7yBc"),
            ("client_secret => 'q8Zt3LmV0xKp2NwR7yBc'", Code, "secret", High, "q8Zt3LmV0xKp2NwR7yBc"),
            ("x = connect(\"postgres://u:sw0rdfish@db\")", Code, "url-password", High, "sw0rdfish"),
            ("TOKEN=q8Zt3LmV0xKp2NwR7yBc ./run", Code, "token", High, "q8Zt3LmV0xKp2NwR7yBc"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", Code, "private-key", High, "-----BEGIN OPENSSH PRIVATE KEY-----"),
        ] {
            assert_eq!(told(line, syntax), Some((kind, confidence, value.to_owned())), "{line}");
        }
    }

    #[test]
    fn programs_that_handle_secrets_are_left_alone() {
        for line in [
            "let token = parser.next_token(3);",
            "if password == expected_1 {",
            "password = getpass.getpass(\"Password: \")",
            "token: Token1<'a>,",
            "fn secret(&self) -> Secret<32> {",
            "PASSWORD=$(cat /run/x1)",
            "PASSWORD=\"$1\"",
            "api_key = os.environ[\"API_KEY_2\"]",
            "const SECRET: &str = \"changeme-123\";",
            "\"password\": \"your-password-1\"",
            "Crypt::Token::decode2(x)",
            "token = 'q8Zt3LmV0xKp2NwR7yBc' # envward:allow",
            "let secret = TestSecret::new(\"STATUS_TOKEN\");",
            "",
            "=",
            "\"unterminated = \"x",
        ] {
            let found = told(line, Syntax::Code);
            assert!(found.as_ref().is_none_or(|found| found.1 == Confidence::Low), "{line}: {found:?}");
        }
    }

    #[test]
    fn the_name_goes_with_what_stands_behind_it() {
        let line = b"URL=postgres://u:sw0rdfish@db";
        let [found] = <[Found; 1]>::try_from(detect(line, Syntax::Data)).unwrap();
        assert_eq!(&line[found.name.unwrap()], b"URL");
        let [found] = <[Found; 1]>::try_from(detect(b"psql postgres://u:sw0rdfish@db", Syntax::Data)).unwrap();
        assert_eq!(found.name, None);
    }

    #[test]
    fn files_of_names_and_values_are_known() {
        for path in [".env", "a/.env.local", "prod.env", "x.env.example", "a.yaml", "b/c.properties", ".envrc"] {
            assert_eq!(Syntax::of_path(path), Syntax::Data, "{path}");
        }
        for path in ["main.rs", "a.env/b.py", "README", "environment.md"] {
            assert_eq!(Syntax::of_path(path), Syntax::Code, "{path}");
        }
    }
}
