//! A folder with a store, and a home directory with an identity.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use envward_store::{Document, Identities, Key};

pub(crate) struct Room {
    directory: tempfile::TempDir,
}

/// 32 hexadecimal digits that nobody else has.
pub(crate) fn random() -> String {
    let mut random = [0; 16];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut random).unwrap();
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Its output; the test fails unless it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// Its messages; the test fails unless it ended with this code.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}", self.err);
        assert!(self.err.starts_with("envward: "), "{}", self.err);
        self.err
    }
}

impl Room {
    /// A folder without a store.
    pub(crate) fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("home")).unwrap();
        Self { directory }
    }

    /// A folder with a store.
    pub(crate) fn new() -> Self {
        let room = Self::empty();
        room.run(&["init"]).ok();
        room
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// envward in this folder, without a terminal.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_envward"));
        command.args(arguments);
        command
    }

    /// Another program there.
    pub(crate) fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        // Without a controlling terminal nobody is asked.
        let mut command = Command::new("setsid");
        command
            .arg("--wait")
            .arg(program)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", self.path("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        Done::of(&self.command(arguments).output().unwrap())
    }

    /// With bytes on standard input.
    pub(crate) fn feed(&self, arguments: &[&str], input: &[u8]) -> Done {
        feed(&mut self.command(arguments), input)
    }

    pub(crate) fn set(&self, name: &str, value: &str) {
        self.feed(&["set", name], value.as_bytes()).ok();
    }

    /// The value, without the line break.
    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> String {
        self.run(&["get", "--raw", name]).ok()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("secrets.envward")
    }

    /// What the store says when it is read in this process.
    pub(crate) fn read(&self, name: &str) -> Result<String, String> {
        let text = fs::read(self.store()).map_err(|error| error.to_string())?;
        let path = self.path("home/.config/envward/identity.txt");
        let mut identities = Identities::default();
        identities.add(&fs::read_to_string(&path).unwrap(), Path::new(&path), |_| None).unwrap();
        let document = Document::parse(&text).map_err(|error| error.to_string())?;
        let key = Key::unwrap(&document, &identities).map_err(|error| error.to_string())?;
        for record in document.records() {
            record.open(&key).map_err(|error| error.to_string())?;
        }
        let value = document.current(name).and_then(|record| record.open(&key)).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(value).unwrap())
    }

    /// What lies in the folder.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A script that can be run.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, &format!("#!/bin/sh\n{text}"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A C program of `tests/programs/c`.
    pub(crate) fn compile(&self, name: &str) -> PathBuf {
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/programs/c").join(name).with_extension("c");
        let program = self.path(name);
        let status = Command::new("gcc").arg("-O1").arg("-o").arg(&program).arg(source).status();
        assert!(status.expect("apt-get install gcc").success());
        program
    }
}

pub(crate) fn feed(command: &mut Command, input: &[u8]) -> Done {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // Whoever does not read it all has its reasons.
    let _ = child.stdin.take().unwrap().write_all(input);
    Done::of(&child.wait_with_output().unwrap())
}
