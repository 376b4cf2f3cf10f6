//! Syslog, [RFC 5424](https://www.rfc-editor.org/rfc/rfc5424), one datagram for each event to the
//! local socket: what rsyslog and syslog-ng read there. The journal wants its own protocol.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use super::{Event, Output};

const SOCKET: &str = "/dev/log";
/// Facility "security/authorization, private".
const FACILITY: u8 = 10;

/// A datagram socket that may go away and come back: a logging daemon that starts anew.
pub(super) struct Datagrams {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Datagrams {
    pub(super) fn new(path: PathBuf) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // Nobody who does not read may hold up the agent.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path })
    }

    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.socket.send_to(bytes, &self.path).map(drop)
    }
}

/// The output.
pub(super) struct Syslog {
    datagrams: Datagrams,
    host: String,
    lost: u64,
}

impl Syslog {
    pub(super) fn new(path: Option<PathBuf>) -> io::Result<Self> {
        let datagrams = Datagrams::new(path.unwrap_or_else(|| SOCKET.into()))?;
        Ok(Self { datagrams, host: host(), lost: 0 })
    }
}

impl Output for Syslog {
    fn tell(&mut self, event: &Event<'_>) -> io::Result<()> {
        let sent = message(event, &self.host).and_then(|message| self.datagrams.send(message.as_bytes()));
        sent.inspect_err(|_| self.lost += 1)
    }

    fn lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

/// This machine's name.
pub(super) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// Severity of RFC 5424, section 6.2.1.
pub(super) fn severity(importance: &str) -> u8 {
    match importance {
        "critical" => 2,
        "high" => 3,
        "medium" => 4,
        _ => 6,
    }
}

fn message(event: &Event<'_>, host: &str) -> io::Result<String> {
    let report = event.report;
    Ok(format!(
        "<{}>1 {} {} envward-agent {} {} [origin software=\"envward-agent\" swVersion=\"{}\"][meta sequenceId=\"{}\"] \
         @cee: {}",
        FACILITY * 8 + severity(report.importance()),
        report.time,
        word(host, 255),
        std::process::id(),
        word(report.name(), 32),
        env!("CARGO_PKG_VERSION"),
        // From 1 to the largest number of 31 bits, then from 1 again.
        report.sequence.saturating_sub(1) % 0x7fff_ffff + 1,
        serde_json::to_string(report)?
    ))
}

/// A field of the header: printable ASCII without blanks, not longer than that; `-` for nothing.
fn word(text: &str, longest: usize) -> String {
    let word: String = text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(longest).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::with_event;

    /// The fields of a message, by the grammar of section 6: nothing of the code above is in it.
    struct Parsed<'a> {
        priority: u32,
        header: Vec<&'a str>,
        elements: Vec<&'a str>,
        text: &'a str,
    }

    fn parse(message: &str) -> Parsed<'_> {
        let (priority, rest) = message.strip_prefix('<').unwrap().split_once('>').unwrap();
        let mut parts = rest.splitn(7, ' ');
        let header: Vec<&str> = parts.by_ref().take(6).collect();
        let mut rest = parts.next().unwrap();
        let mut elements = Vec::new();
        while let Some(inside) = rest.strip_prefix('[') {
            let end = inside.find(']').unwrap();
            elements.push(&inside[..end]);
            rest = &inside[end + 1..];
        }
        Parsed { priority: priority.parse().unwrap(), header, elements, text: rest.strip_prefix(' ').unwrap() }
    }

    #[test]
    fn a_message_keeps_to_the_grammar() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("log");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let mut output = Syslog::new(Some(path)).unwrap();
        with_event(|event| output.tell(event).unwrap());
        let mut bytes = vec![0; 65536];
        let length = receiver.recv(&mut bytes).unwrap();
        let text = std::str::from_utf8(&bytes[..length]).unwrap();
        let message = parse(text);
        assert_eq!(message.priority, 10 * 8 + 3, "authpriv, error");
        let [version, time, host, name, process, id] = message.header[..] else { panic!("{:?}", message.header) };
        assert_eq!((version, name, id), ("1", "envward-agent", "environ_read_from_procfs"));
        assert!(time.len() == 27 && time.ends_with('Z') && &time[10..11] == "T", "{time}");
        assert_eq!(host, super::host());
        assert_eq!(process, std::process::id().to_string());
        assert!(message.elements[0].starts_with("origin software=\"envward-agent\" swVersion=\""));
        assert_eq!(message.elements[1], "meta sequenceId=\"3\"");
        let json = message.text.strip_prefix("@cee: ").unwrap();
        let event: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(event["reader"]["pid"], 20);
        assert_eq!(output.lost(), 0);
    }

    #[test]
    fn fields_of_the_header_are_words() {
        assert_eq!(word("two words\n", 255), "two_words_");
        assert_eq!(word("", 255), "-");
        assert_eq!(word(&"x".repeat(300), 32).len(), 32);
    }

    #[test]
    fn nobody_and_a_full_socket_hold_nothing_up() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("log");
        let mut output = Syslog::new(Some(path.clone())).unwrap();
        with_event(|event| {
            output.tell(event).unwrap_err();
            assert_eq!(output.lost(), 1);
            let _receiver = UnixDatagram::bind(&path).unwrap();
            while output.tell(event).is_ok() {}
            assert_eq!(output.lost(), 1);
        });
    }
}
