//! What happens reaches every output at once, and floods are counted.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::{fs, thread};

use envward_testkit::PATIENCE;
use serde_json::Value;

use super::{Agent, Victim, is_refused_here, reader};

/// A collector that takes one request; its body.
fn collector() -> (u16, thread::JoinHandle<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let body = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        loop {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).unwrap();
            bytes.extend_from_slice(&part[..length]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((_, body)) = text.split_once("\r\n\r\n")
                && let Ok(body) = serde_json::from_str(body)
            {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
                return body;
            }
        }
    });
    (port, body)
}

fn receive(socket: &UnixDatagram) -> String {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = vec![0; 65536];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

fn metrics(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn an_event_reaches_every_output() {
    if is_refused_here() {
        return;
    }
    let room = tempfile::tempdir().unwrap();
    let file = |name: &str| room.path().join(name).to_str().unwrap().to_owned();
    let log = UnixDatagram::bind(file("log")).unwrap();
    let journal = UnixDatagram::bind(file("journal")).unwrap();
    let (collector_port, collected) = collector();
    let metrics_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let outputs = [
        format!("--output=json={}", file("json")),
        format!("--output=text={}", file("text")),
        format!("--output=ocsf={}", file("ocsf")),
        format!("--output=github={}", file("github")),
        format!("--output=syslog={}", file("log")),
        format!("--output=journald={}", file("journal")),
        format!("--output=otlp=http://127.0.0.1:{collector_port}"),
        format!("--output=prometheus=127.0.0.1:{metrics_port}"),
    ];
    let victim = Victim::start();
    let mut agent = Agent::with(victim.pid(), &outputs.each_ref().map(String::as_str));
    let reader = reader(Command::new("cat").arg(format!("/proc/{}/environ", victim.pid())));
    let read = |name: &str| fs::read_to_string(file(name)).unwrap();
    let ours = format!("\"pid\":{reader},");
    agent.wait(|_| read("json").lines().any(|line| line.contains(&ours)));
    let event: Value = serde_json::from_str(read("json").lines().find(|line| line.contains(&ours)).unwrap()).unwrap();
    assert_eq!((&event["route"], &event["repeats"]), (&"environ".into(), &0.into()));
    // The victim is there to be asked.
    let target = &event["target"];
    assert_eq!((&target["argv"][0], &target["argv"][1]), (&"sleep".into(), &"1000".into()));
    assert!(target["cgroup"].as_str().unwrap().starts_with('/'), "{target}");
    assert_eq!(target["ancestors"][0]["pid"], std::process::id());
    assert!(target["exe_path"].as_str().unwrap().ends_with("/sleep"), "{target}");
    let about = |text: &str| text.lines().any(|line| line.contains(&format!("(pid {reader}, uid 0) took environ")));
    assert!(about(&read("text")) && about(&read("github")));
    let findings = read("ocsf");
    let mut findings = findings.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(findings.any(|finding| finding["evidences"][0]["actor"]["process"]["pid"] == reader));
    assert!(receive(&log).starts_with("<83>1 "));
    assert!(receive(&journal).contains("\nENVWARD_ROUTE=environ\n"));
    let logs = collected.join().unwrap();
    assert_eq!(logs["resourceLogs"][0]["scopeLogs"][0]["scope"]["name"], "envward.agent");
    let numbers = metrics(metrics_port);
    let line =
        "envward_agent_events_total{recipe=\"environ_read_from_procfs\",route=\"environ\",verdict=\"observed\"} ";
    assert!(numbers.lines().any(|found| found.starts_with(line)), "{numbers}");
    assert!(numbers.contains("envward_agent_kernel{what=\"events\"} "), "{numbers}");
    assert_eq!(agent.output(), "", "standard output was not asked for");
    for name in ["json", "text", "ocsf", "github"] {
        assert!(!read(name).contains("fake-value-of-a-test"), "{name} holds a value");
    }
}

#[test]
fn a_flood_is_counted_and_the_sum_is_kept() {
    if is_refused_here() {
        return;
    }
    let victim = Victim::start();
    let mut agent = Agent::start(victim.pid());
    let script = "n=0; while [ $n -lt 200 ]; do read -r x <\"$1\"; n=$((n+1)); done";
    let path = format!("/proc/{}/environ", victim.pid());
    let reader = Command::new("sh").args(["-c", script, "sh", &path]).stderr(Stdio::null()).spawn().unwrap();
    let pid = reader.id();
    reader.wait_with_output().unwrap();
    let sums = agent.stop();
    let text = agent.output();
    let told: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ours = told.iter().filter(|event| event["reader"]["pid"] == pid);
    assert!(ours.count() <= 21, "{}", told.len());
    let sum: u64 = told.iter().map(|event| event["repeats"].as_u64().unwrap() + 1).sum();
    let count = |name: &str| {
        let found = sums.split(&format!(" {name}=")).nth(1).unwrap();
        found.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    // What the agent's attack on itself left is not told, and came first.
    let first = told.iter().map(|event| event["sequence"].as_u64().unwrap()).min().unwrap();
    assert_eq!(count("lost"), 0);
    assert!(sum >= 400, "an open and a read each: {sum}");
    assert_eq!(sum + first, count("events"), "{sums}");
}

/// What loading needs is more than what it runs with, in all of its threads.
#[test]
fn few_capabilities_are_kept() {
    if is_refused_here() {
        return;
    }
    let victim = Victim::start();
    let agent = Agent::with(victim.pid(), &["--output=prometheus=127.0.0.1:0", "--output=otlp"]);
    let tasks = fs::read_dir(format!("/proc/{}/task", agent.child.id())).unwrap();
    let statuses = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let statuses: Vec<String> = statuses.collect();
    assert_eq!(statuses.len(), 3);
    for status in statuses {
        for set in ["CapEff:", "CapPrm:"] {
            let found = status.lines().find_map(|line| line.strip_prefix(set)).unwrap();
            // CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_BPF.
            assert_eq!(found.trim(), "0000008000080004", "{set}");
        }
    }
}

/// The service manager is told when the programs are in force.
#[test]
fn readiness_is_told() {
    if is_refused_here() {
        return;
    }
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut agent = Command::new(env!("CARGO_BIN_EXE_envward-agent"))
        .args(["run", "--tier", "detect", "--socket"])
        .arg(room.path().join("agent.sock"))
        .env("NOTIFY_SOCKET", &path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let told = receive(&socket);
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(told, "READY=1");
}
