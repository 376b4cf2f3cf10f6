//! Numbers for Prometheus, in the [OpenMetrics](https://github.com/prometheus/OpenMetrics) text
//! format, over HTTP on loopback. Any user of the machine may ask: nothing but numbers and names
//! of recipes is in them, and one caller is served at a time, for a moment.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Event, Output};
use crate::layout;

const ADDRESS: &str = "127.0.0.1:9477";
/// A request is short, and comes at once.
const PATIENCE: Duration = Duration::from_millis(500);
const LONGEST: usize = 8192;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    recipe: String,
    route: &'static str,
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Recipe {
    recipe: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Place {
    output: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct What {
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tier {
    tier: String,
    version: &'static str,
}

/// What is counted. Copies count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    events: Family<Kind, Counter>,
    held: Family<Recipe, Counter>,
    undelivered: Family<Place, Counter>,
    kernel: Family<What, Gauge<u64, AtomicU64>>,
    tier: Family<Tier, Gauge<u64, AtomicU64>>,
}

impl Metrics {
    /// An event came out of the ring.
    pub fn happened(&self, recipe: Option<&str>, route: &'static str, verdict: &'static str) {
        let recipe = recipe.unwrap_or_default().to_owned();
        self.events.get_or_create(&Kind { recipe, route, verdict }).inc();
    }

    /// An event was held back.
    pub fn held(&self, recipe: Option<&str>) {
        self.held.get_or_create(&Recipe { recipe: recipe.unwrap_or_default().to_owned() }).inc();
    }

    /// Events did not reach an output.
    pub(super) fn undelivered(&self, output: &str, events: u64) {
        self.undelivered.get_or_create(&Place { output: output.to_owned() }).inc_by(events);
    }

    /// What the programs in the kernel have counted.
    pub fn kernel(&self, counter: layout::Counter, value: u64) {
        self.kernel.get_or_create(&What { what: counter.name() }).set(value);
    }

    /// The tier that is in force.
    pub fn tier(&self, name: &str) {
        let version = env!("CARGO_PKG_VERSION");
        self.tier.get_or_create(&Tier { tier: name.to_owned(), version }).set(1);
    }

    fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("envward_agent");
        registry.register("events", "Events that came out of the ring", self.events.clone());
        registry.register("held_back", "Events that flood control counted and did not tell", self.held.clone());
        registry.register("undelivered", "Events that did not reach an output", self.undelivered.clone());
        registry.register("kernel", "What the programs in the kernel have counted", self.kernel.clone());
        registry.register("tier", "The tier that an attack has confirmed", self.tier.clone());
        registry
    }
}

/// Where to listen: on loopback only, as anybody who can reach it may ask.
pub(super) fn address(target: Option<&str>) -> Result<SocketAddr, String> {
    let text = target.unwrap_or(ADDRESS);
    let address: SocketAddr = text.parse().map_err(|_| format!("prometheus: `{text}` is not ADDRESS:PORT"))?;
    if !address.ip().is_loopback() {
        return Err(format!("prometheus: {} is not a loopback address", address.ip()));
    }
    Ok(address)
}

/// The server; it ends with the agent.
pub(super) struct Server;

impl Server {
    pub(super) fn start(target: Option<&str>, metrics: &Metrics) -> io::Result<Self> {
        let address = address(target).map_err(io::Error::other)?;
        let listener = TcpListener::bind(address)?;
        let registry = Arc::new(metrics.registry());
        thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                match stream.and_then(|stream| serve(stream, &registry)) {
                    Ok(()) => {}
                    // Out of descriptors, say: it will not be better at once.
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
        })?;
        Ok(Self)
    }
}

impl Output for Server {
    fn tell(&mut self, _: &Event<'_>) -> io::Result<()> {
        Ok(())
    }

    fn lost(&mut self) -> u64 {
        0
    }
}

fn serve(mut stream: TcpStream, registry: &Registry) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let answer = match request(&mut stream)?.as_deref() {
        Some("/metrics") => {
            let mut body = String::new();
            encode(&mut body, registry).map_err(io::Error::other)?;
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
        }
        Some(_) => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        None => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
    };
    stream.write_all(answer.as_bytes())
}

/// The path of a GET; none when it is anything else.
fn request(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let until = Instant::now() + PATIENCE;
    let mut bytes = Vec::new();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || bytes.len() > LONGEST {
            return Ok(None);
        }
        stream.set_read_timeout(Some(left))?;
        let mut part = [0; 1024];
        let length = stream.read(&mut part)?;
        bytes.extend_from_slice(&part[..length]);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(&bytes) {
            Ok(httparse::Status::Complete(_)) => {
                let path = parsed.path.filter(|_| parsed.method == Some("GET"));
                return Ok(path.map(|path| path.split('?').next().unwrap_or(path).to_owned()));
            }
            Ok(httparse::Status::Partial) if length > 0 => {}
            _ => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn free() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[test]
    fn numbers_come_over_http() {
        let metrics = Metrics::default();
        let address = free();
        Server::start(Some(&address.to_string()), &metrics).unwrap();
        metrics.happened(Some("environ_sweep"), "sweep", "observed");
        metrics.happened(Some("environ_sweep"), "sweep", "observed");
        metrics.undelivered("syslog", 3);
        metrics.kernel(layout::Counter::Lost, 7);
        metrics.tier("detect");
        let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        for line in [
            "# TYPE envward_agent_events counter",
            "envward_agent_events_total{recipe=\"environ_sweep\",route=\"sweep\",verdict=\"observed\"} 2",
            "envward_agent_undelivered_total{output=\"syslog\"} 3",
            "envward_agent_kernel{what=\"lost\"} 7",
        ] {
            assert!(body.lines().any(|found| found == line), "{line}: {body}");
        }
        assert!(body.contains("envward_agent_tier{tier=\"detect\",version="), "{body}");
        assert!(body.ends_with("# EOF\n"), "{body}");
    }

    #[test]
    fn other_requests_are_answered_and_do_not_stay() {
        let address = free();
        Server::start(Some(&address.to_string()), &Metrics::default()).unwrap();
        // Says nothing, and holds the others up for a moment only.
        let _silent = TcpStream::connect(address).unwrap();
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "404"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "400"),
            ("nonsense\r\n\r\n", "400"),
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200"),
        ] {
            let answer = ask(address, request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        }
    }

    #[test]
    fn it_listens_on_loopback_only() {
        assert!(address(None).unwrap().ip().is_loopback());
        assert!(address(Some("[::1]:1")).is_ok());
        for bad in ["0.0.0.0:1", "192.0.2.1:1", "[::]:1", "localhost", "9477"] {
            assert!(address(Some(bad)).is_err(), "{bad}");
        }
    }
}
