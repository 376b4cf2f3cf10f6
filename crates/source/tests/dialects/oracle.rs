//! The implementations, as programs that answer one file after the other.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use envward_testkit::tool;

use crate::answer::Answer;
use crate::install;

/// Something that answers what a file means.
pub(crate) trait Oracle {
    fn answer(&mut self, name: &str, text: &[u8]) -> Answer;

    /// How many random files it can answer, if that many are asked for.
    fn random_cases(&self, wanted: usize) -> usize {
        wanted
    }
}

/// A process that reads files in hexadecimal and writes JSON, a line each.
pub(crate) struct Answering {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Answering {
    pub(crate) fn start(command: &mut Command) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut child =
            command.env_clear().env("PATH", path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }
}

impl Oracle for Answering {
    fn answer(&mut self, name: &str, bytes: &[u8]) -> Answer {
        let mut line = String::with_capacity(bytes.len() * 2 + 1);
        for byte in bytes {
            write!(line, "{byte:02x}").unwrap();
        }
        line.push('\n');
        self.input.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        assert!(!answer.is_empty(), "the oracle has ended at {name}");
        Answer::from_json(&serde_json::from_str(&answer).unwrap())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialects/oracles").join(name)
}

pub(crate) fn javascript(dialect: &str) -> Answering {
    let packages = install::npm();
    Answering::start(
        Command::new(tool("node", "nodejs")).arg(program("javascript.js")).arg(dialect).current_dir(packages),
    )
}

pub(crate) fn python() -> Answering {
    Answering::start(Command::new(install::python()).arg(program("python.py")))
}

pub(crate) fn compose() -> Answering {
    Answering::start(&mut Command::new(install::compose()))
}

/// dash and bash, which must agree, or the answer is that of neither.
pub(crate) struct Shells {
    dash: PathBuf,
    bash: PathBuf,
    directory: tempfile::TempDir,
}

pub(crate) fn shells() -> Shells {
    Shells { dash: tool("dash", "dash"), bash: tool("bash", "bash"), directory: tempfile::tempdir().unwrap() }
}

impl Shells {
    fn ask(&self, shell: &Path, options: &[&str]) -> Answer {
        // Whatever the file says, nothing is found in PATH.
        let output = Command::new(shell)
            .args(options)
            .args(["-c", "set -a; . ./case.env || exit 1; exec /usr/bin/env -0", "sh"])
            .env_clear()
            .env("PATH", "/nonexistent")
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .unwrap();
        if !output.status.success() {
            return Answer::Rejected;
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let own = ["PATH", "PWD", "OLDPWD", "SHLVL", "_", "OPTIND", "PPID", "BASHOPTS", "SHELLOPTS"];
        let entries = text.split_terminator('\0').filter_map(|entry| entry.split_once('='));
        let values = entries.filter(|(name, _)| !own.contains(name));
        Answer::Values(values.map(|(name, value)| (name.to_owned(), Some(value.to_owned()))).collect())
    }
}

impl Oracle for Shells {
    fn answer(&mut self, _name: &str, text: &[u8]) -> Answer {
        std::fs::write(self.directory.path().join("case.env"), text).unwrap();
        let dash = self.ask(&self.dash, &[]);
        let bash = self.ask(&self.bash, &["--posix"]);
        if dash.same_as(&bash) { dash } else { Answer::Rejected }
    }
}
