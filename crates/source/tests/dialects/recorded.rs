//! Answers that were recorded from an implementation which the tests' machines cannot fetch, in
//! `recorded/`: Ruby's dotenv 3.2.0 and Elixir's Dotenvy 1.1.1, each run from its source by
//! `oracles/ruby.rb` and `oracles/dotenvy.exs`. The files are ours, the answers theirs.
//!
//! To record anew, with a command that answers as those programs do:
//! `ENVWARD_DIALECT_RECORD='ruby -I DOTENV/lib …/oracles/ruby.rb' cargo test -p envward-source
//! --test dialects ruby`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::answer::Answer;
use crate::oracle::{Answering, Oracle};

/// How many random files are recorded.
const RANDOM: usize = 400;

pub(crate) struct Recorded {
    path: PathBuf,
    answers: BTreeMap<String, Value>,
    live: Option<Answering>,
}

pub(crate) fn answers(name: &str) -> Recorded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/dialects/recorded/{name}.json"));
    let live = std::env::var("ENVWARD_DIALECT_RECORD").ok().map(|command| {
        let mut words = command.split(' ');
        Answering::start(Command::new(words.next().unwrap()).args(words))
    });
    let answers = match &live {
        Some(_) => BTreeMap::new(),
        None => serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap(),
    };
    Recorded { path, answers, live }
}

impl Oracle for Recorded {
    fn answer(&mut self, name: &str, text: &[u8]) -> Answer {
        let Some(live) = &mut self.live else {
            let answer = self.answers.get(name).unwrap_or_else(|| panic!("{name} is not recorded"));
            return Answer::from_json(answer);
        };
        let answer = live.answer(name, text);
        let recorded = name.strip_prefix("random ").is_none_or(|index| index.parse::<usize>().unwrap() < RANDOM);
        if recorded {
            let json = match &answer {
                Answer::Values(values) => serde_json::to_value(values).unwrap(),
                _ => Value::Null,
            };
            self.answers.insert(name.to_owned(), json);
        }
        answer
    }

    fn random_cases(&self, wanted: usize) -> usize {
        if self.live.is_some() { wanted.max(RANDOM) } else { RANDOM }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if self.live.is_some() {
            let lines: Vec<String> =
                self.answers.iter().map(|(name, answer)| format!("{}: {answer}", Value::from(name.as_str()))).collect();
            std::fs::write(&self.path, format!("{{\n{}\n}}\n", lines.join(",\n"))).unwrap();
        }
    }
}
