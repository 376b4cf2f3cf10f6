//! OpenTelemetry logs: OTLP over HTTP in its
//! [JSON encoding](https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding), to a
//! collector on this machine, which speaks TLS and batches to others. The official crates bring
//! dozens of packages and an async runtime into a program that runs as root.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use super::{Event, Output, syslog};

const ADDRESS: &str = "http://127.0.0.1:4318";
const PATH: &str = "/v1/logs";
/// Records that wait while the collector is slow or away.
const WAITING: usize = 2048;
/// Records in one request.
const BATCH: usize = 128;
const TIMEOUT: u64 = 5;
/// Pauses before another try.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];
/// What may be left is delivered within this time when the agent stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// The address of the collector's logs: HTTP, as nothing is encrypted, on loopback only.
pub(super) fn address(target: Option<&str>) -> Result<String, String> {
    let url = target.unwrap_or(ADDRESS).trim_end_matches('/');
    let rest = url.strip_prefix("http://").ok_or_else(|| format!("otlp: `{url}` does not begin with http://"))?;
    let (authority, path) = rest.find('/').map_or((rest, ""), |place| rest.split_at(place));
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    if host != "localhost" && !host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
        return Err(format!("otlp: {host} is not this machine; let a collector on loopback pass events on"));
    }
    Ok(if path.is_empty() { format!("{url}{PATH}") } else { url.to_owned() })
}

/// Hands records to a thread that talks to the collector.
pub(super) struct Exporter {
    records: Option<SyncSender<Value>>,
    worker: Option<JoinHandle<()>>,
    lost: Arc<AtomicU64>,
}

impl Exporter {
    pub(super) fn start(target: Option<&str>) -> io::Result<Self> {
        let url = address(target).map_err(io::Error::other)?;
        let (records, waiting) = mpsc::sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let worker = thread::Builder::new().name("otlp".to_owned()).spawn(move || work(&url, &waiting, &counted))?;
        Ok(Self { records: Some(records), worker: Some(worker), lost })
    }
}

impl Output for Exporter {
    fn tell(&mut self, event: &Event<'_>) -> io::Result<()> {
        let sent = self.records.as_ref().map(|records| records.try_send(record(event)));
        let why = match sent {
            Some(Ok(())) => return Ok(()),
            Some(Err(TrySendError::Full(_))) => "the collector does not keep up",
            Some(Err(TrySendError::Disconnected(_))) | None => "the exporter has ended",
        };
        self.lost.fetch_add(1, Ordering::Relaxed);
        Err(io::Error::other(why))
    }

    fn lost(&mut self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    fn finish(&mut self) {
        self.records = None;
        let until = Instant::now() + FAREWELL;
        if let Some(worker) = self.worker.take() {
            while !worker.is_finished() && Instant::now() < until {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn work(url: &str, waiting: &Receiver<Value>, lost: &AtomicU64) {
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        batch.extend(waiting.try_iter().take(BATCH - 1));
        let length = batch.len() as u64;
        if !deliver(url, &request(batch).to_string()) {
            lost.fetch_add(length, Ordering::Relaxed);
        }
    }
}

/// Sends a request, again if the collector asks for it or cannot be reached.
fn deliver(url: &str, body: &str) -> bool {
    let mut pauses = PAUSES.iter();
    loop {
        let sent = minreq::post(url)
            .with_header("Content-Type", "application/json")
            .with_body(body)
            .with_timeout(TIMEOUT)
            .send()
            .map(|response| response.status_code);
        let may_try_again = match sent {
            Ok(200..=299) => return true,
            // Those that the specification names.
            Ok(429 | 502 | 503 | 504) | Err(_) => true,
            Ok(_) => false,
        };
        match pauses.next() {
            Some(pause) if may_try_again => thread::sleep(*pause),
            _ => return false,
        }
    }
}

fn request(records: Vec<Value>) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let resource = json!({
        "service.name": "envward-agent",
        "service.version": version,
        "host.name": syslog::host(),
    });
    json!({
        "resourceLogs": [{
            "resource": { "attributes": attributes(&resource) },
            "scopeLogs": [{
                "scope": { "name": "envward.agent", "version": version },
                "logRecords": records,
            }],
        }],
    })
}

fn record(event: &Event<'_>) -> Value {
    let report = event.report;
    let (number, text) = severity(report.importance());
    let mut shown = json!({
        "envward.route": report.route,
        "envward.verdict": report.verdict,
        "process.pid": report.reader.pid,
        "process.executable.name": report.reader.exe.name,
        "process.command_args": report.reader.argv,
        "envward.event": report,
    });
    for (name, value) in [
        ("envward.recipe", report.recipe.as_ref().map(|recipe| recipe.id.as_str())),
        ("process.executable.path", report.reader.exe_path.as_deref()),
        ("container.id", report.reader.container.as_deref()),
        ("k8s.pod.uid", report.reader.pod.as_deref()),
    ] {
        if let Some(value) = value {
            shown[name] = value.into();
        }
    }
    json!({
        "timeUnixNano": nanoseconds(event.at),
        "observedTimeUnixNano": nanoseconds(SystemTime::now()),
        "severityNumber": number,
        "severityText": text,
        "body": { "stringValue": format!("{} {}: {}", report.verdict, report.name(), report.sentence()) },
        "attributes": attributes(&shown),
    })
}

/// 64-bit numbers are strings in this encoding.
fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

/// INFO, WARN, ERROR and FATAL of the data model.
fn severity(importance: &str) -> (u8, &'static str) {
    match importance {
        "critical" => (21, "FATAL"),
        "high" => (17, "ERROR"),
        "medium" => (13, "WARN"),
        _ => (9, "INFO"),
    }
}

/// The fields of an object as a list of `KeyValue`.
fn attributes(object: &Value) -> Value {
    let fields = object.as_object().into_iter().flatten();
    fields.map(|(key, value)| json!({ "key": key, "value": any(value) })).collect()
}

/// `AnyValue`; nothing is an empty one.
fn any(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(value) => json!({ "boolValue": value }),
        Value::String(text) => json!({ "stringValue": text }),
        Value::Number(number) if number.is_f64() => json!({ "doubleValue": number }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::Array(items) => json!({ "arrayValue": { "values": items.iter().map(any).collect::<Vec<_>>() } }),
        Value::Object(_) => json!({ "kvlistValue": { "values": attributes(value) } }),
    }
}

#[cfg(test)]
#[path = "otlp_tests.rs"]
mod tests;
