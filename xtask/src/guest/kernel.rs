//! The kernels: Debian's packages, unpacked without being installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use envward_guest::Fact;

use crate::debian::Apt;
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
        let package = apt.dependency("linux-image-amd64")?;
        say(&format!("guest: fetching {package} of Debian {}", self.suite));
        let archive = apt.download(&package)?;
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
