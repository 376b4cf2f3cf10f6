//! `cargo xtask bench store`: what `envward run` costs with a hundred secrets from the embedded
//! store, beside `env … true`, one X25519 unwrapping, and the peers with the same secrets in age.
//!
//! The peers are measured when they are there:
//!
//! ```sh
//! cargo install --locked --root target/peers --version 0.21.1 secretspec --no-default-features --features cli,age
//! cargo install --locked --root target/peers --version 1.39.0 fnox
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Trouble, say};

const ROUNDS: usize = 300;
const PEER_ROUNDS: usize = 60;
const SECRETS: usize = 100;
/// Times `env … true`, besides the unwrapping.
const LIMIT: f64 = 2.0;
/// Times slower that peers have to be.
const LEAD: f64 = 3.0;

/// Measures and says it; a figure beyond its limit is trouble.
pub(crate) fn run() -> Result<(), Trouble> {
    let scratch = Scratch::new()?;
    let envward = build()?;
    let folder = &scratch.0;
    succeed(ours(folder, &envward, &["init"]))?;
    let text: String = (0..SECRETS).map(|n| format!("BENCH_{n}=not-a-secret-at-all-but-as-long-as-{n}\n")).collect();
    write(&folder.join("bench.env"), &text)?;
    succeed(ours(folder, &envward, &["import", "bench.env"]))?;
    let run = || ours(folder, &envward, &["run", "--quiet", "--", "true"]);
    let env_file =
        || ours(folder, &envward, &["run", "--quiet", "--no-config", "--env-file", "bench.env", "--", "true"]);
    let plain = || {
        let mut command = Command::new("env");
        command.args((0..SECRETS).map(|n| format!("BENCH_{n}=not-a-secret-at-all-but-as-long-as-{n}"))).arg("true");
        command
    };
    let [baseline, from_file, from_store] = medians(ROUNDS, [&plain, &env_file, &run])?;
    let unwrapping = unwrapping(folder)?;
    say(&format!(
        "{SECRETS} secrets: env … true {baseline:?}; envward run from an env file {from_file:?}, from the store \
         {from_store:?}; one unwrapping {unwrapping:?}"
    ));
    let mut missed = Vec::new();
    let factor = (from_store.saturating_sub(unwrapping)).as_secs_f64() / baseline.as_secs_f64();
    say(&format!("run from the store, less one unwrapping: {factor:.3} times env … true (at most {LIMIT})"));
    if factor > LIMIT {
        missed.push("run from the store".to_owned());
    }
    for (name, command) in peers(folder, &text)? {
        let [ours, theirs] = medians(PEER_ROUNDS, [&run, &command])?;
        let lead = theirs.as_secs_f64() / ours.as_secs_f64();
        say(&format!("{name} {theirs:?}, envward {ours:?}: {lead:.2} times (at least {LEAD})"));
        if lead < LEAD {
            missed.push(name.to_owned());
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(Trouble(format!("beyond its limit: {}", missed.join(", ")))) }
}

type Make = Box<dyn Fn() -> Command>;

/// The peers that are installed, each with the same secrets in age.
fn peers(folder: &Path, text: &str) -> Result<Vec<(&'static str, Make)>, Trouble> {
    let installed = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/bin").join(name);
        fs::canonicalize(path).ok()
    };
    let mut found: Vec<(&'static str, Make)> = Vec::new();
    let identity = folder.join("home/.config/envward/identity.txt");
    let recipient = recipient(&identity)?;
    match installed("secretspec") {
        None => say("secretspec: not installed, not measured; see xtask/src/bench_store.rs"),
        Some(program) => {
            let place = folder.join("secretspec");
            fs::create_dir(&place).map_err(|error| Trouble::new("secretspec", error))?;
            let mut age = Command::new("age");
            age.args(["-a", "-r", &recipient, "-o"]).arg(place.join("secrets.age")).arg(folder.join("bench.env"));
            succeed(age)?;
            let names: String =
                (0..SECRETS).map(|n| format!("BENCH_{n} = {{ description = \"-\", required = true }}\n")).collect();
            write(
                &place.join("secretspec.toml"),
                &format!("[project]\nname = \"bench\"\nrevision = \"1.0\"\n[profiles.default]\n{names}"),
            )?;
            let provider = format!("age://{}?identity={}", place.join("secrets.age").display(), identity.display());
            let home = folder.join("home");
            found.push((
                "secretspec",
                Box::new(move || {
                    let mut command = Command::new(&program);
                    command.args(["run", "--reason", "bench", "--provider", &provider, "--", "true"]);
                    command.current_dir(&place).env("HOME", &home);
                    command
                }),
            ));
        }
    }
    match installed("fnox") {
        None => say("fnox: not installed, not measured; see xtask/src/bench_store.rs"),
        Some(program) => {
            let place = folder.join("fnox");
            fs::create_dir(&place).map_err(|error| Trouble::new("fnox", error))?;
            write(
                &place.join("fnox.toml"),
                &format!("[providers.age]\ntype = \"age\"\nrecipients = [\"{recipient}\"]\n"),
            )?;
            let home = folder.join("home");
            let make = move |arguments: &[&str]| {
                let mut command = Command::new(&program);
                command.args(arguments).current_dir(&place).env("HOME", &home).env("FNOX_AGE_KEY_FILE", &identity);
                command
            };
            for line in text.lines() {
                let (name, value) = line.split_once('=').unwrap_or((line, ""));
                succeed(make(&["set", "--provider", "age", name, value]))?;
            }
            found.push(("fnox", Box::new(move || make(&["exec", "--", "true"]))));
        }
    }
    Ok(found)
}

fn recipient(identity: &Path) -> Result<String, Trouble> {
    let text = fs::read_to_string(identity).map_err(|error| Trouble::new("the identity", error))?;
    let found = text.lines().find_map(|line| line.strip_prefix("# public key: "));
    found.map(str::to_owned).ok_or_else(|| Trouble("the identity has no public key".to_owned()))
}

fn ours(folder: &Path, envward: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(envward);
    command.args(arguments).current_dir(folder).env("HOME", folder.join("home")).env_remove("XDG_CONFIG_HOME");
    command
}

fn unwrapping(folder: &Path) -> Result<Duration, Trouble> {
    let mut command = Command::new(target()?.join("release/examples/unwrap"));
    command.arg(folder.join("secrets.envward")).arg(folder.join("home/.config/envward/identity.txt"));
    let output = command.output().map_err(|error| Trouble::new("the unwrapping", error))?;
    let nanoseconds = String::from_utf8_lossy(&output.stdout).trim().parse();
    nanoseconds.map(Duration::from_nanos).map_err(|error| Trouble::new("the unwrapping", error))
}

fn build() -> Result<PathBuf, Trouble> {
    for package in [&["--package", "envward"][..], &["--package", "envward-store", "--example", "unwrap"]] {
        let mut command = Command::new("cargo");
        command.args(["build", "--quiet", "--release", "--locked"]).args(package);
        succeed(command)?;
    }
    Ok(target()?.join("release/envward"))
}

fn target() -> Result<PathBuf, Trouble> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    fs::canonicalize(path).map_err(|error| Trouble::new("cannot find the target directory", error))
}

fn succeed(mut command: Command) -> Result<(), Trouble> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| Trouble::new(&name, error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Trouble::new(format!("{name}: {}", output.status), String::from_utf8_lossy(&output.stderr).trim()))
}

/// The medians of the wall time of each command, run in turn.
fn medians<const N: usize>(rounds: usize, commands: [&dyn Fn() -> Command; N]) -> Result<[Duration; N], Trouble> {
    let mut times = commands.map(|_| Vec::with_capacity(rounds));
    for _ in 0..rounds {
        for (make, times) in commands.iter().zip(&mut times) {
            let mut command = make();
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let start = Instant::now();
            let status = command.status();
            let took = start.elapsed();
            match status {
                // secretspec dies of SIGPIPE in some of its runs with programs that end at once.
                Ok(status) if status.success() || status.code() == Some(141) => times.push(took),
                Ok(status) => return Err(Trouble(format!("{}: {status}", command.get_program().to_string_lossy()))),
                Err(error) => return Err(Trouble::new(command.get_program().to_string_lossy(), error)),
            }
        }
    }
    Ok(times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    }))
}

fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    fs::write(path, text).map_err(|error| Trouble::new(path.display(), error))
}

/// A directory, gone with this.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Trouble> {
        let directory = std::env::temp_dir().join(format!("envward-bench-store-{}", std::process::id()));
        fs::create_dir_all(directory.join("home")).map_err(|error| Trouble::new("cannot make a directory", error))?;
        Ok(Self(directory))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A directory left in the temporary one does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}
