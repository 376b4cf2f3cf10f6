//! The examples: a git hook, the same for the pre-commit framework, direnv, a systemd unit.
//!
//! Needs root (another user), git, pre-commit, direnv and systemd's tools.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code: a failed expectation ends the test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use envward_testkit::{Room, TestSecret, require_root, tool};

/// A user of these tests' own.
const USER: u32 = 64245;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

/// A directory with envward in `bin`, and a home.
struct Stage {
    room: Room,
    path: String,
}

impl Stage {
    fn new() -> Self {
        let room = Room::new();
        fs::create_dir(room.path().join("bin")).unwrap();
        let _ = room.place_as(Path::new(env!("CARGO_BIN_EXE_envward")), "bin/envward");
        let path = format!("{}/bin:/usr/local/bin:/usr/bin:/bin", room.path().display());
        Self { room, path }
    }

    fn directory(&self, name: &str) -> PathBuf {
        let path = self.room.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn command(&self, program: &str, package: &str, directory: &Path) -> Command {
        let mut command = Command::new(tool(program, package));
        command.env_clear().env("PATH", &self.path).env("HOME", self.room.path()).current_dir(directory);
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("XDG_CACHE_HOME", self.room.path().join("cache"));
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.org");
        }
        command.stdin(Stdio::null());
        command
    }

    fn git(&self, directory: &Path, arguments: &[&str]) -> Output {
        self.command("git", "git", directory).args(arguments).output().unwrap()
    }

    fn repository(&self, name: &str) -> PathBuf {
        let directory = self.directory(name);
        succeed(&self.git(&directory, &["init", "--quiet", "--initial-branch=main"]));
        directory
    }

    /// Commits a file; the hook may have something against that.
    fn commit(&self, directory: &Path, file: &str, text: &str) -> Output {
        fs::write(directory.join(file), text).unwrap();
        succeed(&self.git(directory, &["add", file]));
        self.git(directory, &["commit", "--quiet", "--message", "test"])
    }
}

fn succeed(output: &Output) {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is refused and what is not, whichever way the hook was installed.
fn commits_are_checked(stage: &Stage, directory: &Path) {
    let secret = TestSecret::new("DB_PASSWORD");
    succeed(&stage.commit(directory, "README", "A project.\n"));
    succeed(&stage.commit(directory, "main.py", "password = os.environ['DB_PASSWORD']\nprint('token:', kind)\n"));
    let line = format!("# settings\nDB_PASSWORD={}\n", secret.value());
    let refused = stage.commit(directory, ".env", &line);
    assert!(!refused.status.success());
    let said = text(&[refused.stdout, refused.stderr].concat());
    assert!(said.contains(".env:2 DB_PASSWORD"), "{}", secret.redact(&said));
    assert!(!secret.is_in(said.as_bytes()));
    // Taken out of the index, it is no obstacle; nor what was there before.
    succeed(&stage.git(directory, &["reset", "--quiet", ".env"]));
    succeed(&stage.commit(directory, "other", "DB_PASSWORD=changeme\n"));
    succeed(&stage.git(directory, &["add", ".env"]));
    succeed(&stage.git(directory, &["commit", "--quiet", "--no-verify", "--message", "in spite of it"]));
    succeed(&stage.commit(directory, ".env", &format!("{line}PORT=80\n")));
}

#[test]
fn a_git_hook_refuses_plaintext_secrets() {
    let stage = Stage::new();
    let directory = stage.repository("project");
    let _ = stage.room.write("project/.git/hooks/pre-commit", fs::read(example("git/pre-commit")).unwrap(), 0o755);
    commits_are_checked(&stage, &directory);
    let secret = TestSecret::new("SOME_TOKEN");
    let line = format!("SOME_TOKEN={}\n", secret.value());
    assert!(!stage.commit(&directory, "ci.env", &line).status.success());
    fs::write(directory.join(".envward-allow"), "# reviewed\npath=ci.env name=SOME_TOKEN\n").unwrap();
    succeed(&stage.commit(&directory, "ci.env", &line));
    // Outside of a repository nothing can be said.
    let outside = stage.command("env", "coreutils", stage.room.path()).args(["envward", "scan", "--staged"]).output();
    assert_eq!(outside.unwrap().status.code(), Some(3));
}

#[test]
fn the_pre_commit_framework_refuses_plaintext_secrets() {
    let stage = Stage::new();
    let hooks = stage.repository("hooks");
    let definition = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.pre-commit-hooks.yaml");
    succeed(&stage.commit(&hooks, ".pre-commit-hooks.yaml", &fs::read_to_string(definition).unwrap()));
    let revision = text(&stage.git(&hooks, &["rev-parse", "HEAD"]).stdout);
    let directory = stage.repository("project");
    let config =
        format!("repos:\n- repo: {}\n  rev: {}\n  hooks:\n  - id: envward-scan\n", hooks.display(), revision.trim());
    fs::write(directory.join(".pre-commit-config.yaml"), config).unwrap();
    succeed(&stage.command("pre-commit", "pre-commit", &directory).arg("install").output().unwrap());
    succeed(&stage.git(&directory, &["add", ".pre-commit-config.yaml"]));
    commits_are_checked(&stage, &directory);
}

#[test]
fn direnv_keeps_secrets_out_of_the_shell() {
    let stage = Stage::new();
    let secret = TestSecret::new("APP_TOKEN");
    let directory = stage.directory("project");
    let copied = Command::new("cp").arg("-R").arg(example("direnv/.")).arg(&directory).status().unwrap();
    assert!(copied.success());
    fs::write(directory.join("app.env"), format!("APP_TOKEN={}\n", secret.value())).unwrap();
    let direnv = |arguments: &[&str]| {
        let output = stage.command("direnv", "direnv", &directory).args(arguments).output().unwrap();
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{}", secret.redact(&said));
        text(&output.stdout)
    };
    direnv(&["allow", "."]);
    let shell = direnv(&["exec", ".", "sh", "-c", "cat /proc/$$/environ"]);
    assert!(shell.contains("APP_PORT=8080") && !secret.is_in(shell.as_bytes()));
    // The program has it, and its file does not show it.
    let check = "printf %s \"$APP_TOKEN\" | sha256sum; tr '\\0' '\\n' < /proc/$$/environ";
    let program = direnv(&["exec", ".", "with-secrets", "sh", "-c", check]);
    assert!(program.starts_with(&secret.digest()) && program.contains("APP_PORT=8080"));
    assert!(!secret.is_in(program.as_bytes()));
}

/// The value of a setting of the unit.
fn setting<'a>(unit: &'a str, name: &str) -> &'a str {
    let value = unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("the unit has no {name}"))
}

/// systemd is not process 1 where tests run: its own checker reads the unit, and what the unit
/// says is done here: the credential's directory, the user, the limit, the notification socket.
#[test]
fn the_systemd_unit_starts_a_service_that_has_its_secrets() {
    require_root("another user, a file capability");
    let stage = Stage::new();
    let secret = TestSecret::new("APP_TOKEN");
    // It says that it is ready and waits until somebody has looked.
    let app = format!(
        "#!/bin/sh\ntest \"$(printf %s \"$APP_TOKEN\" | sha256sum)\" = '{}  -' || exit 9\n\
         echo \"$$ $(ulimit -l)\" > \"$SEEN\"\nsystemd-notify --ready --no-block\n\
         while [ -e \"$SEEN\" ]; do sleep 0.05; done\n",
        secret.digest()
    );
    let app = stage.room.write("bin/app", app, 0o755);
    let envward = stage.room.path().join("bin/envward");
    let unit = fs::read_to_string(example("systemd/app.service")).unwrap();
    let unit = unit
        .replace("/usr/local/bin/envward", envward.to_str().unwrap())
        .replace("/usr/local/bin/app", app.to_str().unwrap());
    let file = stage.room.write("app.service", unit.replace("User=app", "User=daemon"), 0o644);
    let verified =
        stage.command("systemd-analyze", "systemd", stage.room.path()).args(["verify", "--man=no"]).arg(&file).output();
    let verified = verified.unwrap();
    assert!(verified.status.success() && verified.stderr.is_empty(), "{}", text(&verified.stderr));
    assert_eq!((setting(&unit, "Type"), setting(&unit, "NotifyAccess")), ("notify", "main"));
    assert_eq!((setting(&unit, "LimitMEMLOCK"), setting(&unit, "NoNewPrivileges")), ("8M", "no"));

    // What `envward doctor` says, done.
    let setcap = Command::new(tool("setcap", "libcap2-bin")).arg("cap_sys_ptrace=ep").arg(&envward).status().unwrap();
    assert!(setcap.success());
    let credentials = stage.directory("credentials");
    let (credential, _) = setting(&unit, "LoadCredential").split_once(':').unwrap();
    let credential = credentials.join(credential);
    fs::write(&credential, format!("APP_TOKEN={}\n", secret.value())).unwrap();
    let seen = stage.directory("seen").join("environ");
    for path in [&credentials, &credential, &seen.parent().unwrap().to_owned()] {
        std::os::unix::fs::chown(path, Some(USER), Some(USER)).unwrap();
    }
    let address = stage.room.path().join("notify");
    let socket = UnixDatagram::bind(&address).unwrap();
    std::os::unix::fs::chown(&address, Some(USER), Some(USER)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let start = setting(&unit, "ExecStart").replace("%d", credentials.to_str().unwrap());
    let words: Vec<&str> = start.split(' ').collect();
    let mut service = stage.command("prlimit", "util-linux", Path::new("/"));
    service.args(["--memlock=8388608:8388608", "--"]).args(&words).env("SEEN", &seen);
    service.env("NOTIFY_SOCKET", &address).env("CREDENTIALS_DIRECTORY", &credentials);
    let mut service = service.uid(USER).gid(USER).spawn().unwrap();
    let mut message = [0; 256];
    let length = socket.recv(&mut message).unwrap();
    assert!(text(&message[..length]).contains("READY=1"));
    let told = fs::read_to_string(&seen).unwrap();
    let (program, limit) = told.trim().split_once(' ').unwrap();
    assert_eq!(limit, "8192", "the unit's limit, in KiB");
    let environ = fs::read(format!("/proc/{program}/environ")).unwrap();
    assert!(text(&environ).contains("CREDENTIALS_DIRECTORY=") && !secret.is_in(&environ));
    fs::remove_file(&seen).unwrap();
    assert_eq!(service.wait().unwrap().code(), Some(0));
}

/// The colours of every command that has some, on a terminal and off it.
#[test]
fn colours_are_for_terminals() {
    let stage = Stage::new();
    let envward = stage.room.path().join("bin/envward");
    let link = stage.room.path().join("with blanks");
    symlink(&envward, &link).unwrap();
    let pid = std::process::id().to_string();
    for (line, forced) in [
        (&["status", &pid][..], true),
        (&["doctor"], true),
        (&["scan", "--pid", &pid], true),
        (&["status", "--json", &pid], false),
        (&["doctor", "--json"], false),
        (&["scan", "--json", "--pid", &pid], false),
    ] {
        let run = |variables: &[(&str, &str)]| {
            let mut command = Command::new(&envward);
            command.args(line).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").stdin(Stdio::null());
            command.envs(variables.iter().copied()).output().unwrap().stdout.contains(&0x1b)
        };
        assert!(!run(&[]), "{line:?}: not a terminal");
        assert_eq!(run(&[("CLICOLOR_FORCE", "1")]), forced, "{line:?}");
        assert!(!run(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), "{line:?}");
        // A terminal of its own (script(1)).
        let words: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        let typed = format!("'{}' {}", link.display(), words.join(" "));
        let on_terminal = |no_color: bool| {
            let mut command = stage.command("script", "bsdutils", stage.room.path());
            command.args(["--quiet", "--command", &typed, "/dev/null"]).env("TERM", "xterm");
            if no_color {
                command.env("NO_COLOR", "1");
            }
            command.output().unwrap().stdout.contains(&0x1b)
        };
        assert_eq!((on_terminal(false), on_terminal(true)), (forced, false), "{line:?}");
    }
    // Errors, too.
    let failing = |force: &str| {
        let mut command = Command::new(&envward);
        command.args(["status", "2147483646"]).env("CLICOLOR_FORCE", force).env_remove("NO_COLOR");
        command.output().unwrap().stderr
    };
    assert!(failing("1").starts_with(b"\x1b[1;31menvward:\x1b[0m ") && failing("").starts_with(b"envward: "));
}

/// With a git that takes its time.
#[test]
fn what_takes_long_shows_how_far_it_is_on_terminals() {
    let stage = Stage::new();
    let slow = "#!/bin/sh\nprintf '+++ b/x\\n@@ -0,0 +1,3 @@\\n+a\\n'\nsleep 1.2\nprintf '+b\\n+c\\n'\n";
    let _ = stage.room.write("bin/git", slow, 0o755);
    let scan = "envward scan --staged";
    let mut terminal = stage.command("script", "bsdutils", stage.room.path());
    let shown = terminal.args(["--quiet", "--command", scan, "/dev/null"]).env("TERM", "xterm").output().unwrap();
    assert!(text(&shown.stdout).contains("scanning staged lines: 1"), "{}", text(&shown.stdout));
    let mut plain = stage.command("sh", "dash", stage.room.path());
    let silent = plain.args(["-c", scan]).output().unwrap();
    assert_eq!((text(&silent.stderr).as_str(), silent.status.code()), ("", Some(0)));
}
