//! `envward-agent run` and `envward-agent prove`.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use envward_agent::config::{self, Config};
use envward_agent::guard::{Guard, GuardError};
use envward_agent::layout::{Counter, Settings, trust};
use envward_agent::output::{Destination, Outputs};
use envward_agent::pins;
use envward_agent::process;
use envward_agent::prove::{self, Tier};
use envward_agent::recipe::Book;
use envward_agent::socket::Registrar;
use envward_agent::teller::Teller;
use envward_kernel::signal::{SignalQueue, SignalSet};
use envward_kernel::{capability, poll, prctl, signal};

use crate::arguments;
use crate::failure::Failure;

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Loads, attacks itself once to see what is in force, and reports until it is stopped.
pub(crate) fn run(arguments: &arguments::Run) -> Result<u8, Failure> {
    let place = Path::new(pins::PLACE);
    refuse_other_namespaces()?;
    // Before anything is loaded: where another agent listens, this one is not to touch what that one has loaded.
    let registrar = Registrar::open(&arguments.socket).map_err(|error| unheard(&arguments.socket, &error))?;
    let Loaded { mut guard, mut config, mut book, tier } = load(&arguments.config, arguments.pin.then_some(place))?;
    say(format_args!("tier {}: found by an attack on a process of its own", tier.name()));
    for pid in &arguments.protect {
        guard.protect(*pid, false)?;
    }
    signal::set_mask(SignalSet::ALL)?;
    let signals = SignalQueue::new()?;
    // Before outputs start threads.
    keep_few_capabilities()?;
    let mut teller = teller(&arguments.config, &arguments.reporting, arguments.format.parse().ok(), tier)?;
    say("ready");
    tell_service_manager();
    teller.tell(&mut guard, &book).into_iter().for_each(say);
    loop {
        let descriptors = [Some(guard.descriptor()), Some(registrar.descriptor()), Some(as_fd(&signals))];
        poll::wait(descriptors, teller.patience())?;
        registrar.serve(&mut guard);
        teller.tell(&mut guard, &book).into_iter().for_each(say);
        while let Some(received) = signals.next()? {
            if received.signal == SIGHUP {
                match reload(&mut guard, &config, &arguments.config, arguments.pin) {
                    Ok(new) => {
                        (config, book) = new;
                        say("configuration read again");
                    }
                    Err(failure) => {
                        failure.print();
                        say("the configuration before stays in force");
                    }
                }
            }
            if matches!(received.signal, SIGINT | SIGTERM) {
                teller.finish(&mut guard, &book).into_iter().for_each(say);
                farewell(&guard)?;
                return Ok(0);
            }
        }
    }
}

fn unheard(socket: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(1, format_args!("cannot listen at {}: {error}", socket.display()));
    match error.kind() {
        io::ErrorKind::PermissionDenied => failure.hint("run the agent as root"),
        io::ErrorKind::AddrInUse => {
            failure.hint("another agent runs: stop that one, or have it read its configuration")
        }
        _ => failure,
    }
}

/// CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE and CAP_BPF: for looking at what events and the
/// configuration name, and for the programs' maps. Loading took more.
const KEPT: u64 = 1 << 2 | 1 << 19 | 1 << 39;

fn keep_few_capabilities() -> io::Result<()> {
    let kept = process::effective_capabilities().unwrap_or(0) & KEPT;
    capability::set_all(kept, kept)
}

/// Says that the programs are in force, by
/// [sd_notify(3)](https://www.freedesktop.org/software/systemd/man/sd_notify.html), if somebody
/// wants to know.
fn tell_service_manager() {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let name = name.as_bytes();
    let address = match name.strip_prefix(b"@") {
        Some(hidden) => SocketAddr::from_abstract_name(hidden),
        None => SocketAddr::from_pathname(OsStr::from_bytes(name)),
    };
    let told = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address));
    if let Err(error) = told {
        say(format_args!("the service manager cannot be told: {error}"));
    }
}

pub(crate) fn as_fd(signals: &SignalQueue) -> std::os::fd::BorrowedFd<'_> {
    std::os::fd::AsFd::as_fd(signals)
}

/// Makes every recipe's attack.
pub(crate) fn prove(arguments: &arguments::Prove) -> Result<u8, Failure> {
    let Loaded { mut guard, book, .. } = load(&arguments.config, None)?;
    let proven = prove::all(&mut guard, &book)?;
    let mut text = String::new();
    if arguments.json {
        text = serde_json::to_string_pretty(&proven).map_err(|error| Failure::new(1, error))? + "\n";
    } else {
        for one in &proven {
            text.push_str(&format!(
                "{:4} {:26} attack {:8} event {} {} {}\n",
                if one.holds() { "ok" } else { "FAIL" },
                one.recipe,
                format!("{:?}", one.attack).to_lowercase(),
                one.verdict.unwrap_or("none"),
                one.route.unwrap_or(""),
                one.hook.unwrap_or("")
            ));
        }
    }
    io::stdout().write_all(text.as_bytes())?;
    Ok(u8::from(!proven.iter().all(prove::Proven::holds)))
}

/// The programs in the kernel, and what they were told.
pub(crate) struct Loaded {
    pub(crate) guard: Guard,
    config: Config,
    pub(crate) book: Book,
    pub(crate) tier: Tier,
}

fn refuse_other_namespaces() -> Result<(), Failure> {
    if process::is_in_first_namespace()? {
        return Ok(());
    }
    let what = "processes have other numbers here than in the kernel: this is not the first PID namespace";
    Err(Failure::new(1, what).hint("run the agent on the host, or in a container that shares its PID namespace"))
}

/// The strongest tier that an attack on a process of our own confirms.
pub(crate) fn load(arguments: &arguments::Config, pins: Option<&Path>) -> Result<Loaded, Failure> {
    // Our own memory holds no secret, and still is nobody's affair.
    prctl::set_dumpable(false)?;
    refuse_other_namespaces()?;
    let (config, book, settings) = configuration(arguments)?;
    let prepare = |guard: Result<Guard, GuardError>| -> Result<(Guard, Tier), Failure> {
        let mut guard = guard?;
        order(&mut guard, &config, pins.is_some())?;
        let tier = Tier::find(&mut guard, &book)?;
        Ok((guard, tier))
    };
    let denied = match arguments.tier.as_deref() {
        Some("detect") => None,
        _ => Some(prepare(Guard::deny(settings.clone(), pins))),
    };
    let why = match denied {
        Some(Ok((guard, tier @ Tier::Deny))) => return Ok(Loaded { guard, config, book, tier }),
        Some(Ok(_)) => {
            // The attack got through: what does not work is not to be left behind.
            let _ = pins.map(pins::remove);
            Some(
                Failure::new(1, "the programs are loaded and the attack was not refused")
                    .hint("`bpf` has to be in /sys/kernel/security/lsm: boot with lsm=…,bpf"),
            )
        }
        // Wrong configuration, or no BPF at all: another tier would not mend it.
        Some(Err(failure)) if failure.is_final => return Err(failure),
        Some(Err(failure)) => Some(failure),
        None => None,
    };
    if let Some(failure) = why {
        if arguments.tier.as_deref() == Some("deny") {
            return Err(failure);
        }
        failure.print();
        say("nothing can be refused on this machine; trying to see at least");
    }
    match prepare(Guard::detect(settings))? {
        (_, Tier::None) => Err(Failure::new(1, "the attack was neither refused nor seen")),
        (guard, tier) => Ok(Loaded { guard, config, book, tier }),
    }
}

/// What the files say, and the command line on top.
fn configuration(arguments: &arguments::Config) -> Result<(Config, Book, Settings), Failure> {
    let config = read(arguments.config.as_deref())?;
    let mut book = Book::own()?;
    if let Some(directory) = &config.recipes {
        book.add_directory(directory)?;
    }
    let mut settings = config.settings(arguments.strict).map_err(|error| Failure::config("actions", &error))?;
    settings.kill = arguments.kill;
    Ok((config, book, settings))
}

/// Reads the file again; where something is wrong with it, all is as `before`.
fn reload(
    guard: &mut Guard,
    before: &Config,
    arguments: &arguments::Config,
    pinned: bool,
) -> Result<(Config, Book), Failure> {
    let (config, book, settings) = configuration(arguments)?;
    // Files and cgroups that do not exist are found on the way.
    if let Err(failure) = order(guard, &config, pinned) {
        order(guard, before, pinned)?;
        return Err(failure);
    }
    guard.set(settings)?;
    Ok((config, book))
}

/// Gives all orders, and takes back those that are no longer given.
fn order(guard: &mut Guard, config: &Config, pinned: bool) -> Result<(), Failure> {
    guard.begin_orders();
    trust_the_usual(guard)?;
    if pinned {
        // The next agent has to get past this one's programs; nobody else is to get into it.
        let own = std::env::current_exe()?;
        guard.trust_exe(&own, Some(0), trust::KERNEL | trust::SIGNAL)?;
        guard.protect_exe(&own)?;
    }
    config.apply(guard)?;
    guard.forget_others()?;
    Ok(())
}

/// Removes what `run --pin` has left.
pub(crate) fn unload() -> Result<u8, Failure> {
    match pins::remove(Path::new(pins::PLACE)) {
        Ok(()) => Ok(0),
        Err(error) => Err(Failure::new(1, format_args!("{}: {error}", pins::PLACE))),
    }
}

fn read(path: Option<&Path>) -> Result<Config, Failure> {
    let place = path.unwrap_or(Path::new(config::PLACE));
    match fs::read_to_string(place) {
        Ok(text) => Config::parse(&text).map_err(|error| Failure::config(&place.display().to_string(), &error)),
        Err(error) if path.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(Config::default()),
        Err(error) => Err(Failure::new(2, format_args!("{}: {error}", place.display()))),
    }
}

/// What every machine has: process listers, and the service manager.
fn trust_the_usual(guard: &mut Guard) -> Result<(), GuardError> {
    for path in config::SWEEPERS.iter().map(Path::new).filter(|path| path.exists()) {
        guard.trust_exe(path, None, trust::SWEEP)?;
    }
    for path in config::SERVICE_MANAGERS.iter().map(Path::new).filter(|path| path.exists()) {
        guard.trust_exe(path, Some(0), trust::SWEEP | trust::SIGNAL | trust::KERNEL)?;
    }
    Ok(())
}

/// What tells outputs about events: those of the command line, or of the configuration, or
/// the usual one.
pub(crate) fn teller(
    arguments: &arguments::Config,
    reporting: &arguments::Reporting,
    usual: Option<Destination>,
    tier: Tier,
) -> Result<Teller, Failure> {
    let config = read(arguments.config.as_deref())?;
    let mut destinations = reporting.output.clone();
    if destinations.is_empty() {
        destinations = config.destinations().map_err(|error| Failure::config("configuration", &error))?;
    }
    if destinations.is_empty() {
        destinations.extend(usual);
    }
    let mut limit = config.limit();
    if reporting.every_event {
        limit.events = 0;
    }
    let outputs = Outputs::open(&destinations).map_err(|error| Failure::new(1, error))?;
    outputs.metrics().tier(tier.name());
    Ok(Teller::new(outputs, limit))
}

/// The sums, for whoever compares them with what was written.
pub(crate) fn farewell(guard: &Guard) -> Result<(), Failure> {
    let mut text = String::from("stopped:");
    for counter in Counter::ALL {
        text.push_str(&format!(" {}={}", counter.name(), guard.count(*counter)?));
    }
    say(text);
    Ok(())
}

pub(crate) fn say(message: impl std::fmt::Display) {
    let _ = io::stderr().write_all(format!("envward-agent: {message}\n").as_bytes());
}
