//! The kernels: Debian's packages, fetched and verified by apt with lists of its own, unpacked
//! without being installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use envward_guest::Fact;

use crate::guest::Workshop;
use crate::{Trouble, say};

/// A stock kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    /// The first two numbers of its version.
    pub(super) series: &'static str,
    /// The Debian release that it belongs to.
    suite: &'static str,
    /// The ways to boot it.
    pub(super) variants: &'static [Variant],
}

/// A way to boot a kernel.
#[derive(Debug)]
pub(super) struct Variant {
    /// What tests and the command line call it.
    pub(super) name: &'static str,
    /// For people.
    pub(super) about: &'static str,
    /// What is added to the kernel's command line.
    pub(super) command_line: &'static str,
    /// What has to be so, or the boot fails. Debian has Yama and BPF among its security modules
    /// without being asked (`CONFIG_LSM`), so no `lsm=` is given.
    pub(super) expected: &'static [(Fact, bool)],
}

const WITH_SECRETMEM: &[(Fact, bool)] =
    &[(Fact::MemfdSecret, true), (Fact::Yama, true), (Fact::BpfLsm, true), (Fact::Btf, true)];

const WITHOUT_SECRETMEM: &[(Fact, bool)] =
    &[(Fact::MemfdSecret, false), (Fact::Yama, true), (Fact::BpfLsm, true), (Fact::Btf, true)];

/// All kernels.
pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        series: "6.1",
        suite: "bookworm",
        variants: &[
            Variant {
                name: "standard",
                about: "with secretmem.enable=1",
                command_line: "secretmem.enable=1",
                expected: WITH_SECRETMEM,
            },
            Variant {
                name: "without-secretmem",
                about: "as it boots by default",
                command_line: "",
                expected: WITHOUT_SECRETMEM,
            },
        ],
    },
    Kernel {
        series: "6.12",
        suite: "trixie",
        variants: &[
            Variant { name: "standard", about: "as it boots by default", command_line: "", expected: WITH_SECRETMEM },
            Variant {
                name: "without-secretmem",
                about: "with secretmem.enable=0",
                command_line: "secretmem.enable=0",
                expected: WITHOUT_SECRETMEM,
            },
        ],
    },
];

/// Where packages come from when apt knows no mirror of Debian.
const MIRROR: &str = "http://deb.debian.org/debian";

/// Debian's keys.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

impl Kernel {
    /// The kernel's file, fetched if it is not there yet.
    pub(super) fn fetch(&self, workshop: &Workshop) -> Result<PathBuf, Trouble> {
        let directory = workshop.path(format!("kernel-{}", self.series));
        if let Some(kernel) = self.find(&directory) {
            return Ok(kernel);
        }
        let unfinished = workshop.path(format!("kernel-{}.new", self.series));
        for old in [&directory, &unfinished] {
            if old.exists() {
                fs::remove_dir_all(old).map_err(|error| Trouble::new(old.display(), error))?;
            }
        }
        let apt = Apt::new(&unfinished, self.suite)?;
        apt.run(&["update"])?;
        let package = apt.newest()?;
        say(&format!("guest: fetching {package} of Debian {}", self.suite));
        apt.run(&["download", &package])?;
        let archive = only_file(&unfinished, "deb")?;
        let unpacked = Command::new("sh")
            .args(["-c", "dpkg-deb --fsys-tarfile \"$1\" | tar -x --strip-components=2 --wildcards './boot/*'", "sh"])
            .arg(&archive)
            .current_dir(&unfinished)
            .output()
            .map_err(|error| Trouble::new("dpkg-deb", error))?;
        if !unpacked.status.success() || self.find(&unfinished).is_none() {
            let why = String::from_utf8_lossy(&unpacked.stderr);
            return Err(Trouble::new(archive.display(), format!("has no kernel of {}: {}", self.series, why.trim())));
        }
        let failed = |error| Trouble::new(unfinished.display(), error);
        fs::remove_file(&archive).map_err(failed)?;
        fs::rename(&unfinished, &directory).map_err(failed)?;
        self.find(&directory).ok_or_else(|| Trouble(format!("{} has no kernel", directory.display())))
    }

    fn find(&self, directory: &Path) -> Option<PathBuf> {
        let begin = format!("vmlinuz-{}.", self.series);
        let mut files = fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        files.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&begin)))
    }
}

/// An apt that knows one release of Debian and no installed package, in a directory of its own.
struct Apt<'a> {
    directory: &'a Path,
    suite: &'static str,
}

impl<'a> Apt<'a> {
    fn new(directory: &'a Path, suite: &'static str) -> Result<Self, Trouble> {
        let keyring = KEYRINGS.into_iter().find(|path| Path::new(path).is_file());
        let keyring = keyring.ok_or_else(|| {
            Trouble("guest: Debian's keys are missing: apt-get install debian-archive-keyring".to_owned())
        })?;
        let failed = |error| Trouble::new(directory.display(), error);
        for part in ["lists/partial", "cache/archives/partial", "state"] {
            fs::create_dir_all(directory.join(part)).map_err(failed)?;
        }
        let source = format!("deb [arch=amd64 target=Packages signed-by={keyring}] {} {suite} main\n", mirror());
        fs::write(directory.join("sources.list"), source).map_err(failed)?;
        Ok(Self { directory, suite })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
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
        ] {
            command.args(["-o", &option]);
        }
        command.env("LC_ALL", "C.UTF-8").current_dir(self.directory);
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<(), Trouble> {
        self.output("apt-get", &[&["-qq"], arguments].concat()).map(drop)
    }

    /// The package that Debian's own `linux-image-amd64` stands for.
    fn newest(&self) -> Result<String, Trouble> {
        let text = self.output("apt-cache", &["depends", "--important", "linux-image-amd64"])?;
        let package = text.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
        package.map(str::to_owned).ok_or_else(|| Trouble(format!("guest: no kernel in Debian {}", self.suite)))
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Result<String, Trouble> {
        let what = format!("guest: {program} {}, for the kernel of Debian {}", arguments.join(" "), self.suite);
        let output = self.command(program).args(arguments).output().map_err(|error| Trouble::new(&what, error))?;
        if !output.status.success() {
            return Err(Trouble::new(what, String::from_utf8_lossy(&output.stderr).trim()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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

fn only_file(directory: &Path, extension: &str) -> Result<PathBuf, Trouble> {
    let entries = fs::read_dir(directory).map_err(|error| Trouble::new(directory.display(), error))?;
    let mut found = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == extension));
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path),
        _ => Err(Trouble::new(directory.display(), format!("not exactly one .{extension} file"))),
    }
}
