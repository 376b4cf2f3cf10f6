//! A directory of a test's own, that any user may enter.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::launch::Identity;
use crate::secret::TestSecret;

/// A temporary directory, mode 0755, removed on drop.
pub struct Room {
    path: PathBuf,
    _dir: TempDir,
}

impl Room {
    /// A room in the temporary directory.
    #[must_use]
    pub fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// A room in `parent`, for tests that need a particular file system.
    #[must_use]
    pub fn within(parent: &Path) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("envward-test-")
            .tempdir_in(parent)
            .unwrap_or_else(|error| panic!("no temporary directory in {}: {error}", parent.display()));
        set_mode(dir.path(), 0o755);
        let path = fs::canonicalize(dir.path()).expect("a new directory can be resolved");
        Self { path, _dir: dir }
    }

    /// The directory, without links, as `/proc/PID/exe` shows what is in it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file with these contents and this mode; parents are made.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.path().join(name);
        let parent = path.parent().expect("a file has a parent");
        fs::create_dir_all(parent).expect("a room takes directories");
        if mode & 0o111 == 0 {
            fs::write(&path, contents).expect("a room takes files");
            set_mode(&path, mode);
        } else {
            let draft = path.with_extension("draft");
            fs::write(&draft, contents).expect("a room takes files");
            install(&draft, &path, mode);
            fs::remove_file(draft).expect("a room gives files up");
        }
        path
    }

    /// Copies a program here, so that a user who cannot enter the build
    /// directory can run it.
    pub fn place(&self, program: &Path) -> PathBuf {
        let name = program.file_name().expect("a program has a name");
        self.place_as(program, &name.to_string_lossy())
    }

    /// Copies a program here under another name.
    pub fn place_as(&self, program: &Path, name: &str) -> PathBuf {
        let path = self.path().join(name);
        install(program, &path, 0o755);
        path
    }

    /// Gives a program another path here, as a link where the file system has
    /// both, else as a copy. What is done to its inode is done to the original.
    pub fn link_as(&self, program: &Path, name: &str) -> PathBuf {
        let path = self.path().join(name);
        if fs::hard_link(program, &path).is_err() {
            install(program, &path, 0o755);
        }
        path
    }

    /// A directory here that belongs to `identity`.
    pub fn directory(&self, name: &str, identity: Identity) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(&path).expect("a room takes directories");
        give(&path, identity);
        path
    }

    /// An env file with `secrets`, that only `identity` may read.
    pub fn env_file(&self, secrets: &[&TestSecret], identity: Identity) -> OsString {
        let text: String = secrets.iter().map(|secret| format!("{}={}\n", secret.name(), secret.value())).collect();
        let path = self.write("app.env", text, 0o600);
        give(&path, identity);
        path.into_os_string()
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes a program by a process of its own. If this one wrote the file, a child
/// that another thread is just forking would inherit the descriptor, and until
/// that child's exec every exec of the file would fail with `ETXTBSY`.
fn install(source: &Path, path: &Path, mode: u32) {
    let output = Command::new("/usr/bin/install")
        .arg(format!("--mode={mode:o}"))
        .arg(source)
        .arg(path)
        .output()
        .expect("install (coreutils) can be started");
    assert!(output.status.success(), "cannot make {}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
}

fn give(path: &Path, identity: Identity) {
    if let Some(uid) = identity.uid() {
        chown(path, Some(uid), Some(uid)).expect("root may give files away");
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("cannot chmod {}: {error}", path.display()));
}
