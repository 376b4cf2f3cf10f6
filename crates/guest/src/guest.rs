//! How a test knows where it runs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::manifest::{self, Manifest};
use crate::{Fact, MARK};

/// The guest that this process runs in.
#[derive(Debug)]
pub struct Guest {
    manifest: Manifest,
}

impl Guest {
    /// The guest; every guest test begins with this.
    ///
    /// # Panics
    /// Outside of a guest, with the command that starts one: such a test changes the machine
    /// that it runs on.
    #[must_use]
    #[expect(clippy::panic, reason = "ends a test that may not go on")]
    pub fn here() -> Self {
        assert!(
            Self::is_here(),
            "this test changes the machine that it runs on and is for a guest: run `cargo xtask guest`"
        );
        let text = fs::read_to_string(manifest::PLACE).unwrap_or_else(|error| panic!("{}: {error}", manifest::PLACE));
        let manifest = Manifest::parse(&text).unwrap_or_else(|line| panic!("{}: {line:?}", manifest::PLACE));
        Self { manifest }
    }

    /// Whether this is a guest at all.
    #[must_use]
    pub fn is_here() -> bool {
        fs::read_to_string("/proc/cmdline").is_ok_and(|line| line.split_whitespace().any(|word| word == MARK))
    }

    /// Whether this boot promises a fact, which init has found to be true. A test goes by it
    /// where what has to happen depends on the kernel; it is no reason to test nothing.
    #[must_use]
    pub fn offers(&self, fact: Fact) -> bool {
        self.manifest.expected.iter().any(|(expected, yes)| *expected == fact && *yes)
    }

    /// The kernel's release, as `uname -r` says it.
    #[must_use]
    pub fn release(&self) -> String {
        rustix::system::uname().release().to_string_lossy().into_owned()
    }

    /// The path of a program that was packed: one of cargo's, or one compiled from C.
    ///
    /// # Panics
    /// When the test's manifest does not name it.
    #[must_use]
    #[expect(clippy::panic, reason = "ends a test that may not go on")]
    pub fn program(&self, name: &str) -> PathBuf {
        let path = Path::new(manifest::PROGRAMS).join(name);
        if !path.is_file() {
            panic!("{name} was not packed: name it in [package.metadata.guest] of the test's Cargo.toml");
        }
        path
    }

    /// Says a figure that is shown also when the test passes.
    pub fn figure(&self, text: &str) {
        use std::io::Write as _;
        // A lost figure is no reason to fail.
        let _ = writeln!(std::io::stdout().lock(), "\n{}{text}", crate::record::FIGURE);
    }
}
