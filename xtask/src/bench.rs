//! `cargo xtask bench`: what `envward run` costs, side by side with the same work without it.
//!
//! Every round runs each command once, in turn, so that what else the machine does hits all of
//! them; the ratio of two commands is the median of the ratios within a round, which a machine
//! that is slower for some rounds does not change. The method and the figures of one run are in
//! `benches/README.md`.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Trouble, say};

const START_ROUNDS: usize = 300;
const SCRIPT_ROUNDS: usize = 25;
const SPIN_ROUNDS: usize = 9;
/// System calls that the spinning program makes.
const SPINS: usize = 2_000_000;
const LIMIT_START: f64 = 1.6;
const LIMIT_CARRYING: f64 = 1.5;
const LIMIT_CLEAN: f64 = 1.15;
const LIMIT_RSS: u64 = 4 * 1024;

const SCRIPT: &str = "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done";
const SECRETS: [&str; 3] = ["BENCH_FIRST", "BENCH_SECOND", "BENCH_THIRD"];

/// Measures everything and says it; a figure beyond its limit is trouble.
pub(crate) fn run() -> Result<(), Trouble> {
    let envward = build()?;
    let scratch = Scratch::new()?;
    let launch = |program: &[&str]| {
        let mut command =
            vec![envward.as_str(), "run", "--quiet", "--no-config", "--env-file", scratch.env_file(), "--"];
        command.extend_from_slice(program);
        command.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let plain = |program: &[&str]| program.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let mut missed = Vec::new();
    let mut judge = |what: &str, ratio: f64, limit: f64| {
        say(&format!("{what}: {ratio:.3} times (at most {limit})"));
        if ratio > limit {
            missed.push(what.to_owned());
        }
    };

    let env = plain(&["env", "A=1", "B=2", "C=3", "true"]);
    let [baseline, started] = measure(START_ROUNDS, [&env, &launch(&["true"])])?;
    say(&format!("env A=1 B=2 C=3 true: {baseline}; envward run -- true with three secrets: {started}"));
    judge("start", started.ratio, LIMIT_START);

    let without: Vec<String> = SECRETS.iter().flat_map(|name| ["-u".to_owned(), (*name).to_owned()]).collect();
    let mut clean = vec!["env"];
    clean.extend(without.iter().map(String::as_str));
    clean.extend(["sh", "-c", SCRIPT]);
    let script = plain(&["env", "A=1", "B=2", "C=3", "sh", "-c", SCRIPT]);
    let [baseline, carrying, clean] =
        measure(SCRIPT_ROUNDS, [&script, &launch(&["sh", "-c", SCRIPT]), &launch(&clean)])?;
    say(&format!("500 execs of true: plain {baseline}, with secrets {carrying}, without secrets {clean}"));
    judge("execs that carry secrets", carrying.ratio, LIMIT_CARRYING);
    judge("execs that carry none", clean.ratio, LIMIT_CLEAN);

    let myself = std::env::current_exe().map_err(|error| Trouble::new("cannot find xtask itself", error))?;
    let spin = [myself.to_str().unwrap_or("xtask"), "spin"];
    let [baseline, spinning] = measure(SPIN_ROUNDS, [&plain(&spin), &launch(&spin)])?;
    say(&format!("{SPINS} system calls: plain {baseline}, under envward {spinning}: {:.3} times", spinning.ratio));
    let idle = watch_idle(&launch(&["sh", "-c", "echo up; while :; do :; done"]))?;
    say(&format!(
        "supervisor of a program that does not exec, over a second: {} switches; RSS {} KiB",
        idle.switches, idle.rss
    ));
    if idle.switches > 0 {
        missed.push("steady state".to_owned());
    }
    if idle.rss > LIMIT_RSS {
        missed.push("supervisor's RSS".to_owned());
    }
    if missed.is_empty() { Ok(()) } else { Err(Trouble(format!("beyond its limit: {}", missed.join(", ")))) }
}

/// Makes many system calls; what `bench` compares under and without supervision.
pub(crate) fn spin() {
    for _ in 0..SPINS {
        thread::yield_now();
    }
}

pub(crate) fn build() -> Result<String, Trouble> {
    let status = Command::new("cargo").args(["build", "--quiet", "--release", "--package", "envward"]).status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(Trouble(format!("the release build failed: {status}"))),
        Err(error) => return Err(Trouble::new("cannot run cargo", error)),
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/envward");
    let path = fs::canonicalize(path).map_err(|error| Trouble::new("cannot find the release binary", error))?;
    Ok(path.display().to_string())
}

/// What a command took.
pub(crate) struct Measured {
    /// The median of its wall times.
    pub(crate) time: Duration,
    /// The median of how many times as long it took as the first command of the same round.
    pub(crate) ratio: f64,
}

impl fmt::Display for Measured {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.2} ms", self.time.as_secs_f64() * 1000.0)
    }
}

/// Runs each command once in every round.
pub(crate) fn measure<const N: usize>(rounds: usize, commands: [&Vec<String>; N]) -> Result<[Measured; N], Trouble> {
    let mut times = commands.map(|_| Vec::with_capacity(rounds));
    for _ in 0..rounds {
        for (command, times) in commands.iter().zip(&mut times) {
            let start = Instant::now();
            let status = Command::new(&command[0]).args(&command[1..]).stdin(Stdio::null()).status();
            let took = start.elapsed();
            match status {
                Ok(status) if status.success() => times.push(took),
                Ok(status) => return Err(Trouble(format!("{}: {status}", command[0]))),
                Err(error) => return Err(Trouble::new(&command[0], error)),
            }
        }
    }
    let baseline = times[0].clone();
    Ok(times.map(|mut times| {
        let mut ratios: Vec<f64> =
            times.iter().zip(&baseline).map(|(one, other)| one.as_secs_f64() / other.as_secs_f64()).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        times.sort_unstable();
        Measured { time: times[rounds / 2], ratio: ratios[rounds / 2] }
    }))
}

struct Idle {
    switches: u64,
    rss: u64,
}

/// What the kernel says of a supervisor over a second in which its program loops.
fn watch_idle(command: &[String]) -> Result<Idle, Trouble> {
    let failed = |error| Trouble::new("cannot watch a supervisor", error);
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line).map_err(failed)?;
    }
    thread::sleep(Duration::from_millis(50));
    let before = status(child.id(), &["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"])?;
    thread::sleep(Duration::from_millis(900));
    let after = status(child.id(), &["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"])?;
    let rss = status(child.id(), &["VmRSS"])?;
    // The program loops for ever; it ends with its supervisor.
    child.kill().and_then(|()| child.wait()).map_err(failed)?;
    Ok(Idle { switches: after - before, rss })
}

/// The sum of fields of `/proc/PID/status`.
fn status(pid: u32, fields: &[&str]) -> Result<u64, Trouble> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).map_err(|error| Trouble::new(&path, error))?;
    let value = |field: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|rest| rest.split_ascii_whitespace().next()).and_then(|number| number.parse::<u64>().ok())
    };
    fields.iter().map(|field| value(field).ok_or_else(|| Trouble(format!("{path} has no {field}")))).sum()
}

/// A directory with an env file, gone with this.
struct Scratch {
    directory: PathBuf,
    env_file: String,
}

impl Scratch {
    fn new() -> Result<Self, Trouble> {
        let directory = std::env::temp_dir().join(format!("envward-bench-{}", std::process::id()));
        let env_file = directory.join("bench.env");
        let text: String = SECRETS.iter().map(|name| format!("{name}=not-a-secret-at-all-{name}\n")).collect();
        fs::create_dir(&directory)
            .and_then(|()| fs::write(&env_file, text))
            .map_err(|error| Trouble::new("cannot write an env file", error))?;
        Ok(Self { env_file: env_file.display().to_string(), directory })
    }

    fn env_file(&self) -> &str {
        &self.env_file
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A directory left in the temporary one does no harm.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
