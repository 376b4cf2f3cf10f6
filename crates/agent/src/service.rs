//! `envward-agent run` and `envward-agent prove`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use envward_agent::config::{self, Config};
use envward_agent::guard::{Guard, GuardError};
use envward_agent::layout::{Counter, trust};
use envward_agent::output::{Destination, Outputs};
use envward_agent::process;
use envward_agent::prove::{self, Tier};
use envward_agent::recipe::Book;
use envward_agent::socket::Registrar;
use envward_agent::teller::Teller;
use envward_kernel::signal::{SignalQueue, SignalSet};
use envward_kernel::{poll, prctl, signal};

use crate::arguments;
use crate::failure::Failure;

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Loads, attacks itself once to see what is in force, and reports until it is stopped.
pub(crate) fn run(arguments: &arguments::Run) -> Result<u8, Failure> {
    let (mut guard, book, tier) = load(&arguments.config)?;
    let registrar = Registrar::open(&arguments.socket)
        .map_err(|error| Failure::new(1, format_args!("cannot listen at {}: {error}", arguments.socket.display())))?;
    say(format_args!("tier {}: found by an attack on a process of its own", tier.name()));
    for pid in &arguments.protect {
        guard.protect(*pid, false)?;
    }
    signal::set_mask(SignalSet::ALL)?;
    let signals = SignalQueue::new()?;
    let mut teller = teller(&arguments.config, &arguments.reporting, arguments.format.parse().ok(), tier)?;
    say("ready");
    loop {
        let descriptors = [Some(guard.descriptor()), Some(registrar.descriptor()), Some(as_fd(&signals))];
        poll::wait(descriptors, teller.patience())?;
        registrar.serve(&mut guard);
        teller.tell(&mut guard, &book).into_iter().for_each(say);
        while let Some(received) = signals.next()? {
            if matches!(received.signal, SIGINT | SIGTERM) {
                teller.finish(&mut guard, &book).into_iter().for_each(say);
                farewell(&guard)?;
                return Ok(0);
            }
        }
    }
}

pub(crate) fn as_fd(signals: &SignalQueue) -> std::os::fd::BorrowedFd<'_> {
    std::os::fd::AsFd::as_fd(signals)
}

/// Makes every recipe's attack.
pub(crate) fn prove(arguments: &arguments::Prove) -> Result<u8, Failure> {
    let (mut guard, book, _) = load(&arguments.config)?;
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

/// The strongest tier that an attack on a process of our own confirms.
pub(crate) fn load(arguments: &arguments::Config) -> Result<(Guard, Book, Tier), Failure> {
    // Our own memory holds no secret, and still is nobody's affair.
    prctl::set_dumpable(false)?;
    if !process::is_in_first_namespace()? {
        return Err(Failure::new(
            1,
            "processes have other numbers here than in the kernel: this is not the first PID namespace",
        )
        .hint("run the agent on the host, or in a container that shares its PID namespace"));
    }
    let config = read(arguments.config.as_deref())?;
    let mut book = Book::own()?;
    if let Some(directory) = &config.recipes {
        book.add_directory(directory)?;
    }
    let mut settings = config.settings(arguments.strict).map_err(|error| Failure::config("actions", &error))?;
    settings.kill = arguments.kill;
    let prepare = |guard: Result<Guard, GuardError>| -> Result<(Guard, Tier), Failure> {
        let mut guard = guard?;
        trust_the_usual(&mut guard)?;
        config.apply(&mut guard)?;
        let tier = Tier::find(&mut guard, &book)?;
        Ok((guard, tier))
    };
    let denied = match arguments.tier.as_deref() {
        Some("detect") => None,
        _ => Some(prepare(Guard::deny(settings.clone()))),
    };
    let why = match denied {
        Some(Ok((guard, tier @ Tier::Deny))) => return Ok((guard, book, tier)),
        Some(Ok(_)) => Some(
            Failure::new(1, "the programs are loaded and the attack was not refused")
                .hint("`bpf` has to be in /sys/kernel/security/lsm: boot with lsm=…,bpf"),
        ),
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
        (guard, tier) => Ok((guard, book, tier)),
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
