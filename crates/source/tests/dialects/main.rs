//! Every dialect against its own implementation: each file of the corpus and a number of random
//! ones is read by us and by that implementation, and the names and values must be the same,
//! but for the differences that `kept.rs` lists.
//!
//! More random files: `ENVWARD_DIALECT_CASES=20000 cargo test -p envward-source --test dialects`.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod answer;
mod generate;
mod install;
mod kept;
mod oracle;
mod recorded;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use envward_source::Dialect;

use self::answer::{Answer, Ours};
use self::oracle::Oracle;

/// The seed of the random files, so that a failure can be looked at again.
const SEED: u64 = 0x0123_4567_89ab_cdef;

fn cases() -> usize {
    std::env::var("ENVWARD_DIALECT_CASES").ok().map_or(400, |count| count.parse().unwrap())
}

/// The files of the corpus, in the order of their names.
fn corpus() -> BTreeMap<String, Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialects/corpus");
    let files: BTreeMap<_, _> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let path: PathBuf = entry.unwrap().path();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())
        })
        .collect();
    assert!(files.len() >= 150, "the corpus has {} files", files.len());
    files
}

/// Compares corpus and random files; tells every difference at once.
fn compare(dialect: Dialect, mut oracle: impl Oracle) {
    let ours = Ours::new(dialect);
    let mut wrong = Vec::new();
    let mut kept_used = Vec::new();
    for (name, text) in corpus() {
        let answer = ours.answer(&text);
        let theirs = if answer.is_endless() { Answer::Rejected } else { oracle.answer(&name, &text) };
        let reason = kept::in_corpus(dialect, &name);
        match (answer.same_as(&theirs), reason) {
            (true, None) => {}
            (false, Some(_)) => kept_used.push(name),
            (true, Some(_)) => wrong.push(format!("{name}: listed in kept.rs, and there is no difference")),
            (false, None) => wrong.push(format!(
                "{name}: {text:?}\n  ours   {answer}\n  theirs {theirs}",
                text = String::from_utf8_lossy(&text)
            )),
        }
    }
    let unknown: Vec<_> = kept::names(dialect).filter(|name| !kept_used.iter().any(|used| used == name)).collect();
    assert!(unknown.is_empty() || !wrong.is_empty(), "kept.rs lists what is not in the corpus: {unknown:?}");
    let mut random = generate::Generator::new(SEED, dialect);
    let (mut same, mut rejected, mut kept) = (0, 0, 0);
    for index in 0..oracle.random_cases(cases()) {
        let text = random.file();
        let answer = ours.answer(&text);
        let theirs =
            if answer.is_endless() { Answer::Rejected } else { oracle.answer(&format!("random {index}"), &text) };
        if answer.same_as(&theirs) {
            same += 1;
            rejected += usize::from(answer.is_rejected());
        } else if kept::in_general(dialect, &text, &answer, &theirs).is_some() {
            kept += 1;
        } else if wrong.len() < 20 {
            wrong.push(format!(
                "random {index}: {text:?}\n  ours   {answer}\n  theirs {theirs}",
                text = String::from_utf8_lossy(&text)
            ));
        }
    }
    println!(
        "{dialect}: seed {SEED:#x}: {same} the same ({rejected} of them rejected by both), {kept} kept differences"
    );
    assert!(wrong.is_empty(), "{dialect}: {} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn dotenv_is_read_as_npm_does() {
    compare(Dialect::Dotenv, oracle::javascript("dotenv"));
}

#[test]
fn dotenv_expand_is_read_as_npm_does() {
    compare(Dialect::DotenvExpand, oracle::javascript("dotenv-expand"));
}

#[test]
fn dotenvx_is_read_as_npm_does() {
    compare(Dialect::Dotenvx, oracle::javascript("dotenvx"));
}

#[test]
fn node_is_read_as_node_does() {
    compare(Dialect::Node, oracle::javascript("node"));
}

#[test]
fn python_is_read_as_python_dotenv_does() {
    compare(Dialect::Python, oracle::python());
}

#[test]
fn compose_is_read_as_compose_does() {
    compare(Dialect::Compose, oracle::compose());
}

#[test]
fn shell_is_read_as_shells_do() {
    compare(Dialect::Shell, oracle::shells());
}

#[test]
fn ruby_is_read_as_recorded() {
    compare(Dialect::Ruby, recorded::answers("ruby"));
}

#[test]
fn dotenvy_is_read_as_recorded() {
    compare(Dialect::Dotenvy, recorded::answers("dotenvy"));
}
