//! One test in a process of its own, with an end to it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use envward_guest::manifest::{PROGRAMS, TESTS, Test};
use envward_guest::record::FIGURE;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};

/// How often to look whether something has happened.
const PAUSE: Duration = Duration::from_millis(4);

/// How long what a test has left behind may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// Where the output of the running test goes.
const OUTPUT: &str = "/run/output";

/// The bytes of output that are kept, the last ones.
const KEPT: u64 = 64 * 1024;

/// What came of a test.
pub(crate) struct Outcome {
    pub(crate) milliseconds: u64,
    pub(crate) failure: Option<String>,
    /// What to show of its output.
    pub(crate) lines: Vec<String>,
}

/// Runs `test` to its end or the end of its time, and ends what it has left behind.
pub(crate) fn run(test: &Test) -> io::Result<Outcome> {
    File::create(OUTPUT)?;
    let output = OpenOptions::new().read(true).append(true).open(OUTPUT)?;
    let began = Instant::now();
    let child = Command::new(Path::new(TESTS).join(&test.binary))
        .args(["--exact", &test.name, "--include-ignored", "--nocapture", "--test-threads=1"])
        .env_clear()
        .env("PATH", format!("{PROGRAMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"))
        .env("HOME", "/root")
        .env("LANG", "C.UTF-8")
        .env("RUST_BACKTRACE", "0")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .process_group(0)
        .spawn();
    let failure = match child {
        Err(error) => Some(format!("cannot be started: {error}")),
        Ok(child) => await_end(child.id(), Duration::from_secs(test.seconds))?.or_else(|| nothing_ran(&output)),
    };
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    sweep()?;
    let mut lines = tail(output)?;
    if failure.is_none() {
        lines.retain(|line| line.starts_with(FIGURE));
    }
    Ok(Outcome { milliseconds, failure, lines })
}

/// Reaps everybody until `child` has ended; why it counts as failed, if it does.
fn await_end(child: u32, limit: Duration) -> io::Result<Option<String>> {
    let end = Instant::now() + limit;
    loop {
        match wait(WaitOptions::NOHANG)? {
            Some((pid, status)) if pid.as_raw_nonzero().get().unsigned_abs() == child => return Ok(judge(status)),
            Some(_) => {}
            None if Instant::now() > end => {
                // Its processes are ended by the sweep.
                return Ok(Some(format!("not done after {} s", limit.as_secs())));
            }
            None => thread::sleep(PAUSE),
        }
    }
}

fn judge(status: WaitStatus) -> Option<String> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("exit status {code}")),
        (_, Some(signal)) => Some(format!("killed by signal {signal}")),
        _ => Some("ended in an unknown way".to_owned()),
    }
}

/// A harness that finds no test of the name is content; we are not.
fn nothing_ran(output: &File) -> Option<String> {
    let text = output.try_clone().and_then(tail).unwrap_or_default();
    let ran = text.iter().any(|line| line.contains("test result: ok. 1 passed"));
    (!ran).then(|| "ended well, but no test was run".to_owned())
}

fn tail(mut file: File) -> io::Result<Vec<String>> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(KEPT)))?;
    let mut bytes = Vec::new();
    file.take(KEPT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).lines().map(printable).collect())
}

fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control() || *c == '\t').collect()
}

/// Ends every other process of the guest, after a while in which they may end themselves.
fn sweep() -> io::Result<()> {
    let end = Instant::now() + GRACE;
    loop {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        let others = processes()?;
        if others.is_empty() {
            return Ok(());
        }
        if Instant::now() > end + GRACE {
            return Err(io::Error::other(format!("processes that cannot be ended: {others:?}")));
        }
        if Instant::now() > end {
            for pid in others {
                // Gone meanwhile is as good.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        thread::sleep(PAUSE);
    }
}

/// Every process but ourselves and the kernel's threads, which have no memory map.
fn processes() -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let is_kernels = pid == 2 || status.lines().any(|line| line == "PPid:\t2");
        if pid > 1 && !status.is_empty() && !is_kernels {
            found.extend(Pid::from_raw(pid));
        }
    }
    Ok(found)
}
