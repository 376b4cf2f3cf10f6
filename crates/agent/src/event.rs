//! What the programs tell: one record for each thing that was denied or observed. Values of
//! variables are never in it; arguments of the reader are, as everybody may read those.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::layout::{self, Hook, Route, Verdict};

/// A record as it came out of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counts all events, told or lost.
    pub sequence: u64,
    /// Nanoseconds since the machine started.
    pub time: u64,
    /// Events lost so far.
    pub lost: u64,
    /// Which way was taken.
    pub route: Route,
    /// Where it was seen.
    pub hook: Hook,
    /// What came of it.
    pub verdict: Verdict,
    /// What the hook knows besides: the mode, the signal, the command.
    pub detail: u64,
    /// Who did it.
    pub reader: Party,
    /// To whom, if it was one process.
    pub target: Option<Party>,
    /// The reader's arguments, the first bytes of them, separated by NUL.
    pub arguments: Vec<u8>,
}

/// One side of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Party {
    /// Process, in the initial PID namespace.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Start of the process, in nanoseconds since the machine started.
    pub start_ns: u64,
    /// Real user.
    pub uid: u32,
    /// Real group.
    pub gid: u32,
    /// The thread's name; anybody may choose any.
    pub comm: String,
    /// The executable.
    pub exe: Executable,
    /// The cgroup's id: the inode of its directory.
    pub cgroup_id: u64,
}

/// An executable, by what the kernel knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Executable {
    /// The last part of its path.
    pub name: String,
    /// Major number of its device.
    pub device_major: u32,
    /// Minor number of its device.
    pub device_minor: u32,
    /// Its inode; 0 for kernel threads.
    pub inode: u64,
}

/// Why a record could not be read: loader and programs are of different versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event that this version does not know: {0}")]
pub struct Unknown(&'static str);

impl Record {
    /// Reads a record of the ring.
    ///
    /// # Errors
    /// When it is not one of this version.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unknown> {
        let bytes: &[u8; layout::event::SIZE] = bytes.try_into().map_err(|_| Unknown("its size"))?;
        if u32_at(bytes, 0) != layout::EVENT_VERSION {
            return Err(Unknown("its version"));
        }
        let target = Party::parse(&bytes[layout::event::TARGET..]);
        let length = u32_at(bytes, layout::event::ARGUMENTS_LENGTH) as usize;
        let arguments = bytes[layout::event::ARGUMENTS..].get(..length).ok_or(Unknown("its arguments"))?;
        Ok(Self {
            sequence: u64_at(bytes, layout::event::SEQUENCE),
            time: u64_at(bytes, layout::event::TIME),
            lost: u64_at(bytes, layout::event::LOST),
            route: Route::from_number(u16_at(bytes, layout::event::ROUTE).into()).ok_or(Unknown("its route"))?,
            hook: Hook::from_number(bytes[layout::event::HOOK].into()).ok_or(Unknown("its hook"))?,
            verdict: Verdict::from_number(bytes[layout::event::VERDICT].into()).ok_or(Unknown("its verdict"))?,
            detail: u64_at(bytes, layout::event::DETAIL),
            reader: Party::parse(&bytes[layout::event::READER..]),
            target: (target.pid != 0).then_some(target),
            arguments: arguments.to_vec(),
        })
    }

    /// When it happened, given the machine's two clocks now.
    #[must_use]
    pub fn when(&self, now: SystemTime, boot_time_now: Duration) -> SystemTime {
        now.checked_sub(boot_time_now.saturating_sub(Duration::from_nanos(self.time))).unwrap_or(now)
    }

    /// The reader's arguments, as text.
    #[must_use]
    pub fn argv(&self) -> Vec<String> {
        crate::process::split_arguments(&self.arguments)
    }
}

impl Party {
    fn parse(bytes: &[u8]) -> Self {
        let device = u32_at(bytes, layout::party::EXE_DEVICE);
        Self {
            start_ns: u64_at(bytes, 0),
            cgroup_id: u64_at(bytes, layout::party::CGROUP),
            pid: u32_at(bytes, layout::party::PID),
            tid: u32_at(bytes, layout::party::TID),
            uid: u32_at(bytes, layout::party::UID),
            gid: u32_at(bytes, layout::party::GID),
            comm: text(&bytes[layout::party::COMM..layout::party::EXE]),
            exe: Executable {
                name: text(&bytes[layout::party::EXE..layout::party::SIZE]),
                // As the kernel has it: twelve bits and twenty.
                device_major: device >> 20,
                device_minor: device & 0xf_ffff,
                inode: u64_at(bytes, layout::party::EXE_INODE),
            },
        }
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes.get(offset..offset + N).and_then(|part| part.try_into().ok()).unwrap_or([0; N])
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_ne_bytes(at(bytes, offset))
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_ne_bytes(at(bytes, offset))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_ne_bytes(at(bytes, offset))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One that fits the most ordinary recipe.
    pub(crate) fn record() -> Record {
        let party = |pid, name: &str| Party {
            pid,
            tid: pid,
            start_ns: 5,
            uid: 1000,
            gid: 1000,
            comm: name.to_owned(),
            exe: Executable { name: name.to_owned(), device_major: 8, device_minor: 1, inode: 77 },
            cgroup_id: 1,
        };
        Record {
            sequence: 3,
            time: 9,
            lost: 0,
            route: Route::Environ,
            hook: Hook::FileOpen,
            verdict: Verdict::Denied,
            detail: 0,
            reader: party(20, "cat"),
            target: Some(party(10, "sleep")),
            arguments: b"cat\0/proc/10/environ\0".to_vec(),
        }
    }

    /// The bytes of a record, as the programs write them.
    fn bytes() -> Vec<u8> {
        let mut bytes = vec![0; layout::event::SIZE];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &1_u32.to_ne_bytes());
        put(layout::event::ROUTE, &1_u16.to_ne_bytes());
        put(layout::event::HOOK, &[1, 1]);
        put(layout::event::SEQUENCE, &3_u64.to_ne_bytes());
        put(layout::event::TIME, &9_u64.to_ne_bytes());
        put(layout::event::ARGUMENTS_LENGTH, &21_u32.to_ne_bytes());
        put(layout::event::ARGUMENTS, b"cat\0/proc/10/environ\0");
        for (at, pid, name) in [(layout::event::READER, 20_u32, "cat"), (layout::event::TARGET, 10, "sleep")] {
            put(at, &5_u64.to_ne_bytes());
            put(at + layout::party::CGROUP, &1_u64.to_ne_bytes());
            put(at + layout::party::EXE_INODE, &77_u64.to_ne_bytes());
            put(at + layout::party::EXE_DEVICE, &(8_u32 << 20 | 1).to_ne_bytes());
            put(at + layout::party::PID, &pid.to_ne_bytes());
            put(at + layout::party::TID, &pid.to_ne_bytes());
            put(at + layout::party::UID, &1000_u32.to_ne_bytes());
            put(at + layout::party::GID, &1000_u32.to_ne_bytes());
            put(at + layout::party::COMM, name.as_bytes());
            put(at + layout::party::EXE, name.as_bytes());
        }
        bytes
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let read = Record::parse(&bytes()).unwrap();
        assert_eq!(read, record());
        assert_eq!(read.argv(), ["cat", "/proc/10/environ"]);
    }

    #[test]
    fn what_is_not_of_this_version_is_refused() {
        for (at, value) in [(0, 2), (layout::event::ROUTE, 99), (layout::event::HOOK, 0), (layout::event::VERDICT, 9)] {
            let mut bytes = bytes();
            bytes[at] = value;
            Record::parse(&bytes).unwrap_err();
        }
        let mut long = bytes();
        long[layout::event::ARGUMENTS_LENGTH] = 129;
        Record::parse(&long).unwrap_err();
        Record::parse(&bytes()[1..]).unwrap_err();
        let mut nobody = bytes();
        nobody[layout::event::TARGET + layout::party::PID] = 0;
        assert_eq!(Record::parse(&nobody).unwrap().target, None);
    }
}
