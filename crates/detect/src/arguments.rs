//! The arguments of a program, which everybody may read.

use std::ops::Range;

use crate::format::{self, shifted};
use crate::name::{Hint, hint, is_plain_name};
use crate::value::is_harmless;
use crate::variable::by_name;
use crate::{Confidence, Detection, Evidence, catalogue, surest, text, url};

/// A credential in an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The argument, 0 being the program itself.
    pub index: usize,
    /// The name that it stands behind: of an option or a variable. A part of the same argument
    /// or of the one before it.
    pub name: Option<(usize, Range<usize>)>,
    /// What it is; the range is one of the argument.
    pub detection: Detection,
}

/// The surest thing that can be said of each argument.
pub fn detect<'a>(arguments: &'a [&'a [u8]]) -> impl Iterator<Item = Found> + use<'a> {
    let program = arguments.first().map_or(&b""[..], |path| path.rsplit(|byte| *byte == b'/').next().unwrap_or(path));
    (0..arguments.len()).filter_map(move |index| {
        let argument = arguments[index];
        let known = format::find(catalogue::FORMATS, argument).chain(url::find(argument));
        let known = surest(known).map(|detection| {
            let name = assignment(argument).filter(|(_, begin)| *begin <= detection.range.start);
            Found { index, name: name.map(|(name, _)| (index, name)), detection }
        });
        if known.as_ref().is_some_and(|found| found.detection.confidence > Confidence::Low) || index == 0 {
            return known;
        }
        known
            .or_else(|| script(index, argument))
            .or_else(|| assigned(index, argument))
            .or_else(|| behind_option(arguments, index))
            .or_else(|| customary(program, arguments, index))
    })
}

/// `NAME=value` and `--name=value`: the name, and where the value begins.
fn assignment(argument: &[u8]) -> Option<(Range<usize>, usize)> {
    let at = argument.iter().position(|byte| *byte == b'=')?;
    let begin = argument.iter().position(|byte| *byte != b'-')?;
    (begin < at && is_plain_name(&argument[begin..at])).then_some((begin..at, at + 1))
}

fn assigned(index: usize, argument: &[u8]) -> Option<Found> {
    let (name, begin) = assignment(argument)?;
    let found = by_name(&argument[name.clone()], &argument[begin..])?;
    let detection = Detection { range: shifted(found.range, begin), ..found };
    Some(Found { index, name: Some((index, name)), detection })
}

/// `--password value`.
fn behind_option(arguments: &[&[u8]], index: usize) -> Option<Found> {
    let (option, value) = (arguments[index - 1], arguments[index]);
    let begin = option.iter().position(|byte| *byte != b'-').filter(|begin| (1..=2).contains(begin))?;
    let name = &option[begin..];
    // `--secret NAME=file:PATH` says where to find one, and `--env NAME=value` was looked at.
    let is_assignment = assignment(value).is_some_and(|(_, begin)| value[begin..].iter().any(|byte| *byte != b'='));
    let is_option = name.len() > 1 && is_plain_name(name) && !value.starts_with(b"-") && !is_assignment;
    if !is_option || !matches!(hint(name), Hint::Strong(_)) {
        return None;
    }
    let detection = by_name(name, value)?;
    Some(Found { index, name: Some((index - 1, begin..option.len())), detection })
}

/// What particular programs take.
fn customary(program: &[u8], arguments: &[&[u8]], index: usize) -> Option<Found> {
    let argument = arguments[index];
    let found = |kind, begin: usize, confidence| {
        let range = begin..argument.len();
        let is_something = begin < argument.len() && !is_harmless(&argument[begin..]);
        let detection = Detection { kind, confidence, evidence: Evidence::Format, range };
        is_something.then_some(Found { index, name: None, detection })
    };
    if let Some(at) = argument.starts_with(b"pass:").then_some(5) {
        // openssl(1)
        return found("password", at, Confidence::Medium);
    }
    match program {
        b"curl" | b"wget" if matches!(arguments[index - 1], b"-u" | b"--user" | b"-U" | b"--proxy-user") => {
            let colon = argument.iter().position(|byte| *byte == b':')?;
            found("basic-credentials", colon + 1, Confidence::High)
        }
        b"mysql" | b"mysqldump" | b"mysqladmin" | b"mariadb" | b"mariadb-dump" | b"mariadb-admin" | b"sshpass"
            if argument.starts_with(b"-p") =>
        {
            found("password", 2, Confidence::High)
        }
        b"redis-cli" if arguments[index - 1] == b"-a" => found("password", 0, Confidence::High),
        _ => None,
    }
}

/// A script of a shell.
fn script(index: usize, argument: &[u8]) -> Option<Found> {
    if argument.starts_with(b"-") || !argument.iter().any(|byte| matches!(byte, b' ' | b'\n' | b';')) {
        return None;
    }
    // Lines have their own places; what counts is where it is in the argument.
    let mut start = 0;
    let mut best: Option<Found> = None;
    for line in argument.split_inclusive(|byte| *byte == b'\n') {
        for found in text::detect(line, text::Syntax::Data) {
            let detection = Detection { range: shifted(found.detection.range, start), ..found.detection };
            if best.as_ref().is_none_or(|best| detection.confidence > best.detection.confidence) {
                let name = found.name.filter(|name| is_plain_name(&line[name.clone()]));
                let name = name.map(|name| (index, shifted(name, start)));
                best = Some(Found { index, name, detection });
            }
        }
        start += line.len();
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &[&str]) -> Vec<(usize, Option<String>, &'static str, String)> {
        let arguments: Vec<&[u8]> = line.iter().map(|argument| argument.as_bytes()).collect();
        detect(&arguments)
            .map(|found| {
                let name = found.name.map(|(index, name)| line[index][name].to_owned());
                (found.index, name, found.detection.kind, line[found.index][found.detection.range].to_owned())
            })
            .collect()
    }

    #[test]
    fn credentials_in_arguments_are_found() {
        for (line, index, name, kind, value) in [
            (&["db", "--password=swordfish"][..], 1, Some("password"), "password", "swordfish"),
            (&["db", "--password", "swordfish"], 2, Some("password"), "password", "swordfish"),
            (&["env", "API_TOKEN=swordfish", "true"], 1, Some("API_TOKEN"), "token", "swordfish"),
            (&["docker", "run", "-e", "DB_PASSWORD=swordfish"], 3, Some("DB_PASSWORD"), "password", "swordfish"),
            (&["/usr/bin/curl", "-u", "me:swordfish", "x"], 2, None, "basic-credentials", "swordfish"),
            (
                &["curl", "-H", "Authorization: Bearer q8Zt3LmV0xKp2NwR7yBc"],
                2,
                None,
                "bearer-token",
                "Authorization: Bearer q8Zt3LmV0xKp2NwR7yBc",
            ),
            (&["psql", "postgres://app:swordfish@db/app"], 1, None, "url-password", "swordfish"),
            (&["psql", "--dsn=postgres://app:swordfish@db/app"], 1, Some("dsn"), "url-password", "swordfish"),
            (&["mysql", "-pswordfish"], 1, None, "password", "swordfish"),
            (&["openssl", "x", "-passin", "pass:swordfish"], 3, None, "password", "swordfish"),
            (&["sh", "-c", "DB_PASSWORD=sw0rdfish! ./run"], 2, Some("DB_PASSWORD"), "password", "sw0rdfish!"),
            (&["java", "-Ddb.password=swordfish"], 1, Some("Ddb.password"), "password", "swordfish"),
        ] {
            let expected = (index, name.map(str::to_owned), kind, value.to_owned());
            assert_eq!(told(line), [expected], "{line:?}");
        }
    }

    #[test]
    fn ordinary_arguments_are_left_alone() {
        for line in [
            &["mysql", "-p", "app"][..],
            &["db", "--password-file", "/run/x"],
            &["db", "--password-file=/run/x"],
            &["db", "--password", "--verbose"],
            &["db", "--token-ttl", "3600"],
            &["curl", "-u", "me", "x"],
            &["ssh", "-i", "/home/me/.ssh/id_ed25519", "host"],
            &["git", "log", "--format=%H", "d41d8cd98f00b204e9800998ecf8427ed41d8cd9"],
            &["envward", "run", "--secret", "TOKEN=file:/run/token", "--", "true"],
            &["sh", "-c", "read -r PASSWORD; export PASSWORD; exec ./run"],
            &["sh", "-c", "TOKEN=$(cat /run/token) ./run"],
            &["/usr/bin/dbus-daemon", "--session", "--address=systemd:", "--nofork", "--nopidfile"],
            &[],
            &[""],
        ] {
            assert_eq!(told(line), [], "{line:?}");
        }
    }
}
