//! The environments and arguments of processes, read into protected memory.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;

use envward_detect::allow::Rule;
use envward_detect::{arguments, variable};
use envward_kernel::process as own;
use envward_secret::{ReadError, SecretBuf};

use super::finding::{Finding, Owner, Place, Processes, Scan, shown_name};
use crate::output::Progress;
use crate::status::facts::Fact;
use crate::status::process::{self, Process};

/// What came of reading one file of a process.
enum Reading {
    Whole,
    Part,
    Refused,
    Gone,
}

/// Looks at the processes with these numbers, or at all of the caller's.
pub(crate) fn scan(named: &[i32], rules: &[Rule], buffer: &mut SecretBuf) -> io::Result<Scan> {
    let ours = own::effective_uid();
    let pids: BTreeSet<i32> =
        if named.is_empty() { process::all()?.into_iter().collect() } else { named.iter().copied().collect() };
    let mut scan =
        Scan { schema: super::finding::SCHEMA, processes: None, files: None, findings: Vec::new(), allowed: 0 };
    let mut count = Processes::default();
    let mut progress = Progress::new("envward: scanning processes:");
    let total = pids.len();
    for (done, pid) in pids.into_iter().enumerate() {
        progress.tell(format_args!("{done} of {total}"));
        if pid == own::id() {
            continue;
        }
        // It may have ended by now.
        let Ok(process) = Process::open(pid) else { continue };
        if ours != 0 && process.status().uids().is_none_or(|uids| !uids.contains(&ours)) {
            count.of_others += 1;
            continue;
        }
        look(&process, rules, buffer, &mut scan, &mut count);
    }
    scan.processes = Some(count);
    Ok(scan)
}

fn look(process: &Process, rules: &[Rule], buffer: &mut SecretBuf, scan: &mut Scan, count: &mut Processes) {
    let owner = || Owner {
        pid: process.pid,
        process: process.name(),
        executable: match process.executable() {
            Fact::Value(path) => Some(path),
            Fact::Unknown(_) => None,
        },
        uid: process.uid(),
    };
    let environ = read(process, "environ", buffer);
    if !matches!(environ, Reading::Refused | Reading::Gone) {
        for string in buffer.as_slice().split(|byte| *byte == 0).filter(|string| !string.is_empty()) {
            if let Some(found) = variable::detect(string) {
                let end = string.iter().position(|byte| *byte == b'=').filter(|end| *end < found.range.start);
                let name = shown_name(string, end.map(|end| 0..end));
                scan.add(Finding::new(Place::Environ { process: owner() }, name, &found), rules);
            }
        }
    }
    let cmdline = read(process, "cmdline", buffer);
    if !matches!(cmdline, Reading::Refused | Reading::Gone) {
        let bytes = buffer.as_slice();
        let strings: Vec<&[u8]> = bytes.strip_suffix(b"\0").unwrap_or(bytes).split(|byte| *byte == 0).collect();
        for found in arguments::detect(&strings) {
            let name = found.name.and_then(|(index, range)| shown_name(strings[index], Some(range)));
            let place = Place::Cmdline { process: owner(), argument: found.index };
            scan.add(Finding::new(place, name, &found.detection), rules);
        }
    }
    buffer.truncate(0);
    match (environ, cmdline) {
        (Reading::Gone, _) => {}
        (Reading::Refused, _) => count.unreadable += 1,
        (Reading::Part, _) | (_, Reading::Part) => {
            count.scanned += 1;
            count.partial += 1;
        }
        _ => count.scanned += 1,
    }
}

/// Fills the buffer with a file of the process.
fn read(process: &Process, file: &str, buffer: &mut SecretBuf) -> Reading {
    buffer.truncate(0);
    let outcome = match process.open_file(file) {
        Ok(file) => buffer.read_from(file.as_fd()),
        Err(error) => Err(ReadError::Read(error)),
    };
    match outcome {
        Ok(_) => Reading::Whole,
        Err(ReadError::Read(error)) if error.kind() == io::ErrorKind::PermissionDenied => Reading::Refused,
        Err(ReadError::Read(_)) => Reading::Gone,
        // What fitted is looked at.
        Err(_) => Reading::Part,
    }
}
