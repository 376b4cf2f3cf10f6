//! Real servers with real passwords, and the clients that take theirs from the
//! environment. The servers listen on sockets in the test's own directory.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use envward_testkit::{Identity, PATIENCE, Room, Stage, TestSecret, Trial, stage, tool};

/// A server that ends with the test. Those that refuse to run as root run as
/// the unprivileged user, always.
struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a server with this text on its standard input.
    fn start(room: &Room, program: &Path, arguments: &[&OsStr], input: &str) -> Self {
        let log = room.path().join("server.log");
        let file = fs::File::create(&log).expect("a room takes files");
        let mut command = unprivileged(room, program);
        command.args(arguments).stdin(Stdio::piped()).stderr(file.try_clone().expect("a descriptor"));
        let mut child =
            command.stdout(file).spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        let mut stdin = child.stdin.take().expect("standard input is piped");
        stdin.write_all(input.as_bytes()).expect("the server reads its input");
        drop(stdin);
        Self { child, log }
    }

    /// Waits until `answers` says yes.
    fn wait_until(&mut self, answers: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !answers() {
            let alive = matches!(self.child.try_wait(), Ok(None));
            assert!(
                alive && Instant::now() < end,
                "the server does not answer: {}",
                fs::read_to_string(&self.log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        envward_testkit::signal("TERM", &[self.child.id()]);
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn unprivileged(room: &Room, program: &Path) -> Command {
    let home = room.directory("server", Identity::Unprivileged);
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").env("HOME", &home).current_dir(&home);
    if let Some(uid) = Identity::Unprivileged.uid() {
        command.uid(uid).gid(uid);
    }
    command
}

fn run_unprivileged(room: &Room, program: &Path, arguments: &[&OsStr]) -> Output {
    unprivileged(room, program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()))
}

fn succeed(output: &Output, what: &str) {
    assert!(
        output.status.success(),
        "{what} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// One client against one server: refused without the secret, let in with it,
/// and while a long query runs no environ of its tree holds it.
struct Client<'a> {
    stage: &'a Stage,
    secret: Arc<TestSecret>,
    /// The client with all that it needs but the query.
    command: Vec<OsString>,
    exe: PathBuf,
    /// A query with what it prints.
    question: (&'a [&'a str], &'a str),
    /// A query that takes more than a second, with what it prints.
    sleep: (&'a [&'a str], &'a [&'a str]),
}

impl Client<'_> {
    fn prove(&self) {
        self.is_refused_without();
        self.is_refused_with_another();
        for identity in [Identity::Caller, Identity::Unprivileged] {
            let mut command = self.command.clone();
            command.extend(self.question.0.iter().map(OsString::from));
            // Behind a shell: the client is a descendant.
            let shell: Vec<OsString> = ["/bin/sh", "-c", "\"$@\"; exit $?", "sh"].map(Into::into).to_vec();
            self.trial([shell, command].concat(), identity).says(&[self.question.1]).run();
            self.hold_during_a_query(identity);
        }
    }

    fn trial(&self, command: Vec<OsString>, identity: Identity) -> Trial<'_> {
        Trial::new(&self.stage.room, &self.stage.envward, &[&self.secret], command).identity(identity)
    }

    /// The environ of the client, read over and over while it waits for the
    /// server's answer.
    fn hold_during_a_query(&self, identity: Identity) {
        let mut command = self.command.clone();
        command.extend(self.sleep.0.iter().map(OsString::from));
        let trial = self.trial(command, identity);
        for leaks in [true, false] {
            let running = if leaks { trial.start_plainly() } else { trial.start_under_envward() };
            running.expect_reads(std::slice::from_ref(&self.exe), 200);
            let ended = running.finish();
            ended.expect_success();
            assert_eq!(ended.lines, self.sleep.1, "complained: {}", ended.stderr);
            if leaks {
                assert!(ended.report.leaked.contains_key(&self.exe), "{:?}", ended.report);
            } else {
                ended.expect_clean(&[&self.exe]);
            }
        }
    }

    fn is_refused_without(&self) {
        let output = self.ask(&[]);
        self.is_refused(&output);
    }

    fn is_refused_with_another(&self) {
        let wrong = TestSecret::new(self.secret.name());
        let output = self.ask(&[(wrong.name(), wrong.value())]);
        self.is_refused(&output);
    }

    fn is_refused(&self, output: &Output) {
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            !text.lines().any(|line| line == self.question.1),
            "the server lets a client in that has no password, so nothing is proven"
        );
    }

    fn ask(&self, environment: &[(&str, &str)]) -> Output {
        Command::new(&self.command[0])
            .args(&self.command[1..])
            .args(self.question.0)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("the client can be started")
    }
}

#[test]
fn postgresql_client_with_pgpassword() {
    let stage = stage!();
    let room = &stage.room;
    let sockets = room.directory("sockets", Identity::Unprivileged);
    let data = room.path().join("server/data");
    let psql = real_psql();
    let initdb = tool("initdb", "postgresql");
    let (sockets_arg, data_arg) = (sockets.as_os_str(), data.as_os_str());
    succeed(
        &run_unprivileged(
            room,
            &initdb,
            &["-D".as_ref(), data_arg, "-U".as_ref(), "owner".as_ref(), "-N".as_ref(), "-A".as_ref(), "trust".as_ref()],
        ),
        "initdb",
    );
    // Only the account of the test has a password, and only for that is it asked.
    fs::write(data.join("pg_hba.conf"), "local all owner trust\nlocal all app scram-sha-256\n")
        .expect("the data directory takes files");
    let mut server = Server::start(
        room,
        &tool("postgres", "postgresql"),
        &[
            "-D",
            &data.to_string_lossy(),
            "-k",
            &sockets.to_string_lossy(),
            "-h",
            "",
            "-c",
            "fsync=off",
            "-c",
            "shared_buffers=16MB",
        ]
        .map(OsStr::new),
        "",
    );
    let owner = |statement: &str| {
        let mut command = Command::new(&psql);
        command.args(["-X", "-q", "-U", "owner", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-h"]).arg(sockets_arg);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql can be started");
        let mut stdin = child.stdin.take().expect("standard input is piped");
        let _ = stdin.write_all(statement.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("psql ends")
    };
    server.wait_until(|| owner("select 1").status.success());
    let secret = Arc::new(TestSecret::new("PGPASSWORD"));
    let output = owner(&format!(
        "set password_encryption = 'scram-sha-256'; create role app login password '{}'",
        secret.value()
    ));
    assert!(output.status.success(), "the account is made");
    let mut command: Vec<OsString> = vec![psql.clone().into()];
    command.extend(["-X", "-w", "-A", "-t", "-U", "app", "-d", "postgres", "-h"].map(Into::into));
    command.push(sockets_arg.into());
    Client {
        stage: &stage,
        secret,
        command,
        exe: psql,
        question: (&["-c", "select 'let in as ' || current_user"], "let in as app"),
        sleep: (&["-c", "select 'woke' from pg_sleep(1.2)"], &["woke"]),
    }
    .prove();
}

/// Debian's `psql` is a script that picks a version; the client itself is in
/// that version's directory.
fn real_psql() -> PathBuf {
    let initdb = tool("initdb", "postgresql");
    let beside = fs::canonicalize(initdb).expect("initdb is there").with_file_name("psql");
    if beside.exists() { beside } else { envward_testkit::interpreter("psql", "postgresql-client") }
}

#[test]
fn redis_client_with_rediscli_auth() {
    let stage = stage!();
    let room = &stage.room;
    let socket = room.directory("sockets", Identity::Unprivileged).join("redis");
    let client = envward_testkit::interpreter("redis-cli", "redis-tools");
    let secret = Arc::new(TestSecret::new("REDISCLI_AUTH"));
    // The configuration goes in by standard input, so no file holds the secret.
    let configuration = format!(
        "port 0\nunixsocket {}\nunixsocketperm 777\nsave \"\"\nrequirepass {}\n",
        socket.display(),
        secret.value()
    );
    let mut server = Server::start(room, &tool("redis-server", "redis-server"), &["-".as_ref()], &configuration);
    server.wait_until(|| {
        Command::new(&client)
            .arg("-s")
            .arg(&socket)
            .arg("ping")
            .env_clear()
            .output()
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("NOAUTH"))
    });
    Client {
        stage: &stage,
        secret,
        command: vec![client.clone().into(), "-s".into(), socket.into()],
        exe: client,
        question: (&["ping"], "PONG"),
        sleep: (&["blpop", "no-such-list", "1.2"], &[""]),
    }
    .prove();
}

#[test]
fn mariadb_client_with_mysql_pwd() {
    let stage = stage!();
    let room = &stage.room;
    let socket = room.directory("sockets", Identity::Unprivileged).join("mariadb");
    let data = room.directory("server", Identity::Unprivileged).join("data");
    let client = envward_testkit::interpreter("mariadb", "mariadb-client");
    let data_option = OsString::from(format!("--datadir={}", data.display()));
    let socket_option = OsString::from(format!("--socket={}", socket.display()));
    succeed(
        &run_unprivileged(
            room,
            &tool("mariadb-install-db", "mariadb-server"),
            &[
                "--no-defaults".as_ref(),
                &data_option,
                "--auth-root-authentication-method=normal".as_ref(),
                "--skip-test-db".as_ref(),
                "--skip-name-resolve".as_ref(),
                "--innodb-log-file-size=4M".as_ref(),
            ],
        ),
        "mariadb-install-db",
    );
    let mut server = Server::start(
        room,
        &envward_testkit::interpreter("mariadbd", "mariadb-server"),
        &[
            "--no-defaults".as_ref(),
            &data_option,
            &socket_option,
            "--skip-networking".as_ref(),
            "--pid-file=server.pid".as_ref(),
            "--innodb-buffer-pool-size=16M".as_ref(),
            "--innodb-flush-log-at-trx-commit=0".as_ref(),
        ],
        "",
    );
    let root = |statement: &str| {
        let mut child = Command::new(&client)
            .args(["--no-defaults", "--user=root", "--batch"])
            .arg(&socket_option)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the client can be started");
        let mut stdin = child.stdin.take().expect("standard input is piped");
        let _ = stdin.write_all(statement.as_bytes());
        drop(stdin);
        child.wait().expect("the client ends").success()
    };
    server.wait_until(|| root("select 1"));
    let secret = Arc::new(TestSecret::new("MYSQL_PWD"));
    assert!(root(&format!("create user app@localhost identified by '{}'", secret.value())), "the account is made");
    let mut command: Vec<OsString> = vec![client.clone().into(), "--no-defaults".into(), socket_option];
    command.extend(["--user=app", "--batch", "--skip-column-names"].map(Into::into));
    Client {
        stage: &stage,
        secret,
        command,
        exe: client,
        question: (&["-e", "select concat('let in as ', current_user())"], "let in as app@localhost"),
        sleep: (&["-e", "select sleep(1.2)"], &["0"]),
    }
    .prove();
}
