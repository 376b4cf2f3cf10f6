//! What is really tried, in children.

use std::fmt;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use envward_kernel::process::forbid_core_files;
use envward_kernel::trial;
use envward_secret::Backing;

pub(crate) use envward_kernel::trial::Trial;

/// What came of everything.
#[derive(Clone, Debug)]
pub(crate) struct Trials {
    pub(crate) memfd_secret: Trial,
    pub(crate) locked_memory: Trial,
    pub(crate) no_core: Trial,
    pub(crate) trace_willing: Trial,
    pub(crate) trace_unwilling: Trial,
    pub(crate) listener: Trial,
    /// Sampling as an unprivileged user: what works is open.
    pub(crate) sampling: Trial,
    pub(crate) full: Launch,
    pub(crate) supervised: Launch,
    pub(crate) sealed: Launch,
    pub(crate) preload: Launch,
}

/// What came of starting a program that checks whether it has got a secret.
#[derive(Clone, Debug, Default)]
pub(crate) struct Launch {
    pub(crate) worked: bool,
    pub(crate) forked_away: bool,
    /// What was said when it did not work, without our name.
    pub(crate) complaint: String,
}

impl Trials {
    pub(crate) fn run() -> io::Result<Self> {
        Ok(Self {
            memfd_secret: trial::in_child(|| probe(Backing::MemfdSecret))?,
            locked_memory: trial::in_child(|| probe(Backing::Locked))?,
            no_core: trial::in_child(forbid_core_files)?,
            trace_willing: trial::in_child(trial::trace_willing_child)?,
            trace_unwilling: trial::in_child(trial::trace_unwilling_child)?,
            listener: trial::in_child(trial::install_listener)?,
            sampling: trial::in_child(|| trial::become_nobody().and_then(|()| trial::open_counter()))?,
            full: launch(&["--mode", "full"]),
            supervised: launch(&["--mode", "supervised"]),
            sealed: launch(&["--mode", "sealed"]),
            preload: launch(&["--tier", "preload"]),
        })
    }
}

fn probe(backing: Backing) -> io::Result<()> {
    backing
        .probe()
        .map_err(|error| error.errno().map_or_else(|| io::ErrorKind::Other.into(), io::Error::from_raw_os_error))
}

/// What the program compares its secret with. It is no secret.
const VALUE: &str = "probe";
const LONGEST: Duration = Duration::from_secs(10);

/// Starts ourselves, as a user would.
fn launch(options: &[&str]) -> Launch {
    match start(options) {
        Ok(launch) => launch,
        Err(error) => Launch { complaint: format!("cannot start envward: {error}"), ..Launch::default() },
    }
}

fn start(options: &[&str]) -> io::Result<Launch> {
    // Written before anybody reads, and it fits: who fails early cannot break this pipe.
    let (input, mut writer) = io::pipe()?;
    writer.write_all(VALUE.as_bytes())?;
    drop(writer);
    let mut child = Command::new("/proc/self/exe")
        .args(["run", "--no-config", "--verbose", "--no-core", "--secret", "ENVWARD_DOCTOR=stdin"])
        .args(options)
        .args(["--", "/bin/sh", "-c", &format!("test \"$ENVWARD_DOCTOR\" = {VALUE}")])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .current_dir("/")
        .stdin(input)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let ended = wait(&mut child)?;
    let mut said = String::new();
    if let Some(errors) = &mut child.stderr {
        errors.read_to_string(&mut said)?;
    }
    let lines: Vec<&str> =
        said.lines().map(|line| line.strip_prefix("envward: ").unwrap_or(line).trim_start()).collect();
    let complaint = match ended {
        Some(0) => String::new(),
        // The program says nothing, so what there is is ours; the hint is made anew.
        Some(1) => "the program did not get its secret".to_owned(),
        None => "it took too long, or was killed".to_owned(),
        Some(_) => lines.iter().take_while(|line| !line.starts_with("hint: ")).copied().collect::<Vec<_>>().join(" "),
    };
    Ok(Launch { worked: ended == Some(0), forked_away: lines.contains(&"fork-away: yes"), complaint })
}

/// Waits for the end; nothing when it takes too long. The few lines that are said fit into the
/// pipe, so nobody has to read meanwhile.
fn wait(child: &mut Child) -> io::Result<Option<i32>> {
    let deadline = Instant::now() + LONGEST;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Says what came of a try, for people.
pub(crate) struct Told(pub(crate) Trial);

impl fmt::Display for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Trial::Worked => formatter.write_str("works"),
            Trial::Failed(number) => {
                let text = io::Error::from_raw_os_error(number).to_string();
                write!(formatter, "fails: {}", text.split(" (os error").next().unwrap_or(&text))
            }
            Trial::Killed(signal) => write!(formatter, "whoever tries is killed by signal {signal}"),
        }
    }
}
