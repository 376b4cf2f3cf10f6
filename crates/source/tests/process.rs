//! Sources that take from what a process was started with, and a look at
//! what loading leaves behind in its memory.
//!
//! Without a harness: the test starts itself again as a process with one
//! thread, hands it secrets that it has made up, and looks at that process from
//! outside while it waits.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test without the harness"
)]

use std::ffi::OsStr;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use envward_secret::{Backing, Vault};
use envward_source::{Dialect, EnvFile, FromEnv, NamedReference, Source};

const ROLE: &str = "--load";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|argument| argument == ROLE) {
        return load(&arguments[2..]);
    }
    let tests: [(&str, fn()); 9] = [
        ("the_scan_finds_a_copy", the_scan_finds_a_copy),
        ("an_env_file_leaves_no_copy", an_env_file_leaves_no_copy),
        ("no_dialect_leaves_a_copy", no_dialect_leaves_a_copy),
        ("a_file_leaves_no_copy", a_file_leaves_no_copy),
        ("standard_input_leaves_no_copy", standard_input_leaves_no_copy),
        ("standard_input_is_read_once", standard_input_is_read_once),
        ("a_descriptor_is_read_and_closed", a_descriptor_is_read_and_closed),
        ("descriptors_not_handed_over_are_told", descriptors_not_handed_over_are_told),
        ("the_environment_is_emptied", the_environment_is_emptied),
    ];
    for (name, test) in tests {
        test();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

/// The second run: loads the sources that the arguments name, says so and
/// waits. Prints an error's message instead.
fn load(arguments: &[String]) -> ExitCode {
    let mut vault = Vault::new(Backing::MemfdSecret).expect("protected memory");
    let mut copies = Vec::new();
    for argument in arguments {
        let (kind, rest) = argument.split_once(' ').expect("a kind and an argument");
        let source: Box<dyn Source> = match kind {
            "env-file" => Box::new(EnvFile::new(rest)),
            "dialect" => {
                let (dialect, path) = rest.split_once(' ').expect("a dialect and a path");
                Box::new(EnvFile::new(path).dialect(dialect.parse().unwrap()))
            }
            "from-env" => Box::new(FromEnv::parse(OsStr::new(rest)).unwrap()),
            "secret" => Box::new(NamedReference::parse(OsStr::new(rest)).unwrap()),
            // What all of this is about, done wrong.
            "copy" => {
                copies.push(vault.value(rest).map(<[u8]>::to_vec));
                continue;
            }
            other => panic!("unknown kind {other}"),
        };
        if let Err(error) = source.load(&mut vault) {
            println!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    let loaded: Vec<String> = vault
        .entries()
        .map(|entry| {
            let value = vault.value(entry.name).unwrap_or_default();
            let hash = hash(value);
            format!("{}:{hash:016x}:{}", entry.name, entry.origin)
        })
        .collect();
    println!("loaded {}", loaded.join(" "));
    // Until the first run has seen enough and goes away.
    let _ = File::open("/proc/self/fd/9").and_then(|mut file| file.read(&mut [0]));
    drop(copies);
    ExitCode::SUCCESS
}

/// Tells values apart without showing them (FNV-1a).
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// Something that occurs nowhere else.
fn made_up() -> String {
    let word = || RandomState::new().hash_one(1u8);
    format!("{:016x}{:016x}{:016x}", word(), word(), word())
}

/// A second run that has loaded, and waits until dropped.
struct Loaded {
    child: Child,
    says: String,
    /// Its descriptor 9 is the other end.
    _hold: File,
}

struct Setup<'a> {
    /// Redirections of the shell that starts the second run.
    redirections: &'a str,
    stdin: Option<&'a str>,
    env: &'a [(&'a str, &'a str)],
}

const PLAIN: Setup<'static> = Setup { redirections: "", stdin: None, env: &[] };

impl Loaded {
    fn start(arguments: &[&str], setup: Setup<'_>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("hold");
        let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success(), "mkfifo (coreutils) is needed");
        // The shell opens the descriptors that a caller would hand over.
        let script = format!("exec \"$@\" 9<>\"$HOLD\" {}", setup.redirections);
        let mut child = Command::new("sh")
            .args(["-c", &script, "sh"])
            .arg(std::env::current_exe().unwrap())
            .arg(ROLE)
            .args(arguments)
            .env_clear()
            .env("HOLD", &fifo)
            .envs(setup.env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh is needed");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(setup.stdin.unwrap_or_default().as_bytes()).unwrap();
        drop(stdin);
        let hold = File::options().read(true).write(true).open(&fifo).unwrap();
        let mut says = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut says).unwrap();
        Self { child, says: says.trim_end().to_owned(), _hold: hold }
    }

    /// How often `needle` occurs in the memory that others can read.
    fn copies_of(&self, needle: &str) -> usize {
        let process = format!("/proc/{}", self.child.id());
        let maps = std::fs::read_to_string(format!("{process}/maps")).unwrap();
        let memory = File::open(format!("{process}/mem")).expect("the parent may look");
        let mut copies = 0;
        for line in maps.lines() {
            let (range, _) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let start = u64::from_str_radix(start, 16).unwrap();
            let end = u64::from_str_radix(end, 16).unwrap();
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            if memory.read_exact_at(&mut bytes, start).is_err() {
                let expected = ["secretmem", "[vvar", "[vsyscall]", " ---p "];
                let explained = expected.iter().any(|what| line.contains(what));
                assert!(explained, "cannot look into {line}");
                continue;
            }
            copies += bytes.windows(needle.len()).filter(|window| *window == needle.as_bytes()).count();
        }
        copies
    }

    /// No part of a value of 48 characters is left.
    fn has_no_copy_of(&self, value: &str) {
        for part in [&value[..16], &value[16..32], &value[32..]] {
            assert_eq!(self.copies_of(part), 0, "a part of the value is left");
        }
        let environ = std::fs::read(format!("/proc/{}/environ", self.child.id())).unwrap();
        assert!(!contains(&environ, &value[..16]));
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn contains(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

fn loaded(entries: &[(&str, &str, &str)]) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|(name, value, origin)| format!("{name}:{:016x}:{origin}", hash(value.as_bytes())))
        .collect();
    format!("loaded {}", entries.join(" "))
}

fn file(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

fn the_scan_finds_a_copy() {
    let directory = tempfile::tempdir().unwrap();
    let value = made_up();
    let path = file(directory.path(), "key", &value);
    let process = Loaded::start(&[&format!("secret A=file:{path}"), "copy A"], PLAIN);
    assert!(process.copies_of(&value) >= 1);
    assert!(process.copies_of(&value[16..32]) >= 1);
}

fn an_env_file_leaves_no_copy() {
    let directory = tempfile::tempdir().unwrap();
    let value = made_up();
    // Unquoted, quoted, in a heredoc, by reference, replaced, and with enough of
    // it to make every buffer grow.
    let filler = value.repeat(200);
    let text = format!("A={value}\nB=\"{value}\" # c\nC='''\n{value}'''\nD=x${{A}}y\nA=1\nE={filler}\n");
    let path = file(directory.path(), "app.env", &text);
    let process = Loaded::start(&[&format!("env-file {path}")], PLAIN);
    // The heredoc takes two lines.
    let [b, c, d, a, e] = [2, 3, 5, 6, 7].map(|line| format!("{path}:{line}"));
    let expected = loaded(&[
        ("B", &value, &b),
        ("C", &value, &c),
        ("D", &format!("x{value}y"), &d),
        ("A", "1", &a),
        ("E", &filler, &e),
    ]);
    assert_eq!(process.says, expected);
    process.has_no_copy_of(&value);
}

fn no_dialect_leaves_a_copy() {
    let directory = tempfile::tempdir().unwrap();
    for dialect in Dialect::ALL {
        let value = made_up();
        // Every way of quoting, through variables, over a line with CR, and enough of it for every
        // buffer to grow.
        let filler = value.repeat(200);
        let text = format!(
            "A={value}\nB=\"{value}\\\\ \" # c\nC='{value}'\nD=x${{A}}y\nE=\"${{A}}${{B}}\"\r\nF={filler}\nA=1\n"
        );
        let path = file(directory.path(), &format!("{dialect}.env"), &text);
        let process = Loaded::start(&[&format!("dialect {dialect} {path}")], PLAIN);
        assert!(process.says.starts_with("loaded "), "{dialect}: {}", process.says);
        assert!(process.says.contains(&format!("F:{:016x}:", hash(filler.as_bytes()))), "{dialect}");
        process.has_no_copy_of(&value);
    }
}

fn a_file_leaves_no_copy() {
    let directory = tempfile::tempdir().unwrap();
    let value = made_up();
    let path = file(directory.path(), "key", &format!("{value}\n"));
    let process = Loaded::start(&[&format!("secret A=file:{path}")], PLAIN);
    let origin = format!("file:{path}");
    assert_eq!(process.says, loaded(&[("A", &value, &origin)]));
    process.has_no_copy_of(&value);
}

fn standard_input_leaves_no_copy() {
    let value = made_up();
    let setup = Setup { stdin: Some(&format!("{value}\n")), ..PLAIN };
    let process = Loaded::start(&["secret A=stdin"], setup);
    assert_eq!(process.says, loaded(&[("A", &value, "stdin")]));
    process.has_no_copy_of(&value);
}

fn standard_input_is_read_once() {
    let setup = Setup { stdin: Some("x"), ..PLAIN };
    let process = Loaded::start(&["secret A=stdin", "secret B=stdin"], setup);
    assert_eq!(
        process.says,
        "error: cannot read B from standard input, which another secret was read from already; \
         use fd:N for one of them"
    );
}

fn a_descriptor_is_read_and_closed() {
    let directory = tempfile::tempdir().unwrap();
    let value = made_up();
    let path = file(directory.path(), "key", &value);
    let setup = Setup { redirections: &format!("7<{path}"), ..PLAIN };
    let process = Loaded::start(&["secret A=fd:7"], setup);
    assert_eq!(process.says, loaded(&[("A", &value, "fd:7")]));
    process.has_no_copy_of(&value);
    let descriptors = format!("/proc/{}/fd", process.child.id());
    assert!(Path::new(&format!("{descriptors}/9")).exists());
    assert!(!Path::new(&format!("{descriptors}/7")).exists());
}

fn descriptors_not_handed_over_are_told() {
    for (arguments, number, cause) in [
        (
            &["secret A=fd:7"][..],
            7,
            "Bad file descriptor (os error 9); open it for envward in the shell, as in N< FILE",
        ),
        (
            &["secret A=fd:0"],
            0,
            "Device or resource busy (os error 16); fd:N is for a descriptor from 3 up that the \
             caller hands over, and is read once (for descriptor 0 use stdin)",
        ),
        (
            &["secret B=fd:8", "secret A=fd:8"],
            8,
            "Bad file descriptor (os error 9); open it for envward in the shell, as in N< FILE",
        ),
    ] {
        let setup = Setup { redirections: "8</dev/null", ..PLAIN };
        let process = Loaded::start(arguments, setup);
        let expected = format!("error: cannot read A from descriptor {number}: {cause}");
        assert_eq!(process.says, expected);
    }
}

fn the_environment_is_emptied() {
    let value = made_up();
    let stays = made_up();
    let env = [("TOKEN", value.as_str()), ("OTHER", &stays)];
    let setup = Setup { env: &env, ..PLAIN };
    let process = Loaded::start(&["from-env TOKEN"], setup);
    assert_eq!(process.says, loaded(&[("TOKEN", &value, "environment")]));
    process.has_no_copy_of(&value);
    let environ = std::fs::read(format!("/proc/{}/environ", process.child.id())).unwrap();
    assert!(contains(&environ, &stays), "nothing else is wiped");
    assert!(!contains(&environ, "TOKEN="));

    let setup = Setup { env: &env, ..PLAIN };
    let process = Loaded::start(&["from-env TOKEN", "from-env TOKEN"], setup);
    assert_eq!(
        process.says,
        "error: TOKEN is not set in the environment that envward was started with; \
         export it there or leave out --from-env TOKEN"
    );
}
