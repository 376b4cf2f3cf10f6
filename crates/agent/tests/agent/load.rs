//! Under load every denial holds, and what was lost is counted.

use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use envward_guest::Guest;

use crate::stage::{Agent, Victim, signal, sum};

const READERS: usize = 4;
/// At least as long, and at least as many attempts.
const LISTENING: (Duration, u64) = (Duration::from_secs(30), 600_000);
const NOT_LISTENING: (Duration, u64) = (Duration::from_secs(5), 100_000);

/// Four readers for a while: opens of the file, and reads of a descriptor that was opened before.
/// Attempts and successes.
fn hammer(victim: u32, kept: &[File], (length, number): (Duration, u64)) -> (u64, u64) {
    let (tries, hits) = (AtomicU64::new(0), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for reader in 0..READERS {
            let (stop, tries, hits) = (&stop, &tries, &hits);
            let mut kept = kept[reader].try_clone().unwrap();
            scope.spawn(move || {
                let path = format!("/proc/{victim}/environ");
                let mut byte = [0; 1];
                while !stop.load(Ordering::Relaxed) {
                    tries.fetch_add(2, Ordering::Relaxed);
                    hits.fetch_add(u64::from(File::open(&path).is_ok()), Ordering::Relaxed);
                    hits.fetch_add(u64::from(kept.read(&mut byte).is_ok()), Ordering::Relaxed);
                }
            });
        }
        let start = Instant::now();
        while start.elapsed() < length || tries.load(Ordering::Relaxed) < number {
            thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
    });
    (tries.into_inner(), hits.into_inner())
}

fn open_all(victim: &Victim) -> Vec<File> {
    (0..READERS).map(|_| File::open(format!("/proc/{}/environ", victim.pid())).unwrap()).collect()
}

#[test]
fn every_denial_holds_and_every_event_is_counted() {
    let guest = Guest::here();
    let victim = Victim::start();
    let kept = open_all(&victim);
    let agent = Agent::with(&guest, "", &["--protect", &victim.pid().to_string()]);
    let start = Instant::now();
    let (tries, hits) = hammer(victim.pid(), &kept, LISTENING);
    let seconds = start.elapsed().as_secs().max(1);
    let (numbers, sums) = agent.stop_and_count();
    assert_eq!(hits, 0, "a denial did not hold");
    account(&guest, &format!("listening, {seconds} s, {} attempts a second", tries / seconds), tries, &numbers, &sums);
}

#[test]
fn a_full_ring_denies_all_the_same() {
    let guest = Guest::here();
    let victim = Victim::start();
    let kept = open_all(&victim);
    let agent = Agent::with(&guest, "", &["--protect", &victim.pid().to_string()]);
    // An agent that does not listen: the ring fills up.
    signal(agent.pid(), "STOP");
    let (tries, hits) = hammer(victim.pid(), &kept, NOT_LISTENING);
    signal(agent.pid(), "CONT");
    let (numbers, sums) = agent.stop_and_count();
    assert_eq!(hits, 0, "a denial did not hold");
    assert!(sum(&sums, "lost") > 0, "the ring never was full: {tries} attempts, {sums}");
    account(&guest, "not listening", tries, &numbers, &sums);
}

/// Told and lost make up all that happened; the numbers of the events say the same.
fn account(guest: &Guest, what: &str, tries: u64, numbers: &[u64], sums: &str) {
    let (all, lost, denied) = (sum(sums, "events"), sum(sums, "lost"), sum(sums, "denied"));
    guest.figure(&format!("{what}: {tries} attempts, {} events told, {lost} lost", numbers.len()));
    // The agent's attack on itself is one more of each, and not written down.
    assert_eq!(denied, tries + 1, "{sums}");
    assert_eq!(all, denied, "{sums}");
    assert_eq!(numbers.len() as u64 + lost + 1, all, "{sums}");
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    let length = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), length, "a number twice");
}
