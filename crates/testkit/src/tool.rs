//! Finding the programs that tests need, or failing with the package's name.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The path of `name`; fails the test with the `apt-get` command that installs
/// `package` when the machine lacks it. System directories come first, so that
/// a shim in a home directory does not stand in for the real program.
#[must_use]
pub fn tool(name: &str, package: &str) -> PathBuf {
    std::env::split_paths(&search_path()).map(|dir| dir.join(name)).find(|path| is_program(path)).unwrap_or_else(|| {
        panic!(
            "this test needs `{name}`: apt-get install {package} \
                 (tests/setup installs all that the tests need)"
        )
    })
}

/// Like [`tool`], with links resolved: what `/proc/PID/exe` of it shows.
#[must_use]
pub fn interpreter(name: &str, package: &str) -> PathBuf {
    let path = tool(name, package);
    fs::canonicalize(&path).unwrap_or_else(|error| panic!("cannot resolve {}: {error}", path.display()))
}

/// The `PATH` that tests search and give to the programs that they start.
#[must_use]
pub(crate) fn search_path() -> OsString {
    let mut dirs: Vec<PathBuf> =
        ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from).to_vec();
    // Debian keeps server programs off everybody's PATH.
    dirs.extend(versions("/usr/lib/postgresql"));
    dirs.push("/usr/local/go/bin".into());
    dirs.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut seen = Vec::new();
    dirs.retain(|dir| {
        let new = dir.is_absolute() && !seen.contains(dir);
        seen.push(dir.clone());
        new
    });
    std::env::join_paths(dirs).expect("no directory of PATH has a colon")
}

fn versions(parent: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut dirs: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    dirs.sort();
    dirs
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Whether the tests run as root: then full mode and other users are to be had.
#[must_use]
pub fn is_root() -> bool {
    status_field("Uid:").is_some_and(|uids| uids.split_whitespace().nth(1) == Some("0"))
}

/// A capability that decides what a test can expect, by its number in
/// `linux/capability.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// `CAP_SYS_PTRACE`: the full mode.
    Ptrace = 19,
    /// `CAP_SYS_RESOURCE`: limits can be raised above the hard ones.
    Resource = 24,
}

impl Capability {
    /// Whether the tests themselves have it, and so what they start.
    #[must_use]
    pub fn is_ours(self) -> bool {
        status_field("CapEff:")
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .is_some_and(|mask| mask >> (self as u32) & 1 == 1)
    }
}

/// Fails the test unless it runs as root, saying how to do that.
pub fn require_root(why: &str) {
    assert!(is_root(), "this test needs root ({why}): sudo -E env PATH=\"$PATH\" cargo test");
}

fn status_field(name: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| Some(line.strip_prefix(name)?.to_owned()))
}
