//! `envward-agent watch`: a command under watch, for pipelines.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use envward_agent::guard::Guard;
use envward_agent::layout::Route;
use envward_agent::output::{Destination, Event, annotation, summary};
use envward_agent::process;
use envward_agent::recipe::Book;
use envward_agent::report::Report;
use envward_agent::teller::Kept;
use envward_kernel::poll;
use envward_kernel::process::{Change, Ending, try_wait_for_job};
use envward_kernel::signal::{self, Received, SignalQueue, SignalSet};

use crate::arguments;
use crate::failure::Failure;
use crate::service::{Loaded, as_fd, load, say, teller};

/// What is done to the command or by it is one of the recipes', with `--ci`.
const FIRED: u8 = 120;
/// The command could not be watched, executed, found.
const OWN: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;
/// The hidden subcommand by which this program starts the command.
pub(crate) const WATCHED: &str = "watched";
/// As many annotations of one kind GitHub shows for a step.
const ANNOTATIONS: usize = 10;

const SIGKILL: i32 = 9;
const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;
/// Those that are passed on: SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM.
const FORWARDED: &[i32] = &[1, 2, 3, 10, 12, 15];

/// Runs the command, and says what happened.
pub(crate) fn run(arguments: &arguments::Watch) -> Result<u8, Failure> {
    watch(arguments).map_err(|failure| failure.with_code(OWN))
}

fn watch(arguments: &arguments::Watch) -> Result<u8, Failure> {
    let Loaded { mut guard, book, tier, .. } = load(&arguments.config, None)?;
    if let Some(unknown) = arguments.ignore.iter().find(|id| book.get(id).is_none()) {
        return Err(Failure::new(OWN, format_args!("--ignore: there is no recipe `{unknown}`")));
    }
    let mask = signal::set_mask(SignalSet::ALL)?;
    let signals = SignalQueue::new()?;
    // Standard output is the command's.
    let nowhere: Option<Destination> = None;
    let mut teller = teller(&arguments.config, &arguments.reporting, nowhere, tier)?.keeping();
    for pid in runners(&book) {
        guard.protect(pid, false)?;
        say(format_args!("the runner, process {pid}, is protected too"));
    }
    // What the attack that found the tier has left.
    while guard.next_event().is_some() {}
    let mut watched = Watched::start(&arguments.command, mask, &mut guard)?;
    say(format_args!("tier {}; watching process {}", tier.name(), watched.child.id()));
    let mut shown = 0;
    let ending = loop {
        poll::wait([Some(guard.descriptor()), Some(as_fd(&signals))], teller.patience())?;
        teller.tell(&mut guard, &book).into_iter().for_each(say);
        shown += show(&teller.kept()[shown..], &watched);
        while let Some(received) = signals.next()? {
            watched.forward(&received);
        }
        if let Some(ending) = watched.ending()? {
            break ending;
        }
    };
    teller.finish(&mut guard, &book).into_iter().for_each(say);
    show(&teller.kept()[shown..], &watched);
    let end = match ending {
        Ending::Exited(status) => format!("ended with status {status}"),
        Ending::Killed(signal) => format!("was killed by signal {signal}"),
    };
    let status = match ending {
        Ending::Exited(status) => status,
        Ending::Killed(signal) => 128 + u8::try_from(signal).unwrap_or(0),
    };
    if !arguments.ci {
        return Ok(status);
    }
    let is_ours = |kept: &&Kept| {
        let name = kept.report.recipe.as_ref().map(|recipe| &recipe.id);
        watched.concerns(&kept.report) && name.is_some_and(|id| !arguments.ignore.contains(id))
    };
    let mut fired: Vec<&Kept> = teller.kept().iter().filter(is_ours).collect();
    let others = (teller.kept().len() - fired.len()) as u64;
    let rank = |kept: &&Kept| {
        kept.report.recipe.as_ref().and_then(|recipe| book.get(&recipe.id)).map(|recipe| recipe.importance)
    };
    fired.sort_by_key(|kept| std::cmp::Reverse(rank(kept)));
    let events: Vec<Event<'_>> = fired.iter().map(|kept| event(kept, &book)).collect();
    annotate(&events)?;
    let command = arguments.command.join(std::ffi::OsStr::new(" "));
    summarise(&summary(&command.to_string_lossy(), &end, &events, others));
    if events.is_empty() {
        return Ok(status);
    }
    say(format_args!("the command {end}; {} events, see above: exit status {FIRED}", events.len()));
    Ok(FIRED)
}

fn event<'a>(kept: &'a Kept, book: &'a Book) -> Event<'a> {
    let recipe = kept.report.recipe.as_ref().and_then(|recipe| book.get(&recipe.id));
    Event { report: &kept.report, recipe, at: kept.at }
}

/// Events on standard error; the number of them.
fn show(kept: &[Kept], watched: &Watched) -> usize {
    let colours = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    for one in kept.iter().filter(|one| watched.concerns(&one.report)) {
        let _ = writeln!(io::stderr(), "{}", one.report.line(colours));
    }
    kept.len()
}

/// One annotation for each kind of event and reader, the worst first.
fn annotate(events: &[Event<'_>]) -> io::Result<()> {
    let mut seen = BTreeSet::new();
    // The command's last line may have no end.
    let mut text = String::from("\n");
    for event in events {
        let report = event.report;
        if seen.len() < ANNOTATIONS && seen.insert((report.name(), report.verdict, &report.reader.exe.name)) {
            text.push_str(&annotation(event));
            text.push('\n');
        }
    }
    if seen.is_empty() {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Adds to the job's summary, where there is one.
fn summarise(text: &str) {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else { return };
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all(format!("{text}\n").as_bytes()));
    if let Err(error) = written {
        say(format_args!("the summary cannot be written to {}: {error}", Path::new(&path).display()));
    }
}

/// Processes above this one that run pipelines: those that the recipe about them names.
fn runners(book: &Book) -> Vec<u32> {
    let names = book.get("ci_runner_memory_read").map(|recipe| recipe.when.target.exe.as_slice()).unwrap_or_default();
    let is_runner = |pid: &u32| {
        fs::read_link(format!("/proc/{pid}/exe"))
            .is_ok_and(|exe| exe.file_name().is_some_and(|name| names.iter().any(|known| name == known.as_str())))
    };
    process::parents(std::process::id()).filter(is_runner).collect()
}

/// The command and everything that it starts.
struct Watched {
    child: Child,
    cgroup: Option<Cgroup>,
    is_over: bool,
}

impl Watched {
    /// Starts the command; it is watched before its first instruction.
    fn start(command: &[OsString], mask: SignalSet, guard: &mut Guard) -> Result<Self, Failure> {
        let child =
            Command::new("/proc/self/exe").arg(WATCHED).arg(mask.bits().to_string()).arg("--").args(command).spawn()?;
        let mut watched = Self { child, cgroup: None, is_over: false };
        loop {
            match try_wait_for_job(watched.pid())? {
                Some(Change::Stopped { .. }) => break,
                Some(Change::Ended(_)) => return Err(Failure::new(OWN, "the command's process ended early")),
                _ => std::thread::sleep(std::time::Duration::from_millis(1)),
            }
        }
        guard.protect(watched.child.id(), false)?;
        watched.cgroup = Cgroup::create(watched.child.id()).ok();
        signal::send(watched.pid(), SIGCONT)?;
        Ok(watched)
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(i32::MAX)
    }

    /// Passes on what was sent to this process; what a terminal sends reaches the command anyway.
    fn forward(&self, received: &Received) {
        if FORWARDED.contains(&received.signal) && received.code <= 0 {
            let _ = signal::send(self.pid(), received.signal);
        }
    }

    fn ending(&mut self) -> io::Result<Option<Ending>> {
        while let Some(change) = try_wait_for_job(self.pid())? {
            if let Change::Ended(ending) = change {
                self.is_over = true;
                return Ok(Some(ending));
            }
        }
        Ok(None)
    }

    /// Whether it happened to what is watched, or was done by it. Sweeps and what is about the
    /// whole machine may be others' doing; where that cannot be told, they count.
    fn concerns(&self, report: &Report) -> bool {
        let is_done_to_us = report.target.is_some() && report.route != Route::Sweep.name();
        is_done_to_us || self.cgroup.as_ref().is_none_or(|cgroup| cgroup.holds(report))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = signal::send(self.pid(), SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// A cgroup of the command's own, to know its processes by after they have ended.
struct Cgroup {
    directory: PathBuf,
    path: String,
    id: u64,
}

impl Cgroup {
    fn create(pid: u32) -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::")).ok_or(io::ErrorKind::NotFound)?;
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4));
        let path = format!("{}/envward-watch-{}", own.trim_end_matches('/'), std::process::id());
        let directory = PathBuf::from(format!("{}{path}", mount.ok_or(io::ErrorKind::NotFound)?));
        fs::create_dir(&directory)?;
        let id = fs::metadata(&directory)?.ino();
        let cgroup = Self { directory, path, id };
        fs::write(cgroup.directory.join("cgroup.procs"), pid.to_string())?;
        Ok(cgroup)
    }

    fn holds(&self, report: &Report) -> bool {
        let below = |path: &String| path.strip_prefix(&self.path).is_some_and(|rest| rest.starts_with('/'));
        report.reader.cgroup_id == self.id || report.reader.cgroup.as_ref().is_some_and(below)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Not while what the command left behind is in it; what is ending may need a moment.
        for _ in 0..20 {
            if fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// Waits until it is watched, and becomes the command, with the signals blocked that were before.
pub(crate) fn become_command(mask: u64, command: &[OsString]) -> Result<u8, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::new(OWN, "there is no command"));
    };
    signal::send(envward_kernel::process::id(), SIGSTOP)?;
    signal::set_mask(SignalSet::from_bits(mask))?;
    let error = Command::new(program).args(arguments).exec();
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
    Err(Failure::new(code, format_args!("{}: {error}", Path::new(program).display())))
}
