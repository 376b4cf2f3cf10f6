//! Where events go: files and standard output, the system's logs, collectors. No output that
//! fails ends the agent, which goes on refusing; what could not be delivered is counted.

mod github;
mod journald;
mod lines;
mod metrics;
mod ocsf;
mod otlp;
mod syslog;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;

pub use self::github::{annotation, summary};
pub use self::metrics::Metrics;
use crate::recipe::Recipe;
use crate::report::Report;

/// An event with what outputs want to know about it.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The event.
    pub report: &'a Report,
    /// What it means.
    pub recipe: Option<&'a Recipe>,
    /// When it happened.
    pub at: SystemTime,
}

/// A place where events go.
trait Output {
    /// Takes an event; may keep it until [`Output::flush`]. When this or `flush` fails,
    /// [`Output::lost`] has the number.
    fn tell(&mut self, event: &Event<'_>) -> io::Result<()>;

    /// Delivers what was kept.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Events that could not be delivered since this was asked before.
    fn lost(&mut self) -> u64;

    /// Delivers what is left, within a few seconds.
    fn finish(&mut self) {}
}

/// A kind of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Our own schema, one JSON object on a line.
    Json,
    /// A line for people.
    Text,
    /// OCSF, one JSON object on a line.
    Ocsf,
    /// Workflow commands that GitHub shows as annotations.
    GitHub,
    /// RFC 5424 to a datagram socket.
    Syslog,
    /// The journal's own protocol.
    Journald,
    /// Numbers over HTTP on loopback.
    Prometheus,
    /// OpenTelemetry logs over HTTP.
    Otlp,
}

impl Kind {
    const ALL: &[(&'static str, Self)] = &[
        ("json", Self::Json),
        ("text", Self::Text),
        ("ocsf", Self::Ocsf),
        ("github", Self::GitHub),
        ("syslog", Self::Syslog),
        ("journald", Self::Journald),
        ("prometheus", Self::Prometheus),
        ("otlp", Self::Otlp),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// `KIND` or `KIND=TARGET`, as on the command line and in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// What is written.
    pub kind: Kind,
    /// A file, a socket, an address; the usual one if there is none.
    pub target: Option<String>,
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, target) = match text.split_once('=') {
            Some((name, target)) => (name, Some(target)),
            None => (text, None),
        };
        let known = || Kind::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let found = Kind::ALL.iter().find(|(known, _)| *known == name);
        let (_, kind) = found.ok_or_else(|| format!("there is no output `{name}`; there are {}", known()))?;
        if target == Some("") {
            return Err(format!("{name}= needs a target"));
        }
        let destination = Self { kind: *kind, target: target.map(str::to_owned) };
        match kind {
            Kind::Prometheus => metrics::address(destination.target.as_deref()).map(drop)?,
            Kind::Otlp => otlp::address(destination.target.as_deref()).map(drop)?,
            _ => {}
        }
        Ok(destination)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind.name())?;
        self.target.as_ref().map_or(Ok(()), |target| write!(formatter, "={target}"))
    }
}

/// Why an output cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("output {destination}: {source}")]
pub struct OutputError {
    /// Which.
    destination: Destination,
    /// Why.
    source: io::Error,
}

struct Place {
    name: String,
    output: Box<dyn Output>,
    /// Events that did not get there, and at how many of them there is a complaint: at 1, and at
    /// twice as many as at the one before.
    undelivered: u64,
    bearable: u64,
}

/// All outputs.
pub struct Outputs {
    places: Vec<Place>,
    metrics: Metrics,
    has_metrics: bool,
}

impl fmt::Debug for Outputs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.places.iter().map(|place| &place.name)).finish()
    }
}

impl Outputs {
    /// Opens all of them.
    ///
    /// # Errors
    /// The first that cannot be opened: a file, or an address that is in use. Sockets of logs may
    /// come and go.
    pub fn open(destinations: &[Destination]) -> Result<Self, OutputError> {
        let metrics = Metrics::default();
        let mut places = Vec::new();
        for destination in destinations {
            let output = open(destination, &metrics)
                .map_err(|source| OutputError { destination: destination.clone(), source })?;
            places.push(Place { name: destination.to_string(), output, undelivered: 0, bearable: 0 });
        }
        let has_metrics = destinations.iter().any(|destination| destination.kind == Kind::Prometheus);
        Ok(Self { places, metrics, has_metrics })
    }

    /// What is counted about events and outputs.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether somebody may ask for numbers.
    #[must_use]
    pub const fn has_metrics(&self) -> bool {
        self.has_metrics
    }

    /// Tells all of them. Returns complaints about those that have begun to fail.
    pub fn tell(&mut self, event: &Event<'_>) -> Vec<String> {
        self.each(|output| output.tell(event))
    }

    /// Delivers what was kept.
    pub fn flush(&mut self) -> Vec<String> {
        self.each(|output| output.flush())
    }

    /// Delivers what is left.
    pub fn finish(&mut self) -> Vec<String> {
        let mut complaints = self.flush();
        self.places.iter_mut().for_each(|place| place.output.finish());
        complaints.extend(self.each(|_| Ok(())));
        complaints
    }

    fn each(&mut self, act: impl Fn(&mut dyn Output) -> io::Result<()>) -> Vec<String> {
        let mut complaints = Vec::new();
        for place in &mut self.places {
            let done = act(place.output.as_mut());
            let lost = place.output.lost();
            if lost == 0 {
                continue;
            }
            place.undelivered += lost;
            self.metrics.undelivered(&place.name, lost);
            if place.undelivered > place.bearable {
                place.bearable = place.undelivered * 2;
                let why = done.err().map_or_else(String::new, |error| format!(": {error}"));
                complaints.push(format!("output {}: {} events not delivered{why}", place.name, place.undelivered));
            }
        }
        complaints
    }
}

fn open(destination: &Destination, metrics: &Metrics) -> io::Result<Box<dyn Output>> {
    let target = destination.target.as_deref();
    let path = target.map(PathBuf::from);
    Ok(match destination.kind {
        Kind::Json => Box::new(lines::Lines::open(path, lines::json)?),
        Kind::Text => Box::new(lines::Lines::text(path)?),
        Kind::Ocsf => Box::new(lines::Lines::open(path, ocsf::line)?),
        Kind::GitHub => Box::new(lines::Lines::open(path, github::line)?),
        Kind::Syslog => Box::new(syslog::Syslog::new(path)?),
        Kind::Journald => Box::new(journald::Journal::new(path)?),
        Kind::Prometheus => Box::new(metrics::Server::start(target, metrics)?),
        Kind::Otlp => Box::new(otlp::Exporter::start(target)?),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::tests::record;
    use crate::recipe::Book;
    use crate::report::Lookup;

    /// The most ordinary event, at the end of 2024.
    pub(crate) fn with_event(act: impl FnOnce(&Event<'_>)) {
        let book = Book::own().unwrap();
        let record = record();
        let recipe = book.find(&record);
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_689_599);
        let report = Report::new(&record, 0, recipe, &mut Lookup::default(), at, Duration::from_nanos(record.time));
        act(&Event { report: &report, recipe, at });
    }

    #[test]
    fn destinations_are_read_and_mistakes_named() {
        let read = |text: &str| text.parse::<Destination>();
        assert_eq!(read("json").unwrap(), Destination { kind: Kind::Json, target: None });
        assert_eq!(read("syslog=/run/x=y").unwrap().target.as_deref(), Some("/run/x=y"));
        for (name, _) in Kind::ALL {
            assert_eq!(read(name).unwrap().to_string(), *name);
        }
        for (text, expected) in [
            ("xml", "there is no output `xml`; there are json, text, ocsf, github, syslog, journald, prometheus, otlp"),
            ("json=", "json= needs a target"),
            ("prometheus=0.0.0.0:1", "prometheus: 0.0.0.0 is not a loopback address"),
            ("otlp=https://127.0.0.1", "does not begin with http://"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn files_are_appended_to_and_begun_anew_after_they_were_moved() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("events");
        let destination = format!("json={}", path.display()).parse().unwrap();
        let mut outputs = Outputs::open(&[destination]).unwrap();
        let mut tell = || {
            with_event(|event| assert_eq!(outputs.tell(event), [""; 0]));
            assert_eq!(outputs.flush(), [""; 0]);
        };
        let count = |path: &std::path::Path| std::fs::read_to_string(path).unwrap().lines().count();
        tell();
        tell();
        assert_eq!(count(&path), 2);
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let moved = room.path().join("moved");
        std::fs::rename(&path, &moved).unwrap();
        tell();
        assert_eq!((count(&moved), count(&path)), (2, 1));
    }

    #[test]
    fn complaints_come_now_and_then_and_nothing_is_uncounted() {
        let mut outputs = Outputs::open(&["syslog=/nonexistent/log".parse().unwrap()]).unwrap();
        let mut complaints = Vec::new();
        for _ in 0..100 {
            with_event(|event| complaints.extend(outputs.tell(event)));
        }
        // 1, 3, 7, 15, 31, 63.
        assert_eq!(complaints.len(), 6, "{complaints:?}");
        assert!(
            complaints[5].starts_with("output syslog=/nonexistent/log: 63 events not delivered: "),
            "{complaints:?}"
        );
        assert_eq!(outputs.places[0].undelivered, 100);
    }

    #[test]
    fn what_cannot_be_opened_is_named() {
        let error = Outputs::open(&["json=/nonexistent/events".parse().unwrap()]).unwrap_err().to_string();
        assert!(error.starts_with("output json=/nonexistent/events: No such file"), "{error}");
    }
}
