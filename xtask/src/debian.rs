//! Packages of a Debian release, fetched and verified by an apt with lists of its own: nothing is
//! installed, and the machine's own apt is not changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Trouble;

/// Where packages come from when apt knows no mirror of Debian.
const MIRROR: &str = "http://deb.debian.org/debian";

/// Debian's keys.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// How long one command of apt may take, in seconds.
const LIMIT: &str = "900";

/// An apt that knows one release of Debian and no installed package, in a directory of its own.
pub(crate) struct Apt<'a> {
    directory: &'a Path,
    suite: &'static str,
}

impl<'a> Apt<'a> {
    /// Prepares the directory and fetches the release's index, whose signature apt verifies.
    pub(crate) fn new(directory: &'a Path, suite: &'static str) -> Result<Self, Trouble> {
        let keyring = KEYRINGS.into_iter().find(|path| Path::new(path).is_file());
        let keyring = keyring
            .ok_or_else(|| Trouble("Debian's keys are missing: apt-get install debian-archive-keyring".to_owned()))?;
        let failed = |error| Trouble::new(directory.display(), error);
        for part in ["lists/partial", "cache/archives/partial", "state"] {
            fs::create_dir_all(directory.join(part)).map_err(failed)?;
        }
        let source = format!("deb [arch=amd64 target=Packages signed-by={keyring}] {} {suite} main\n", mirror());
        fs::write(directory.join("sources.list"), source).map_err(failed)?;
        let apt = Self { directory, suite };
        apt.run("apt-get", &["-qq", "update"])?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10", LIMIT, program]);
        let place = |name: &str| self.directory.join(name).display().to_string();
        for option in [
            format!("Dir::Etc::sourcelist={}", place("sources.list")),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            "Dir::Etc::preferencesparts=/dev/null".to_owned(),
            format!("Dir::State={}", place("state")),
            format!("Dir::State::lists={}", place("lists")),
            "Dir::State::status=/dev/null".to_owned(),
            format!("Dir::Cache={}", place("cache")),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
            "Acquire::http::Timeout=60".to_owned(),
            // The downloading user of apt may not enter our directory.
            "APT::Sandbox::User=root".to_owned(),
            // A list that could not be fetched is an error, not a warning.
            "APT::Update::Error-Mode=any".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command.env("LC_ALL", "C.UTF-8").current_dir(self.directory);
        command
    }

    /// The first package that a package depends on.
    pub(crate) fn dependency(&self, package: &str) -> Result<String, Trouble> {
        let text = self.run("apt-cache", &["depends", "--important", package])?;
        let first = text.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
        first.map(str::to_owned).ok_or_else(|| Trouble(format!("no {package} in Debian {}", self.suite)))
    }

    /// The newest version of a package, fetched: the path of its file. apt compares it with the
    /// checksum in the release's index.
    pub(crate) fn download(&self, package: &str) -> Result<PathBuf, Trouble> {
        let before = self.archives()?;
        self.run("apt-get", &["-qq", "download", package])?;
        let mut new = self.archives()?;
        new.retain(|path| !before.contains(path));
        match &new[..] {
            [archive] => Ok(archive.clone()),
            _ => Err(Trouble::new(self.directory.display(), format!("not exactly one new file of {package}"))),
        }
    }

    fn archives(&self) -> Result<Vec<PathBuf>, Trouble> {
        let entries = fs::read_dir(self.directory).map_err(|error| Trouble::new(self.directory.display(), error))?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        Ok(paths.filter(|path| path.extension().is_some_and(|end| end == "deb")).collect())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, Trouble> {
        let what = format!("{program} {}, for Debian {}", arguments.join(" "), self.suite);
        let output = self.command(program).args(arguments).output().map_err(|error| Trouble::new(&what, error))?;
        match output.status.code() {
            Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Some(124 | 137) => Err(Trouble::new(what, format!("not done within {LIMIT} s"))),
            _ => Err(Trouble::new(what, String::from_utf8_lossy(&output.stderr).trim())),
        }
    }
}

/// The mirror that this machine uses, if it is a Debian.
fn mirror() -> String {
    let listing = Command::new("apt-get")
        .args(["indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages"])
        .output();
    let text = listing.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let ours = text.lines().find_map(|line| line.strip_prefix("Debian Debian "));
    ours.unwrap_or(MIRROR).trim_end_matches('/').to_owned()
}
