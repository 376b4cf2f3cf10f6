//! The runner: for each attack one line that says what came of it.
//!
//!     envward-attack ROUTE[,ROUTE…] PID < needle
//!     envward-attack race [ADDRESS TEXT]
//!
//! The first prints `leaked`, `denied ERRNO` or `not found` for each route. The second races until its input
//! ends; to the line `PID ADDRESS` it answers `held` or `clear`. With `ADDRESS TEXT` it also
//! overwrites what it opens. Both fail with status 2 when the attack could not be made.

use std::env;
use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

use envward_attack::{Needle, Outcome, Racer, Route};

fn main() -> ExitCode {
    match attack(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "envward-attack: {error}");
            ExitCode::from(2)
        }
    }
}

fn attack(arguments: &[String]) -> io::Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["race"] => race(Racer::new()?),
        ["race", address, text] => {
            let mut racer = Racer::new()?;
            racer.overwrite(number(address)?, text.as_bytes());
            race(racer)
        }
        [routes, pid] => {
            let routes: Option<Vec<Route>> = routes.split(',').map(Route::from_name).collect();
            let routes = routes.ok_or_else(|| usage("no such route"))?;
            let pid = pid.parse().map_err(|_| usage("not a process id"))?;
            let needle = Needle::read_from(io::stdin().lock())?;
            for route in routes {
                answer(&match route.run(pid, &needle)? {
                    Outcome::Leaked => "leaked".to_owned(),
                    Outcome::Denied(errno) => format!("denied {errno}"),
                    Outcome::NotFound => "not found".to_owned(),
                })?;
            }
            Ok(())
        }
        _ => Err(usage("envward-attack ROUTE[,ROUTE…] PID < needle | envward-attack race [ADDRESS TEXT]")),
    }
}

fn usage(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text.to_owned())
}

fn number(text: &str) -> io::Result<u64> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).map_err(|_| usage("not an address"))
}

fn answer(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

fn race(mut racer: Racer) -> io::Result<()> {
    let questions = questions();
    answer("racing")?;
    let mut turns = 0_u32;
    loop {
        racer.turn();
        turns = turns.wrapping_add(1);
        if !turns.is_multiple_of(64) {
            continue;
        }
        racer.catch_up()?;
        match questions.try_recv() {
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return answer(&format!("opened {}", racer.opened())),
            Ok(question) => {
                let (pid, address) = question.split_once(' ').ok_or_else(|| usage("PID ADDRESS"))?;
                let pid = pid.parse().map_err(|_| usage("not a process id"))?;
                answer(if racer.holds(pid, number(address)?) { "held" } else { "clear" })?;
            }
        }
    }
}

fn questions() -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
