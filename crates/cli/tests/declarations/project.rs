//! A directory with files, and envward run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use envward_testkit::sha256;
use tempfile::TempDir;

/// A value that no other text of a test has, and that must never be shown.
pub(crate) const MARK: &str = "hunter2";

/// A project of a user.
pub(crate) struct Project {
    directory: TempDir,
}

/// How envward ended and what it said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Project {
    /// A project with these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let project = Self { directory: TempDir::new().unwrap() };
        for (name, text) in files {
            let path = project.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        project
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// envward with nothing in its environment but `PATH` and these variables.
    pub(crate) fn command(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_envward"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .envs(environment.iter().copied())
            .current_dir(self.directory.path());
        command
    }

    /// Runs envward to its end. No value with [`MARK`] may be in what it says.
    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        let said = Said::from(self.command(arguments, environment).output().unwrap());
        assert!(!said.out.contains(MARK) && !said.err.contains(MARK), "a value is shown by {arguments:?}");
        said
    }

    /// The same with an empty environment.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, &[])
    }

    /// What a program that prints some values as they are says, as their hash: tests compare
    /// values and do not show them.
    pub(crate) fn digest(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, [u8; 32]) {
        let output = self.command(arguments, environment).output().unwrap();
        (output.status.code().unwrap_or(-1), sha256(&output.stdout))
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    /// Expects an exit status and some lines on standard output, in this order.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, lines: &[&str]) {
        self.expect_in(code, lines, &self.out);
    }

    /// The same on standard error.
    #[track_caller]
    pub(crate) fn complains(&self, code: i32, lines: &[&str]) {
        self.expect_in(code, lines, &self.err);
    }

    #[track_caller]
    fn expect_in(&self, code: i32, lines: &[&str], text: &str) {
        let mut rest = text;
        for line in lines {
            let Some(at) = rest.find(line) else { panic!("no `{line}` in\n{}\n{}", self.out, self.err) };
            rest = &rest[at + line.len()..];
        }
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
    }

    /// What it said as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

/// Expects every key of some JSON to stand in `docs/check.md`.
#[track_caller]
pub(crate) fn expect_documented(json: &serde_json::Value) {
    const PAGE: &str = include_str!("../../../../docs/check.md");
    match json {
        serde_json::Value::Object(members) => {
            for (key, value) in members {
                assert!(PAGE.contains(&format!("`{key}`")), "{key} is not in docs/check.md");
                if let ("kind" | "state" | "schema", Some(word)) = (key.as_str(), value.as_str()) {
                    assert!(PAGE.contains(&format!("`{word}`")), "{key} {word} is not in docs/check.md");
                }
                expect_documented(value);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(expect_documented),
        _ => {}
    }
}

/// The directory of the project's own files.
pub(crate) fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
