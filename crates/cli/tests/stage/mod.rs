//! Where the tests perform: a directory that every user can reach, the small C
//! programs in it, copies of envward, and secrets made for the occasion.
//!
//! The copies are for the unprivileged users, who may not reach the build directory.

#![allow(dead_code, unreachable_pub, reason = "several test binaries share the stage and none uses all of it")]

pub mod case;
pub mod job;

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use envward_guest::Guest;

/// The user that stands for an unprivileged service. It needs no passwd entry.
pub const USER: u32 = 61_234;

/// Another unprivileged user.
pub const STRANGER: u32 = 61_235;

/// A directory with the programs, removed when this process has ended.
pub struct Stage {
    root: PathBuf,
}

/// The stage of this test process, set up by whoever needs it first.
pub fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(Stage::build)
}

impl Stage {
    fn build() -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests act as several users and have to run as root");
        let root = tempfile::Builder::new().prefix("envward-stage-").tempdir().expect("temporary directory").keep();
        fs::set_permissions(&root, Permissions::from_mode(0o755)).expect("chmod stage");
        remove_afterwards(&root);
        let stage = Self { root };
        stage.compile("with", &["with.c"], &[]);
        stage.compile("probe", &["probe.c", "probe_signals.c", "probe_notify.c"], &[]);
        stage.install("envward");
        stage.install("envward-capable");
        stage.install("envward-unreadable");
        let unreadable = Permissions::from_mode(0o711);
        fs::set_permissions(stage.program("envward-unreadable"), unreadable).expect("chmod");
        let capability = Command::new("setcap")
            .arg("cap_sys_ptrace=ep")
            .arg(stage.program("envward-capable"))
            .output()
            .expect("setcap is missing: apt-get install libcap2-bin");
        assert!(capability.status.success(), "setcap refused; is {} mounted nosuid?", stage.root.display());
        stage
    }

    /// Compiles C sources of `tests/programs` into `name`; in a guest, takes what was packed.
    pub fn compile(&self, name: &str, sources: &[&str], options: &[&str]) -> PathBuf {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
        let target = self.program(name);
        if Guest::is_here() {
            fs::copy(Guest::here().program(name), &target).expect("copy of a packed program");
            return target;
        }
        let output = Command::new("cc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&target)
            .args(sources.iter().map(|source| here.join(source)))
            .args(options)
            .output()
            .expect("cc is missing: apt-get install gcc libc6-dev");
        assert!(output.status.success(), "cc {name}: {}", String::from_utf8_lossy(&output.stderr));
        target
    }

    fn install(&self, name: &str) {
        fs::copy(envward(), self.program(name)).expect("copy of envward");
    }

    /// The path of a program on the stage.
    pub fn program(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A fresh directory that `uid` (root, if none) owns.
    pub fn scratch(&self, uid: Option<u32>) -> PathBuf {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(format!("scratch-{number}"));
        fs::create_dir(&path).expect("scratch directory");
        chown(&path, uid, uid).expect("chown scratch");
        path
    }

    /// An env file that `uid` can read, with none of the secrets in it.
    pub fn other_env_file(&self, uid: Option<u32>) -> PathBuf {
        let path = self.scratch(uid).join("other.env");
        fs::write(&path, "OTHER=unimportant\n").expect("env file");
        chown(&path, uid, uid).expect("chown env file");
        path
    }
}

/// The binary under test.
pub fn envward() -> PathBuf {
    match Guest::is_here() {
        true => Guest::here().program("envward"),
        false => env!("CARGO_BIN_EXE_envward").into(),
    }
}

/// All process ids of this pid namespace.
pub fn processes() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// A process that waits for this one to end, however it ends, and cleans up.
fn remove_afterwards(root: &Path) {
    let janitor = Command::new("sh")
        .args(["-c", "cat > /dev/null; rm -rf -- \"$1\"", "sh"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("sh");
    // Our end of the pipe closes with the process, so it must not close before.
    static PIPE: OnceLock<std::process::Child> = OnceLock::new();
    assert!(PIPE.set(janitor).is_ok(), "one stage to a process");
}

/// `bytes` random bytes in hexadecimal: a secret that nobody has seen before.
pub fn random(bytes: usize) -> String {
    let mut raw = vec![0; bytes];
    fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut raw)).expect("/dev/urandom");
    raw.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Three secrets, as an env file and one by one.
pub struct Secrets {
    directory: PathBuf,
    /// The env file that holds them all.
    pub file: PathBuf,
}

impl Secrets {
    /// The variables that every set of secrets has.
    pub const NAMES: [&'static str; 3] = ["DB_PASSWORD", "API_TOKEN", "SIGNING_KEY"];

    /// Makes up secrets that `uid` can read.
    pub fn new(uid: Option<u32>) -> Self {
        let directory = stage().scratch(uid);
        let file = directory.join("app.env");
        let mut text = String::new();
        for name in Self::NAMES {
            let value = random(24);
            text.push_str(&format!("{name}={value}\n"));
            let path = directory.join(name);
            fs::write(&path, value).expect("secret file");
            chown(&path, uid, uid).expect("chown secret");
        }
        fs::write(&file, text).expect("env file");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("chmod env file");
        chown(&file, uid, uid).expect("chown env file");
        Self { directory, file }
    }

    /// The file with just the value of `name`.
    pub fn value_file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The value of `name`; for comparing, never for printing.
    pub fn value(&self, name: &str) -> Vec<u8> {
        fs::read(self.value_file(name)).expect("secret file")
    }
}
