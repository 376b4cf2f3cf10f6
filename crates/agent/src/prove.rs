//! Proofs: each recipe's attack, made on a process that was started for it, and the event that
//! came back. Nothing is claimed that was not seen here.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use envward_attack::{Needle, Outcome, Route as Attack};
use envward_kernel::{poll, random, signal};
use serde::Serialize;

use crate::event::Record;
use crate::guard::Guard;
use crate::layout::{Counter, Verdict};
use crate::recipe::{Book, Proof, Recipe};

/// How long an event may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The name of the variable that victims hold.
const VARIABLE: &str = "ENVWARD_PROOF";
/// The hidden subcommands by which this program starts its own victims and attackers.
pub const VICTIM: &str = "proof-victim";
/// See [`VICTIM`].
pub const ATTACKER: &str = "proof-attacker";

/// What came of one recipe's attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// The recipe.
    pub recipe: String,
    /// What the attacker got.
    pub attack: Got,
    /// The verdict of the event that came back; none when none did.
    pub verdict: Option<&'static str>,
    /// Which way the event names.
    pub route: Option<&'static str>,
    /// Who saw it.
    pub hook: Option<&'static str>,
}

/// What an attacker got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Got {
    /// What it was after.
    Success,
    /// A refusal.
    Refusal,
    /// The attack could not be made.
    Nothing,
}

impl Proven {
    /// Whether the agent did what it promises: what is denied fails, and everything is reported.
    #[must_use]
    pub fn holds(&self) -> bool {
        match self.verdict {
            Some("denied") => self.attack == Got::Refusal,
            Some(_) => self.attack != Got::Nothing,
            None => false,
        }
    }
}

/// A process of ours with a marker in its environment that is worth nothing.
struct Victim {
    child: Child,
    marker: String,
    _copy: Option<Copy>,
}

impl Victim {
    fn start(program: &Path, copy: Option<Copy>) -> io::Result<Self> {
        let mut bytes = [0; 16];
        random::fill(&mut bytes)?;
        let marker = bytes.iter().fold("no-secret-".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        let mut child = Command::new(program)
            .arg(VICTIM)
            .env_clear()
            .env(VARIABLE, &marker)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        // The exec is over, and the signals are as they are to be, when it says so.
        let mut word = [0; 1];
        io::Read::read_exact(child.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?, &mut word)?;
        Ok(Self { child, marker, _copy: copy })
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It is ours: our own signals pass.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A copy of this program under another name, in a directory of its own.
struct Copy {
    directory: PathBuf,
    program: PathBuf,
}

impl Copy {
    fn make(name: &str) -> io::Result<Self> {
        let directory = Directory::make()?;
        let program = directory.0.join(name);
        fs::copy("/proc/self/exe", &program)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700))?;
        let directory = directory.keep();
        Ok(Self { directory, program })
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A new directory, removed with what is in it.
struct Directory(PathBuf);

impl Directory {
    fn make() -> io::Result<Self> {
        let mut bytes = [0; 8];
        random::fill(&mut bytes)?;
        let name = bytes.iter().fold("envward-proof-".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        Ok(Self(path))
    }

    fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// Makes the attack of every recipe that has one.
///
/// # Errors
/// When a victim cannot be started.
pub fn all(guard: &mut Guard, book: &Book) -> io::Result<Vec<Proven>> {
    book.iter().filter_map(|recipe| recipe.proof.map(|proof| one(guard, book, recipe, proof))).collect()
}

/// Makes the attack of one recipe.
///
/// # Errors
/// When a victim cannot be started.
pub fn one(guard: &mut Guard, book: &Book, recipe: &Recipe, proof: Proof) -> io::Result<Proven> {
    let own = PathBuf::from("/proc/self/exe");
    let copy = (proof == Proof::RunnerMemory).then(|| Copy::make("Runner.Worker")).transpose()?;
    let program = copy.as_ref().map_or(own, |copy| copy.program.clone());
    let wanted = if proof == Proof::Sweep { guard.settings().sweep_targets as usize + 1 } else { 1 };
    let mut victims = vec![Victim::start(&program, copy)?];
    while victims.len() < wanted {
        victims.push(Victim::start(&program, None)?);
    }
    if proof != Proof::Sweep {
        guard.protect(victims[0].child.id(), false).map_err(io::Error::other)?;
    }
    let mut attacker = Command::new("/proc/self/exe")
        .arg(ATTACKER)
        .arg(serde_json::to_string(&proof)?.trim_matches('"'))
        .arg(std::process::id().to_string())
        .args(victims.iter().map(|victim| victim.child.id().to_string()))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let attacker_pid = attacker.id();
    if let Some(mut input) = attacker.stdin.take() {
        input.write_all(victims[0].marker.as_bytes())?;
    }
    let got = match attacker.wait()?.code() {
        Some(0) => Got::Success,
        Some(1) => Got::Refusal,
        _ => Got::Nothing,
    };
    let record = await_event(guard, book, recipe, attacker_pid)?;
    Ok(Proven {
        recipe: recipe.id.clone(),
        attack: got,
        verdict: record.as_ref().map(|record| record.verdict.name()),
        route: record.as_ref().map(|record| record.route.name()),
        hook: record.as_ref().map(|record| record.hook.name()),
    })
}

/// The event by which the attacker's deed comes back under the recipe.
fn await_event(guard: &mut Guard, book: &Book, recipe: &Recipe, attacker: u32) -> io::Result<Option<Record>> {
    let until = Instant::now() + PATIENCE;
    let mut others = Vec::new();
    loop {
        while let Some(event) = guard.next_event() {
            let Ok(record) = event else { continue };
            if record.reader.pid == attacker && book.find(&record).is_some_and(|found| found.id == recipe.id) {
                guard.put_back(others);
                return Ok(Some(record));
            }
            // Of somebody else: for whoever listens afterwards.
            if record.reader.pid != attacker {
                others.push(record);
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            guard.put_back(others);
            return Ok(None);
        }
        poll::wait([Some(guard.descriptor())], Some(left))?;
    }
}

/// The life of a victim: says that it is there, and waits for the end of its input.
///
/// # Errors
/// None that matters.
pub fn be_victim() -> io::Result<()> {
    // The proof of signals sends one that would end it.
    let _ignored = signal::SignalQueue::new()?;
    signal::set_mask(signal::SignalSet::ALL)?;
    io::stdout().write_all(b".")?;
    io::stdout().flush()?;
    io::copy(&mut io::stdin(), &mut io::sink()).map(drop)
}

/// The attack. True when it got what it was after, false when it was refused.
///
/// # Errors
/// When it could not be made.
pub fn attack(proof: Proof, agent: i32, victims: &[i32]) -> io::Result<bool> {
    let needle = Needle::read_from(io::stdin().lock())?;
    let victim = *victims.first().ok_or(io::ErrorKind::InvalidInput)?;
    let walk = |route: Attack| route.run(victim, &needle).map(|outcome| !matches!(outcome, Outcome::Denied(_)));
    match proof {
        Proof::Environ => walk(Attack::Environ),
        Proof::Memory | Proof::RunnerMemory => walk(Attack::Memory),
        Proof::Trace => walk(Attack::TracePeek),
        Proof::Descriptor => walk(Attack::DescriptorCopy),
        Proof::Perf => walk(Attack::StackSamples),
        Proof::Sweep => {
            // A harvest that is stopped on the way is refused.
            let mut all = true;
            for pid in victims {
                all &= allowed(fs::read(format!("/proc/{pid}/environ")).map(drop))?;
            }
            Ok(all)
        }
        Proof::CorePattern => allowed(OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern").map(drop)),
        Proof::Preload => {
            let directory = Directory::make()?;
            let etc = directory.0.join("etc");
            fs::create_dir(&etc)?;
            let mut options = OpenOptions::new();
            allowed(options.write(true).create_new(true).mode(0o600).open(etc.join("ld.so.preload")).map(drop))
        }
        Proof::AgentSignal => allowed(signal::send(agent, SIGCONT)),
        Proof::Signal => allowed(signal::send(victim, SIGUSR1)),
    }
}

fn allowed(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(error),
    }
}

/// The tier that was found: what the proof of the first recipe showed, no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Reads are refused.
    Deny,
    /// Reads are seen.
    Detect,
    /// Neither.
    None,
}

impl Tier {
    /// Attacks once and says what is in force.
    ///
    /// # Errors
    /// When the attack cannot be made.
    pub fn find(guard: &mut Guard, book: &Book) -> io::Result<Self> {
        let recipe = book.iter().find(|recipe| recipe.proof == Some(Proof::Environ));
        let Some(recipe) = recipe else { return Ok(Self::None) };
        // What has come since the agent before this one ended leaves no room for what we look for.
        guard.make_room();
        let before = lost(guard)?;
        let proven = one(guard, book, recipe, Proof::Environ)?;
        Ok(match (proven.attack, proven.verdict.and_then(Verdict::from_name)) {
            (Got::Refusal, Some(Verdict::Denied)) => Self::Deny,
            // Somebody fills the ring faster than we read: refused all the same.
            (Got::Refusal, None) if lost(guard)? > before => Self::Deny,
            (_, Some(_)) => Self::Detect,
            (_, None) => Self::None,
        })
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Detect => "detect",
            Self::None => "none",
        }
    }
}

fn lost(guard: &Guard) -> io::Result<u64> {
    guard.count(Counter::Lost).map_err(io::Error::other)
}

const SIGUSR1: i32 = 10;
const SIGCONT: i32 = 18;
