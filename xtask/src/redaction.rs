//! `cargo xtask bench redact`: how fast `run --redact` passes on text in which there is nothing to
//! redact, side by side with a pipe that changes nothing.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Trouble, bench, say};

const ROUNDS: usize = 9;
const SECRETS: usize = 20;
const MEBIBYTES: usize = 512;
/// Megabytes in a second, at least.
const LIMIT: f64 = 500.0;

/// Measures and says it; too slow is trouble.
pub(crate) fn run() -> Result<(), Trouble> {
    let envward = bench::build()?;
    let scratch = Scratch::new()?;
    let text = scratch.text();
    let length = fs::metadata(&text).map_err(|error| Trouble::new("cannot look at the text", error))?.len();
    let plain = || Command::new("cat").arg(&text).stdout(Stdio::piped()).spawn();
    let redacted = |output: Stdio| {
        Command::new(&envward)
            .args(["run", "--quiet", "--no-config", "--redact", "--env-file"])
            .arg(scratch.env_file())
            .args(["--", "cat"])
            .arg(&text)
            .stdin(Stdio::null())
            .stdout(output)
            .status()
    };
    let failed = |error| Trouble::new("cannot run a command", error);
    let copy = scratch.0.join("copy");
    let target = File::create(&copy).map_err(failed)?;
    let status = redacted(target.into()).map_err(failed)?;
    if !status.success() || !are_equal(&text, &copy).map_err(failed)? {
        return Err(Trouble(format!("text without secrets came out changed, {status}")));
    }
    fs::remove_file(&copy).map_err(failed)?;
    let (mut baselines, mut times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut source = plain().map_err(failed)?;
        let input = source.stdout.take().map_or_else(Stdio::null, Stdio::from);
        let sink = Command::new("cat").stdin(input).stdout(Stdio::null()).status();
        sink.and_then(|_| source.wait()).map_err(failed)?;
        baselines.push(start.elapsed());
        let start = Instant::now();
        redacted(Stdio::null()).map_err(failed)?;
        times.push(start.elapsed());
    }
    let rate = |time: Duration| length as f64 / 1e6 / time.as_secs_f64();
    let (baseline, time) = (median(baselines), median(times));
    say(&format!(
        "{length} bytes of text: `cat FILE | cat` {baseline:?} ({:.0} MB/s), `envward run --redact -- cat FILE` with \
         {SECRETS} secrets {time:?} ({:.0} MB/s): {:.2} times",
        rate(baseline),
        rate(time),
        time.as_secs_f64() / baseline.as_secs_f64()
    ));
    say(&format!("redaction: {:.0} MB/s (at least {LIMIT})", rate(time)));
    if rate(time) < LIMIT { Err(Trouble("redaction is slower than its limit".to_owned())) } else { Ok(()) }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn are_equal(one: &Path, other: &Path) -> std::io::Result<bool> {
    Ok(Command::new("cmp").arg("--silent").arg(one).arg(other).status()?.success())
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Letters and digits.
    fn word(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(alphabet[self.next() as usize % alphabet.len()])).collect()
    }
}

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const ALPHANUMERICS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A directory with a text and an env file, gone with this.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Trouble> {
        let directory = std::env::temp_dir().join(format!("envward-redaction-{}", std::process::id()));
        fs::create_dir(&directory).map_err(|error| Trouble::new("cannot make a directory", error))?;
        let scratch = Self(directory);
        scratch.fill().map_err(|error| Trouble::new("cannot write the text", error))?;
        Ok(scratch)
    }

    fn fill(&self) -> std::io::Result<()> {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let secrets: String = (0..SECRETS)
            .map(|number| format!("BENCH_{number}={}\n", numbers.word(ALPHANUMERICS, 16 + 2 * number)))
            .collect();
        fs::write(self.env_file(), secrets)?;
        let words: Vec<String> = (0..5000).map(|number| numbers.word(LETTERS, 2 + number % 9)).collect();
        // Lines of a log: words, numbers, identifiers.
        let mut text = String::new();
        while text.len() < 1 << 20 {
            text.push_str(&format!("2026-01-01T00:00:00.{:06}Z INFO", numbers.next() % 1_000_000));
            for _ in 0..12 {
                text.push(' ');
                text.push_str(&words[numbers.next() as usize % words.len()]);
            }
            text.push_str(&format!(" id={:x} key={}\n", numbers.next(), numbers.word(ALPHANUMERICS, 20)));
        }
        let mut file = BufWriter::new(File::create(self.text())?);
        for _ in 0..MEBIBYTES {
            file.write_all(text.as_bytes())?;
        }
        file.flush()
    }

    fn text(&self) -> PathBuf {
        self.0.join("text")
    }

    fn env_file(&self) -> PathBuf {
        self.0.join("bench.env")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A directory left in the temporary one does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}
