//! The journal of systemd, by its [native protocol](https://systemd.io/JOURNAL_NATIVE_PROTOCOL/):
//! one datagram of fields for each event.

use std::io;
use std::path::PathBuf;

use super::syslog::{Datagrams, severity};
use super::{Event, Output};

const SOCKET: &str = "/run/systemd/journal/socket";

/// The output.
pub(super) struct Journal {
    datagrams: Datagrams,
    lost: u64,
}

impl Journal {
    pub(super) fn new(path: Option<PathBuf>) -> io::Result<Self> {
        Ok(Self { datagrams: Datagrams::new(path.unwrap_or_else(|| SOCKET.into()))?, lost: 0 })
    }
}

impl Output for Journal {
    fn tell(&mut self, event: &Event<'_>) -> io::Result<()> {
        let sent = entry(event).and_then(|entry| self.datagrams.send(&entry));
        sent.inspect_err(|_| self.lost += 1)
    }

    fn lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

fn entry(event: &Event<'_>) -> io::Result<Vec<u8>> {
    let report = event.report;
    let mut entry = Vec::new();
    let mut put = |name: &str, value: &str| field(&mut entry, name, value);
    put("MESSAGE", &format!("{} {}: {}", report.verdict, report.name(), report.sentence()));
    put("PRIORITY", &severity(report.importance()).to_string());
    put("SYSLOG_FACILITY", "10");
    put("SYSLOG_IDENTIFIER", "envward-agent");
    if let Some(recipe) = &report.recipe {
        put("ENVWARD_RECIPE", &recipe.id);
    }
    put("ENVWARD_ROUTE", report.route);
    put("ENVWARD_VERDICT", report.verdict);
    put("ENVWARD_READER_PID", &report.reader.pid.to_string());
    if let Some(target) = &report.target {
        // The journal adds what it knows of that process.
        put("OBJECT_PID", &target.pid.to_string());
    }
    put("ENVWARD_EVENT", &serde_json::to_string(report)?);
    Ok(entry)
}

/// `NAME=value`, or with the value's length before it when there is a line end in it.
fn field(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::output::tests::with_event;

    /// Fields by the protocol's description.
    fn parse(mut bytes: &[u8]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
            let line = std::str::from_utf8(&bytes[..end]).unwrap();
            bytes = &bytes[end + 1..];
            let (name, value) = match line.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => {
                    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
                    let value = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
                    assert_eq!(bytes[8 + length], b'\n');
                    bytes = &bytes[8 + length + 1..];
                    (line, value)
                }
            };
            assert!(name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') && name.len() <= 64, "{name}");
            assert!(!name.starts_with('_'), "{name} is the journal's own");
            fields.insert(name.to_owned(), value);
        }
        fields
    }

    #[test]
    fn an_entry_is_fields() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("socket");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let mut output = Journal::new(Some(path)).unwrap();
        with_event(|event| output.tell(event).unwrap());
        let mut bytes = vec![0; 65536];
        let length = receiver.recv(&mut bytes).unwrap();
        let fields = parse(&bytes[..length]);
        assert!(fields["MESSAGE"].starts_with("denied environ_read_from_procfs: cat (pid 20"), "{}", fields["MESSAGE"]);
        assert_eq!((fields["PRIORITY"].as_str(), fields["OBJECT_PID"].as_str()), ("3", "10"));
        assert_eq!(fields["ENVWARD_RECIPE"], "environ_read_from_procfs");
        let event: serde_json::Value = serde_json::from_str(&fields["ENVWARD_EVENT"]).unwrap();
        assert_eq!(event["reader"]["argv"][1], "/proc/10/environ");
    }

    #[test]
    fn line_ends_do_not_end_a_field() {
        let mut entry = Vec::new();
        field(&mut entry, "MESSAGE", "one\nPRIORITY=0\ntwo");
        field(&mut entry, "OTHER", "x=y");
        let fields = parse(&entry);
        assert_eq!(fields["MESSAGE"], "one\nPRIORITY=0\ntwo");
        assert_eq!((fields["OTHER"].as_str(), fields.len()), ("x=y", 2));
    }
}
