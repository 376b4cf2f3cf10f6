//! On a terminal, below an interactive shell: what its user sees.
//!
//! The whole transcript of a session with bash is compared, once with the
//! program typed as it is and once behind `envward run`. The launcher's words
//! are in an array, so that the shell shows both as the same command.

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::same;
use crate::stage::case::{Case, FULL_REDACTING, ON_TERMINAL, REDACTING, SUPERVISING_ON_TERMINAL};
use crate::stage::job::{Job, PATIENCE, SETTLE, Start};
use crate::stage::stage;

const PROMPT: &str = "@@> ";

/// The master side of a pseudo-terminal.
pub(super) struct Screen {
    master: OwnedFd,
    path: PathBuf,
    /// Kept open: a terminal that nobody has open is hung up.
    _slave: File,
    seen: String,
}

impl Screen {
    /// A new terminal of 40 rows and 100 columns.
    pub(super) fn open() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("openpt");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname(&master, Vec::new()).expect("ptsname");
        let path = PathBuf::from(name.into_string().expect("name"));
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(0o400) // O_NOCTTY
            .open(&path)
            .expect("terminal");
        let screen = Self { master, path, _slave: slave, seen: String::new() };
        screen.resize(40, 100);
        screen
    }

    pub(super) fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).expect("TIOCSWINSZ");
    }

    /// Starts a session leader whose controlling terminal this is.
    pub(super) fn start(&self, start: Start) -> Job {
        start.with(format!("terminal={}", self.path.display())).same_group().spawn_with(
            Stdio::null(),
            Stdio::null(),
            Stdio::null(),
        )
    }

    pub(super) fn kind(&self, text: &str) {
        rustix::io::write(&self.master, text.as_bytes()).expect("terminal");
    }

    /// Waits until `text` has appeared; returns everything up to its end.
    pub(super) fn expect(&mut self, text: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = PATIENCE.checked_sub(start.elapsed()).unwrap_or_default();
            let mut ready = [PollFd::new(&self.master, PollFlags::IN)];
            let timeout = Timespec::try_from(left).expect("timeout");
            let mut bytes = [0; 4096];
            let read = match poll(&mut ready, Some(&timeout)).expect("poll") {
                0 => 0,
                _ => rustix::io::read(&self.master, &mut bytes).expect("terminal"),
            };
            assert!(read > 0, "{text:?} does not appear; the terminal shows {:?}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..read]).replace('\r', ""));
        }
    }
}

/// A session with bash.
struct Session {
    screen: Screen,
    /// Keeps the shell until the session is dropped.
    _shell: Job,
    transcript: String,
}

impl Session {
    fn new(case: &Case) -> Self {
        let mut screen = Screen::open();
        let user = case.reference();
        let words = ["bash", "--norc", "--noprofile", "--noediting", "-i"];
        let shell = Start::new(&user, words)
            .with("limit=core:0:0")
            .variable("PS1", PROMPT)
            .variable("TERM", "dumb")
            .within(stage().scratch(case.uid));
        let shell = screen.start(shell);
        screen.expect(PROMPT);
        let start = Start::probe(case, [""]);
        let mut session = Self { screen, _shell: shell, transcript: String::new() };
        session.run("stty -echo");
        let quoted: Vec<String> =
            start.launcher().iter().map(|word| format!("'{}'", word.to_str().expect("UTF-8"))).collect();
        session.run(&format!("L=({}); P='{}'", quoted.join(" "), stage().program("probe").display()));
        // The secrets of `start` outlive it: the stage is removed at the end.
        session.transcript.clear();
        session
    }

    /// A command that ends by itself.
    fn run(&mut self, command: &str) {
        self.kind(command);
        self.prompt();
    }

    /// A command that stays in the foreground.
    fn kind(&mut self, command: &str) {
        self.screen.kind(&format!("{command}\n"));
    }

    fn key(&mut self, key: &str) {
        self.screen.kind(key);
    }

    fn prompt(&mut self) {
        self.expect(PROMPT);
    }

    fn expect(&mut self, text: &str) {
        let shown = self.screen.expect(text);
        self.transcript.push_str(&shown);
    }

    /// The program has said that it is up, and which process it is.
    fn up(&mut self) {
        self.expect("up ");
        self.expect("\n");
    }

    /// Lets what should not come have its time.
    fn settle(&self) {
        thread::sleep(SETTLE);
    }

    /// What the user saw, without process ids.
    fn transcript(mut self) -> Vec<String> {
        self.run("echo \"status $?\"; jobs");
        self.transcript.lines().map(without_pid).collect()
    }
}

fn without_pid(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    for i in 1..words.len() {
        let follows = words[i - 1] == "up" || words[i - 1].ends_with("up") || words[i - 1].ends_with(']');
        if follows && words[i].parse::<u32>().is_ok() {
            words[i] = "PID";
        }
    }
    // Whether a dying job is still the current one is a race within bash.
    words.join(" ").replace("]- ", "]+ ")
}

fn shows(transcript: &[String], text: &str, times: usize) {
    let seen = transcript.join("\n").matches(text).count();
    assert_eq!(seen, times, "times that {text:?} is shown: {transcript:#?}");
}

const RUN: &str = "\"${L[@]}\" $P";

#[test]
fn interrupt_key_arrives_once() {
    same(
        &ON_TERMINAL,
        |case| {
            let mut session = Session::new(case);
            session.kind(&format!("{RUN} signals"));
            session.up();
            session.key("\x03");
            session.expect("signal 2\n");
            session.settle();
            session.key("\x1c");
            session.expect("signal 3\n");
            session.settle();
            session.kind("q");
            session.prompt();
            session.transcript()
        },
        |seen| {
            shows(seen, "signal 2\n", 1);
            shows(seen, "signal 3\n", 1);
            shows(seen, "status 0", 1);
        },
    );
}

#[test]
fn interrupt_key_ends_an_ordinary_program() {
    for (key, status) in [("\x03", "status 130"), ("\x1c", "status 131")] {
        same(
            &ON_TERMINAL,
            |case| {
                let mut session = Session::new(case);
                session.kind(&format!("{RUN} wait"));
                session.up();
                session.key(key);
                session.prompt();
                session.transcript()
            },
            |seen| shows(seen, status, 1),
        );
    }
}

#[test]
fn suspend_key_stops_and_fg_continues() {
    same(
        &ON_TERMINAL,
        |case| {
            let mut session = Session::new(case);
            session.kind(&format!("{RUN} signals"));
            session.up();
            for _ in 0..3 {
                session.key("\x1a");
                session.prompt();
                session.run("jobs");
                session.kind("fg");
                session.expect("signal 18\n");
                session.settle();
            }
            session.key("\x03");
            session.expect("signal 2\n");
            session.settle();
            session.kind("q");
            session.prompt();
            session.transcript()
        },
        |seen| {
            shows(seen, "signal 20\n", 3);
            shows(seen, "signal 18\n", 3);
            shows(seen, "signal 2\n", 1);
            shows(seen, "Stopped", 6);
            shows(seen, "status 0", 1);
        },
    );
}

#[test]
fn suspend_bg_and_kill() {
    same(
        &ON_TERMINAL,
        |case| {
            let mut session = Session::new(case);
            session.kind(&format!("{RUN} wait"));
            session.up();
            session.key("\x1a");
            session.prompt();
            // In the background it wants to read the terminal and stops again.
            session.run("bg; sleep 0.3; jobs");
            session.run("kill %1; sleep 1; fg");
            session.transcript()
        },
        |seen| {
            shows(seen, "Stopped", 3);
            shows(seen, "Terminated", 1);
        },
    );
}

#[test]
fn a_stop_by_the_shell_and_its_end() {
    same(
        &ON_TERMINAL,
        |case| {
            let mut session = Session::new(case);
            session.run(&format!("{RUN} wait < <(sleep 30) > /dev/null & sleep 0.5"));
            session.run("kill -STOP %1; sleep 0.2; jobs");
            session.run("kill -CONT %1; sleep 0.2; jobs");
            session.run("kill %1; wait %1; echo \"waited $?\"");
            session.transcript()
        },
        |seen| {
            shows(seen, "Stopped", 2);
            shows(seen, "Running", 1);
            shows(seen, "waited 143", 1);
        },
    );
}

#[test]
fn size_and_foreground() {
    same(
        &ON_TERMINAL,
        |case| {
            let mut session = Session::new(case);
            session.screen.resize(31, 77);
            session.run(&format!("{RUN} terminal"));
            session.run("$P terminal");
            session.transcript()
        },
        |seen| shows(seen, "tty 111 size 31x77 foreground 1 ctty 1", 2),
    );
}

#[test]
fn a_change_of_size_is_told_once() {
    same(
        &ON_TERMINAL,
        |case| {
            let mut session = Session::new(case);
            session.kind(&format!("{RUN} signals"));
            session.up();
            session.screen.resize(50, 50);
            session.expect("signal 28\n");
            session.settle();
            session.kind("q");
            session.prompt();
            session.transcript()
        },
        |seen| shows(seen, "signal 28\n", 1),
    );
}

#[test]
fn reading_the_terminal_in_the_background_stops() {
    same(
        &ON_TERMINAL,
        |case| {
            let mut session = Session::new(case);
            session.run("\"${L[@]}\" cat & sleep 0.5");
            session.run("jobs");
            session.kind("fg");
            session.expect("cat\n");
            session.kind("typed");
            session.expect("typed\n");
            session.key("\x04");
            session.prompt();
            session.transcript()
        },
        |seen| {
            shows(seen, "Stopped", 2);
            shows(seen, "typed", 1);
            shows(seen, "status 0", 1);
        },
    );
}

#[test]
fn pipelines() {
    same(
        &ON_TERMINAL,
        |case| {
            let mut session = Session::new(case);
            session.run("\"${L[@]}\" printf 'b\\na\\n' | sort");
            session.run("printf 'b\\na\\n' | \"${L[@]}\" sort");
            session.run("\"${L[@]}\" printf 'b\\na\\n' | \"${L[@]}\" sort | \"${L[@]}\" cat");
            session.run("\"${L[@]}\" yes | head -n 2; echo \"${PIPESTATUS[@]}\"");
            session.run("set -o pipefail; \"${L[@]}\" $P exit 3 | cat; echo \"pipe $?\"");
            session.transcript()
        },
        |seen| {
            shows(seen, "a\nb\n", 3);
            shows(seen, "141 0", 1);
            shows(seen, "pipe 3", 1);
        },
    );
}

#[test]
fn keys_reach_every_part_of_a_pipeline() {
    same(
        &ON_TERMINAL,
        |case| {
            let mut session = Session::new(case);
            session.kind(&format!("{RUN} wait | \"${{L[@]}}\" sed -u '' | \"${{L[@]}}\" cat"));
            session.up();
            session.key("\x1a");
            session.prompt();
            session.run("jobs");
            session.kind("fg");
            session.settle();
            session.key("\x03");
            session.prompt();
            session.transcript()
        },
        |seen| {
            shows(seen, "Stopped", 2);
            shows(seen, "status 130", 1);
        },
    );
}

#[test]
fn a_shell_below_has_its_own_job_control() {
    same(
        &SUPERVISING_ON_TERMINAL,
        |case| {
            let mut session = Session::new(case);
            session.kind("PS1='##> ' \"${L[@]}\" bash --norc --noprofile --noediting -i");
            session.expect("##> ");
            session.kind("sleep 50");
            session.settle();
            session.key("\x1a");
            session.expect("##> ");
            session.kind("kill %1; fg");
            session.expect("##> ");
            session.kind("sleep 50");
            session.settle();
            session.key("\x03");
            session.expect("##> ");
            session.kind("exit 5");
            session.prompt();
            session.transcript()
        },
        |seen| {
            shows(seen, "Stopped", 1);
            shows(seen, "Terminated", 1);
            shows(seen, "status 5", 1);
        },
    );
}

#[test]
fn a_script_reads_the_terminal() {
    same(
        &SUPERVISING_ON_TERMINAL,
        |case| {
            let mut session = Session::new(case);
            session.kind("sh -c '\"$@\"; echo after' sh \"${L[@]}\" sh -c 'echo ask; read a; echo got $a'");
            session.expect("ask\n");
            session.kind("answer");
            session.prompt();
            session.run("$P terminal");
            session.transcript()
        },
        |seen| {
            shows(seen, "got answer", 1);
            shows(seen, "after", 1);
            shows(seen, "foreground 1", 1);
        },
    );
}

#[test]
fn interrupting_a_script_ends_all_of_it() {
    // A shell goes on after a command that handled ^C, and dies after one that died.
    same(
        &SUPERVISING_ON_TERMINAL,
        |case| {
            let mut session = Session::new(case);
            session.kind("sh -c '\"$@\"; echo went on' sh \"${L[@]}\" sh -c 'echo ready; sleep 50'");
            session.expect("ready\n");
            session.settle();
            session.key("\x03");
            session.prompt();
            session.transcript()
        },
        |seen| {
            shows(seen, "went on", 0);
            shows(seen, "status 130", 1);
        },
    );
}

#[test]
fn modes_of_the_terminal_are_the_programs_business() {
    same(
        &ON_TERMINAL,
        |case| {
            let mut session = Session::new(case);
            session.run("\"${L[@]}\" stty -icanon; stty -a | grep -c -- -icanon; stty icanon");
            session.run("\"${L[@]}\" stty rows 20; stty size");
            session.transcript()
        },
        |seen| shows(seen, "20 100", 1),
    );
}

#[test]
fn keys_arrive_once_without_a_shell() {
    // As the leader of the session itself: ssh -t host envward …, docker run -t.
    same(
        &ON_TERMINAL,
        |case| {
            let mut screen = Screen::open();
            let mut job = screen.start(Start::probe(case, ["signals"]));
            let mut seen = screen.expect("\n");
            screen.kind("\x03");
            seen.push_str(&screen.expect("signal 2\n"));
            thread::sleep(SETTLE);
            screen.kind("\x1c");
            seen.push_str(&screen.expect("signal 3\n"));
            screen.resize(10, 10);
            seen.push_str(&screen.expect("signal 28\n"));
            thread::sleep(SETTLE);
            screen.kind("q\n");
            seen.push_str(&screen.expect("end\n"));
            (seen.lines().skip(1).map(str::to_owned).collect::<Vec<_>>(), job.wait())
        },
        |(seen, _)| {
            let text = seen.join("\n");
            for signal in ["signal 2\n", "signal 3\n", "signal 28\n"] {
                assert_eq!(text.matches(signal).count(), 1, "{text}");
            }
        },
    );
}

#[test]
fn output_is_a_terminal_without_input_from_it() {
    same(
        &SUPERVISING_ON_TERMINAL,
        |case| {
            let mut session = Session::new(case);
            let look = "for i in 0 1 2; do test -t $i && echo tty$i; done; stty size <&1; stty size <&2";
            session.run(&format!("\"${{L[@]}}\" sh -c '{look}' < /dev/null"));
            session.run(&format!("\"${{L[@]}}\" sh -c '{look}' 2>&1 >/dev/null </dev/null | sed s/^/piped-/"));
            session.run(&format!("echo | \"${{L[@]}}\" sh -c '({look}) >&2' | sed s/^/piped-/"));
            session.transcript()
        },
        |seen| {
            shows(seen, "tty0", 0);
            shows(seen, "tty1", 2);
            shows(seen, "tty2", 2);
        },
    );
}

#[test]
fn a_change_of_size_reaches_a_terminal_for_output() {
    let case = FULL_REDACTING;
    let mut session = Session::new(&case);
    let text = "trap \"stty size <&1\" WINCH; echo ready; while :; do sleep 0.05; done";
    session.kind(&format!("\"${{L[@]}}\" sh -c '{text}' < /dev/null"));
    session.expect("ready\n");
    session.screen.resize(33, 77);
    session.expect("33 77\n");
    session.key("\x03");
    session.prompt();
    shows(&session.transcript(), "status 130", 1);
}

#[test]
fn secrets_are_redacted_on_the_way_to_the_terminal() {
    for case in REDACTING {
        let mut session = Session::new(&case);
        session.kind(
            "\"${L[@]}\" sh -c 'echo \"<$API_TOKEN>\"; echo \"<$API_TOKEN>\" >&2; echo \"<$API_TOKEN>\" > /dev/tty'",
        );
        session.prompt();
        session.kind("\"${L[@]}\" sh -c 'echo \"<$API_TOKEN>\"; echo \"<$API_TOKEN>\" >&2' < /dev/null");
        session.prompt();
        // A reader who asks, and a line that is edited.
        session.kind("\"${L[@]}\" bash --norc --noprofile -i");
        session.prompt();
        session.kind("PS1='##> '");
        session.expect("##> ");
        session.kind("read -e -p 'name: ' name; echo \"${name} ${#API_TOKEN} $API_TOKEN\"");
        session.expect("name: ");
        session.kind("somebody");
        session.expect("somebody 48 [redacted API_TOKEN]");
        session.kind("exit");
        session.prompt();
        shows(&session.transcript(), "<[redacted API_TOKEN]>", 5);
    }
}
