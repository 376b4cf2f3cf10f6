//! sd_notify(3) with a parent in between: a service manager with
//! `NotifyAccess=main` believes only the process that it started.

use std::fs::{self, Permissions};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};

use super::equal;
use crate::stage::case::{ALL, Case, DIRECT, SUPERVISING};
use crate::stage::job::{Ended, Job, Start};
use crate::stage::{random, stage};

/// The manager's socket.
struct Manager {
    socket: UnixDatagram,
    address: String,
}

/// A message with the sender's pid as the kernel vouches for it.
struct Message {
    text: String,
    sender: Option<i32>,
    uid: Option<u32>,
    descriptors: Vec<OwnedFd>,
}

impl Manager {
    fn new(case: &Case, abstract_name: bool) -> Self {
        let (socket, address) = if abstract_name {
            let name = format!("envward-test-{}", random(8));
            let address = SocketAddr::from_abstract_name(&name).expect("name");
            (UnixDatagram::bind_addr(&address).expect("bind"), format!("@{name}"))
        } else {
            let path = stage().scratch(case.uid).join("notify");
            let socket = UnixDatagram::bind(&path).expect("bind");
            fs::set_permissions(&path, Permissions::from_mode(0o777)).expect("chmod");
            (socket, path.display().to_string())
        };
        set_socket_passcred(&socket, true).expect("SO_PASSCRED");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
        Self { socket, address }
    }

    fn receive(&self) -> Option<Message> {
        let mut text = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received =
            recvmsg(&self.socket, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC).ok()?;
        assert!(!received.flags.contains(ReturnFlags::CTRUNC), "truncated");
        let mut message = Message {
            text: String::from_utf8_lossy(&text[..received.bytes]).into_owned(),
            sender: None,
            uid: None,
            descriptors: Vec::new(),
        };
        for ancillary in control.drain() {
            match ancillary {
                RecvAncillaryMessage::ScmCredentials(who) => {
                    message.sender = Some(who.pid.as_raw_nonzero().get());
                    message.uid = Some(who.uid.as_raw());
                }
                RecvAncillaryMessage::ScmRights(descriptors) => message.descriptors.extend(descriptors),
                _ => panic!("unexpected control message"),
            }
        }
        Some(message)
    }
}

fn notifier(case: &Case, manager: &Manager, arguments: &[&str]) -> Job {
    Start::probe(case, ["notify"].iter().chain(arguments)).variable("NOTIFY_SOCKET", &manager.address).spawn()
}

#[test]
fn readiness_comes_from_the_started_process() {
    for abstract_name in [false, true] {
        let expected = ("READY=1\nSTATUS=up".to_owned(), true, true, Ended::Exit(0));
        equal(&ALL, &expected, |case| {
            let manager = Manager::new(case, abstract_name);
            let mut job = notifier(case, &manager, &["READY=1\nSTATUS=up"]);
            assert_eq!(job.line(), "sent", "{}", case.name);
            let message = manager.receive().expect("message");
            job.write("q");
            let started = job.pid().as_raw_nonzero().get();
            (message.text, message.sender == Some(started), message.uid == Some(case.uid.unwrap_or(0)), job.wait())
        });
    }
}

#[test]
fn descendants_may_notify_too() {
    // NotifyAccess=all would take them from anyone; main only from the launcher.
    let script = "\"$@\"; exit $?";
    for case in SUPERVISING {
        let manager = Manager::new(&case, false);
        let probe = stage().program("probe");
        let command = [
            "sh".as_ref(),
            "-c".as_ref(),
            script.as_ref(),
            "sh".as_ref(),
            probe.as_os_str(),
            "notify".as_ref(),
            "READY=1".as_ref(),
        ];
        let mut job = Start::new(&case, command).variable("NOTIFY_SOCKET", &manager.address).spawn();
        assert_eq!(job.line(), "sent", "{}", case.name);
        let message = manager.receive().expect("message");
        assert_eq!(message.text, "READY=1", "{}", case.name);
        assert_eq!(message.sender, Some(job.pid().as_raw_nonzero().get()), "{}", case.name);
        job.write("q");
        assert_eq!(job.wait(), Ended::Exit(0), "{}", case.name);
    }
}

#[test]
fn a_stored_descriptor_arrives_and_is_the_same_file() {
    equal(&ALL, &("FDSTORE=1\nFDNAME=x".to_owned(), 1, true, Ended::Exit(0)), |case| {
        let manager = Manager::new(case, false);
        let mut job = notifier(case, &manager, &["FDSTORE=1\nFDNAME=x", "descriptor"]);
        assert_eq!(job.line(), "sent", "{}", case.name);
        let mut message = manager.receive().expect("message");
        let count = message.descriptors.len();
        // The descriptor is the program's standard input: our pipe.
        job.write("q");
        let ended = job.wait();
        let program_input = message.descriptors.pop().is_some_and(|input| {
            job.try_write("z").is_ok() && {
                let mut byte = [0];
                rustix::io::read(&input, &mut byte).is_ok_and(|n| n == 1) && byte == *b"z"
            }
        });
        (message.text, count, program_input, ended)
    });
}

#[test]
fn the_barrier_passes_when_the_manager_lets_go() {
    let expected = (vec!["READY=1".to_owned(), "BARRIER=1".to_owned()], "barrier passed".to_owned());
    equal(&ALL, &expected, |case| {
        let manager = Manager::new(case, false);
        let mut job = notifier(case, &manager, &["READY=1", "barrier"]);
        let mut texts = Vec::new();
        for _ in 0..2 {
            let message = manager.receive().expect("message");
            texts.push(message.text.clone());
            if message.text == "BARRIER=1" {
                assert_eq!(message.descriptors.len(), 1, "{}", case.name);
                assert_eq!(job.try_line(Duration::from_millis(100)), None, "{}: passed too early", case.name);
            }
        }
        (texts, job.line())
    });
}

#[test]
fn messages_keep_their_order() {
    let expected: Vec<String> = (0..50).map(|i| format!("STATUS={i}")).collect();
    equal(&SUPERVISING, &expected, |case| {
        let manager = Manager::new(case, false);
        let probe = stage().program("probe");
        let script = "i=0; while [ $i -lt 50 ]; do
            \"$1\" notify STATUS=$i < /dev/null; i=$((i+1)); done; exit 0";
        let command = ["sh".as_ref(), "-c".as_ref(), script.as_ref(), "sh".as_ref(), probe.as_os_str()];
        let mut job = Start::new(case, command).variable("NOTIFY_SOCKET", &manager.address).spawn();
        let texts = (0..50).map_while(|_| manager.receive()).map(|message| message.text).collect();
        assert_eq!(job.wait(), Ended::Exit(0), "{}", case.name);
        texts
    });
}

#[test]
fn a_manager_that_is_gone_does_not_disturb() {
    for case in [DIRECT].iter().chain(&ALL) {
        let manager = Manager::new(case, false);
        let start = Start::probe(case, ["notify", "READY=1"]).variable("NOTIFY_SOCKET", &manager.address);
        drop(manager.socket);
        let ended = start.ended();
        // Directly the program sees the refusal; a relay may have accepted.
        let relayed = case.mode.is_some() && ended == Ended::Exit(0);
        assert!(ended == Ended::Exit(5) || relayed, "{}: {ended:?}", case.name);
    }
}

#[test]
fn notifications_flow_while_the_program_starts_others() {
    for case in SUPERVISING {
        let manager = Manager::new(&case, false);
        let probe = stage().program("probe");
        let script = "for i in 1 2 3 4 5; do (\"$1\" notify READY=1 < /dev/null) & done; wait; exit 0";
        let mut job =
            Start::new(&case, ["sh".as_ref(), "-c".as_ref(), script.as_ref(), "sh".as_ref(), probe.as_os_str()])
                .variable("NOTIFY_SOCKET", &manager.address)
                .spawn();
        let started = job.pid().as_raw_nonzero().get();
        for _ in 0..5 {
            let message = manager.receive().expect("message");
            assert_eq!((message.text.as_str(), message.sender), ("READY=1", Some(started)), "{}", case.name);
        }
        assert_eq!(job.wait(), Ended::Exit(0), "{}", case.name);
    }
}

#[test]
fn nothing_is_sent_that_the_program_did_not_send() {
    for case in ALL {
        let manager = Manager::new(&case, false);
        manager.socket.set_read_timeout(Some(Duration::from_millis(50))).expect("timeout");
        let ended = Start::probe(&case, ["exit", "0"]).variable("NOTIFY_SOCKET", &manager.address).ended();
        assert_eq!(ended, Ended::Exit(0), "{}", case.name);
        assert!(manager.receive().is_none(), "{}", case.name);
    }
}
