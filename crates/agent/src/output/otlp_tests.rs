use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use super::*;
use crate::output::tests::with_event;

/// A collector that answers with these statuses, one request each; what it was sent.
fn collector(statuses: &'static [u16]) -> (SocketAddr, JoinHandle<Vec<(String, Value)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let requests = thread::spawn(move || statuses.iter().map(|status| answer(&listener, *status)).collect());
    (address, requests)
}

fn answer(listener: &TcpListener, status: u16) -> (String, Value) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).unwrap();
        assert!(length > 0, "the request ends early");
        bytes.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lengths = head.lines().filter_map(|line| line.split_once(": "));
        let length = lengths.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if body.len() == length.map(|(_, value)| value.parse::<usize>().unwrap()).next().unwrap() {
            let parsed = (head.to_owned(), serde_json::from_str(body).unwrap());
            write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}").unwrap();
            return parsed;
        }
    }
}

/// The value of a field in a list of `KeyValue`.
fn attribute<'a>(list: &'a Value, key: &str) -> &'a Value {
    &list.as_array().unwrap().iter().find(|item| item["key"] == key).unwrap()["value"]
}

#[test]
fn a_collector_gets_records() {
    let (address, requests) = collector(&[503, 200]);
    let mut output = Exporter::start(Some(&format!("http://{address}"))).unwrap();
    with_event(|event| output.tell(event).unwrap());
    let requests = requests.join().unwrap();
    output.finish();
    assert_eq!(output.lost(), 0);
    assert_eq!(requests[0].1, requests[1].1, "the same again after 503");
    let (head, body) = &requests[1];
    assert!(head.starts_with("POST /v1/logs HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
    let resource = &body["resourceLogs"][0];
    assert_eq!(
        attribute(&resource["resource"]["attributes"], "service.name"),
        &json!({"stringValue": "envward-agent"})
    );
    let record = &resource["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["timeUnixNano"], "1735689599000000000", "a string");
    assert_eq!((&record["severityNumber"], &record["severityText"]), (&json!(17), &json!("ERROR")));
    assert!(record["body"]["stringValue"].as_str().unwrap().starts_with("denied environ_read_from_procfs: cat"));
    let list = &record["attributes"];
    assert_eq!(attribute(list, "process.pid"), &json!({"intValue": "20"}));
    assert_eq!(attribute(list, "process.command_args")["arrayValue"]["values"][0], json!({"stringValue": "cat"}));
    let event = &attribute(list, "envward.event")["kvlistValue"]["values"];
    assert_eq!(attribute(event, "sequence"), &json!({"intValue": "3"}));
    assert_eq!(attribute(&attribute(event, "target")["kvlistValue"]["values"], "exe_path"), &json!({}));
}

#[test]
fn what_a_collector_refuses_is_counted() {
    let (address, requests) = collector(&[400]);
    let mut output = Exporter::start(Some(&format!("http://{address}/other/path"))).unwrap();
    with_event(|event| output.tell(event).unwrap());
    assert!(requests.join().unwrap()[0].0.starts_with("POST /other/path HTTP/1.1\r\n"));
    output.finish();
    assert_eq!(output.lost(), 1);
}

#[test]
fn addresses_are_on_this_machine() {
    assert_eq!(address(None).unwrap(), "http://127.0.0.1:4318/v1/logs");
    assert_eq!(address(Some("http://[::1]:1/")).unwrap(), "http://[::1]:1/v1/logs");
    assert_eq!(address(Some("http://localhost/logs")).unwrap(), "http://localhost/logs");
    for bad in [
        "https://127.0.0.1",
        "127.0.0.1:4318",
        "http://192.0.2.1:4318",
        "http://example.com",
        "http://127.0.0.1@example.com",
    ] {
        assert!(address(Some(bad)).is_err(), "{bad}");
    }
}

#[test]
fn all_kinds_of_values_are_encoded() {
    assert_eq!(
        any(&json!([true, 1.5, null])),
        json!({"arrayValue": {"values": [{"boolValue": true}, {"doubleValue": 1.5}, {}]}})
    );
}
