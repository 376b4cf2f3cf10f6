//! What a guest reports: one line each. Lines that a test has written stand between them, each
//! behind a mark of its own, so that no test can say what only init says.

use std::fmt;

use crate::Fact;

/// What init's lines begin with.
const OURS: &str = "@ ";

/// What lines that a test has written begin with.
const THEIRS: &str = "| ";

/// What a test's line begins with if it is to be shown in any case.
pub const FIGURE: &str = "figure: ";

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Init runs, on a kernel of this release, with these security modules.
    Begin {
        /// `uname -r`.
        release: String,
        /// Their names, separated by commas.
        modules: String,
    },
    /// What the kernel offers.
    Fact {
        /// Which.
        fact: Fact,
        /// Whether it is so.
        holds: bool,
        /// Whether it has to be.
        expected: bool,
    },
    /// A test begins.
    Start {
        /// Its binary.
        binary: String,
        /// Its name there.
        test: String,
    },
    /// It has ended.
    Done {
        /// Its binary.
        binary: String,
        /// Its name there.
        test: String,
        /// How long it took.
        milliseconds: u64,
        /// Why it failed, if it did.
        failure: Option<String>,
    },
    /// Something that init could not do, after which it gave up.
    Broken(String),
    /// All tests have ended.
    End {
        /// How many were run.
        run: usize,
        /// How many of those failed.
        failed: usize,
    },
    /// A line that a test has written.
    Output(String),
}

impl Record {
    /// Reads a line; nothing if it is not one of the guest's.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        if let Some(output) = line.strip_prefix(THEIRS) {
            return Some(Self::Output(output.to_owned()));
        }
        let rest = line.strip_prefix(OURS)?;
        let (word, rest) = rest.split_once(' ')?;
        let words: Vec<&str> = rest.split(' ').collect();
        match (word, &words[..]) {
            ("begin", [release, modules]) => {
                Some(Self::Begin { release: (*release).to_owned(), modules: (*modules).to_owned() })
            }
            ("fact", [fact, holds, expected]) => Some(Self::Fact {
                fact: Fact::from_name(fact)?,
                holds: yes_or_no(holds)?,
                expected: yes_or_no(expected)?,
            }),
            ("start", [binary, test]) => Some(Self::Start { binary: (*binary).to_owned(), test: (*test).to_owned() }),
            ("passed" | "failed", [binary, test, milliseconds, reason @ ..]) => Some(Self::Done {
                binary: (*binary).to_owned(),
                test: (*test).to_owned(),
                milliseconds: milliseconds.parse().ok()?,
                failure: (word == "failed").then(|| reason.join(" ")),
            }),
            ("broken", _) => Some(Self::Broken(rest.to_owned())),
            ("end", [run, failed]) => Some(Self::End { run: run.parse().ok()?, failed: failed.parse().ok()? }),
            _ => None,
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = |yes: bool| if yes { "yes" } else { "no" };
        match self {
            Self::Begin { release, modules } => write!(formatter, "{OURS}begin {release} {modules}"),
            Self::Fact { fact, holds, expected } => {
                write!(formatter, "{OURS}fact {} {} {}", fact.name(), answer(*holds), answer(*expected))
            }
            Self::Start { binary, test } => write!(formatter, "{OURS}start {binary} {test}"),
            Self::Done { binary, test, milliseconds, failure: None } => {
                write!(formatter, "{OURS}passed {binary} {test} {milliseconds}")
            }
            Self::Done { binary, test, milliseconds, failure: Some(reason) } => {
                write!(formatter, "{OURS}failed {binary} {test} {milliseconds} {reason}")
            }
            Self::Broken(what) => write!(formatter, "{OURS}broken {what}"),
            Self::End { run, failed } => write!(formatter, "{OURS}end {run} {failed}"),
            Self::Output(line) => write!(formatter, "{THEIRS}{line}"),
        }
    }
}

pub(crate) fn yes_or_no(word: &str) -> Option<bool> {
    match word {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_read_back() {
        let (binary, test) = ("guest_a".to_owned(), "b::c".to_owned());
        for record in [
            Record::Begin { release: "6.1.0".to_owned(), modules: "yama,bpf".to_owned() },
            Record::Fact { fact: Fact::Btf, holds: true, expected: false },
            Record::Start { binary: binary.clone(), test: test.clone() },
            Record::Done { binary: binary.clone(), test: test.clone(), milliseconds: 7, failure: None },
            Record::Done { binary, test, milliseconds: 7, failure: Some("exit status 101".to_owned()) },
            Record::Broken("mount /proc: no such device".to_owned()),
            Record::End { run: 3, failed: 1 },
            Record::Output("@ end 1 0".to_owned()),
        ] {
            assert_eq!(Record::parse(&record.to_string()), Some(record));
        }
    }

    #[test]
    fn other_lines_are_none() {
        for line in ["", "@", "@ end", "@ end 1", "@ end a b", "@ fact moon yes no", "end 1 0", "test a ... ok"] {
            assert_eq!(Record::parse(line), None, "{line}");
        }
    }
}
