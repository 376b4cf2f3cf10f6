//! All that one test needs: a room, a secret, programs, the binary under test.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use crate::program::{Language, Workshop};
use crate::room::Room;
use crate::secret::TestSecret;
use crate::tool::interpreter;
use crate::trial::Trial;

/// The set-up of one test; made by [`stage!`](crate::stage!).
pub struct Stage {
    /// The directory of this test.
    pub room: Room,
    /// The secret of this test.
    pub secret: Arc<TestSecret>,
    /// The binary under test.
    pub envward: PathBuf,
    workshop: Workshop,
}

/// A [`Stage`] for a test of the crate that has the binary `envward`.
#[macro_export]
macro_rules! stage {
    () => {
        $crate::Stage::new(
            env!("CARGO_BIN_EXE_envward"),
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/programs"),
            env!("CARGO_TARGET_TMPDIR"),
            $crate::Room::new(),
        )
    };
    ($room:expr) => {
        $crate::Stage::new(
            env!("CARGO_BIN_EXE_envward"),
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/programs"),
            env!("CARGO_TARGET_TMPDIR"),
            $room,
        )
    };
}

impl Stage {
    /// A stage with a fresh secret; see [`stage!`](crate::stage!).
    #[must_use]
    pub fn new(envward: &str, sources: &str, cache: &str, room: Room) -> Self {
        Self {
            room,
            secret: Arc::new(TestSecret::new("ENVWARD_TEST_TOKEN")),
            envward: envward.into(),
            workshop: Workshop::new(sources, cache),
        }
    }

    /// A compiled test program, in this test's room, where every user may run
    /// it and no other test does.
    #[must_use]
    pub fn program(&self, language: Language, name: &str) -> PathBuf {
        let built = self.workshop.build(language, name);
        let label = format!("{name}-{language:?}").to_lowercase();
        let copy = self.room.path().join(&label);
        if copy.exists() { copy } else { self.room.place_as(&built, &label) }
    }

    /// The class path of a compiled Java program, in this test's room.
    #[must_use]
    pub fn classes(&self, name: &str) -> PathBuf {
        let classes = self.workshop.build(Language::Java, name);
        for entry in classes.read_dir().expect("the classes can be listed").flatten() {
            self.room.place(&entry.path());
        }
        self.room.path().to_owned()
    }

    /// A test program that is a script, in this test's room.
    #[must_use]
    pub fn script(&self, name: &str) -> PathBuf {
        self.room.place(&self.workshop.script(&format!("scripts/{name}")))
    }

    /// `program` with the name and the digest of the secret behind it: what
    /// every checking program takes.
    #[must_use]
    pub fn asked<I>(&self, program: I) -> Vec<OsString>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let mut command: Vec<OsString> = program.into_iter().map(|part| part.as_ref().to_owned()).collect();
        command.push(self.secret.name().into());
        command.push(self.secret.digest().into());
        command
    }

    /// A trial of a command with this test's secret.
    #[must_use]
    pub fn trial<I>(&self, command: I) -> Trial<'_>
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        Trial::new(&self.room, &self.envward, &[&self.secret], command)
    }

    /// The system shell, as `/proc/PID/exe` names it.
    #[must_use]
    pub fn shell(&self) -> PathBuf {
        interpreter("sh", "dash")
    }
}
