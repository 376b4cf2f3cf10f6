//! One command, proven twice: plainly started it leaks, under envward not.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::launch::{Ended, Identity, Launch, Running};
use crate::room::Room;
use crate::secret::TestSecret;
use crate::tool::{Capability, tool};
use crate::watch::Report;

/// Each environ must have been read this often while its program held still.
const READS: u64 = 50;

/// A command that reports what it sees of a secret, one line for each program
/// in it, and then waits for the end of its standard input.
pub struct Trial<'a> {
    room: &'a Room,
    envward: PathBuf,
    secrets: Vec<Arc<TestSecret>>,
    identity: Identity,
    mode: Option<&'static str>,
    options: Vec<OsString>,
    command: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    lines: Vec<String>,
    plain_lines: Option<Vec<String>>,
    last_lines: Vec<String>,
    holders: Vec<PathBuf>,
    plain_hit: bool,
}

impl<'a> Trial<'a> {
    /// A trial of `command` with one or more secrets.
    #[must_use]
    pub fn new<I>(room: &'a Room, envward: &Path, secrets: &[&Arc<TestSecret>], command: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        Self {
            room,
            envward: envward.to_owned(),
            secrets: secrets.iter().map(|secret| Arc::clone(secret)).collect(),
            identity: Identity::Caller,
            mode: None,
            options: Vec::new(),
            command: command.into_iter().map(Into::into).collect(),
            variables: Vec::new(),
            lines: Vec::new(),
            plain_lines: None,
            last_lines: Vec::new(),
            holders: Vec::new(),
            plain_hit: true,
        }
    }

    /// Who runs it.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// Another mode than the strongest that `identity` can have.
    #[must_use]
    pub fn mode(mut self, mode: &'static str) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Further options of `envward run`.
    #[must_use]
    pub fn options<I>(mut self, options: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        self.options.extend(options.into_iter().map(Into::into));
        self
    }

    /// An ordinary variable in its environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// The lines that it says before it holds still.
    #[must_use]
    pub fn says(mut self, lines: &[&str]) -> Self {
        self.lines = lines.iter().map(ToString::to_string).collect();
        self
    }

    /// The lines that it says after it held still.
    #[must_use]
    pub fn finally(mut self, lines: &[&str]) -> Self {
        self.last_lines = lines.iter().map(ToString::to_string).collect();
        self
    }

    /// The lines that it says when started plainly, where they differ.
    #[must_use]
    pub fn plainly_says(mut self, lines: &[&str]) -> Self {
        self.plain_lines = Some(lines.iter().map(ToString::to_string).collect());
        self
    }

    /// The executables that hold still after the last line, as
    /// `/proc/PID/exe` names them. Their environ must have been read, with its
    /// ordinary contents, under envward and plainly; plainly each must have
    /// held the secret.
    #[must_use]
    pub fn holders(mut self, executables: &[&Path]) -> Self {
        self.holders = executables.iter().map(|exe| exe.to_path_buf()).collect();
        self
    }

    /// For commands whose holders do not get the secret: the plain run must
    /// leak somewhere, but not in each holder.
    #[must_use]
    pub fn holders_have_none(mut self) -> Self {
        self.plain_hit = false;
        self
    }

    /// Runs it plainly, then under envward; returns the latter's end.
    pub fn run(self) -> Ended {
        self.run_plainly();
        self.run_under_envward()
    }

    /// The negative control: the program sees the secret and so does procfs.
    pub fn run_plainly(&self) {
        let lines = self.plain_lines.as_ref().unwrap_or(&self.lines);
        let ended = self.follow(self.start_plainly(), lines, |report| {
            let leaks = |exe: &PathBuf| report.leaked.contains_key(exe);
            report.hit_count > 0 && (!self.plain_hit || self.holders.iter().all(leaks))
        });
        ended.expect_success();
        assert!(
            ended.report.hit_count > 0,
            "started plainly, this command shows no secret in any environ: \
             the trial would prove nothing. {:?}",
            ended.report
        );
        if self.plain_hit {
            for exe in &self.holders {
                assert!(
                    ended.report.leaked.contains_key(exe),
                    "started plainly, {} shows no secret: {:?}",
                    exe.display(),
                    ended.report
                );
            }
        }
    }

    /// The claim: the program sees the secret and procfs does not.
    pub fn run_under_envward(&self) -> Ended {
        let ended = self.follow(self.start_under_envward(), &self.lines, |_| false);
        ended.expect_success();
        let holders: Vec<&Path> = self.holders.iter().map(PathBuf::as_path).collect();
        ended.expect_clean(&holders);
        ended
    }

    /// Starts the command with the secrets in its environment as anyone does.
    #[must_use]
    pub fn start_plainly(&self) -> Running {
        let mut argv = vec![OsString::from("/usr/bin/env")];
        argv.extend(self.secrets.iter().map(|secret| format!("{}={}", secret.name(), secret.value()).into()));
        argv.extend(self.command.iter().cloned());
        self.launch(argv)
    }

    /// Starts the command under `envward run`.
    #[must_use]
    pub fn start_under_envward(&self) -> Running {
        self.launch(self.envward_command())
    }

    /// The command line of [`Trial::start_under_envward`].
    #[must_use]
    pub fn envward_command(&self) -> Vec<OsString> {
        let secrets: Vec<&TestSecret> = self.secrets.iter().map(|secret| &**secret).collect();
        let mut argv: Vec<OsString> = vec![
            self.program().into(),
            "run".into(),
            "--no-config".into(),
            "--mode".into(),
            self.mode.unwrap_or_else(|| strongest_mode(self.identity)).into(),
            "--env-file".into(),
            self.room.env_file(&secrets, self.identity),
        ];
        argv.extend(self.options.iter().cloned());
        argv.push("--".into());
        argv.extend(self.command.iter().cloned());
        argv
    }

    fn launch(&self, argv: Vec<OsString>) -> Running {
        let mut launch = Launch::new(self.room, &self.secrets, self.identity, argv);
        for (name, value) in &self.variables {
            launch = launch.with(name, value);
        }
        launch.start()
    }

    fn follow(&self, mut running: Running, lines: &[String], found: impl Fn(&Report) -> bool) -> Ended {
        running.expect(lines);
        running.expect_reads(&self.holders, READS);
        // A plain run is over as soon as it is found out; one that is never
        // found out gets the chance twice.
        if !found(&running.watch().report()) {
            running.expect_reads(&self.holders, READS);
        }
        let ended = running.finish();
        let all: Vec<&String> = lines.iter().chain(&self.last_lines).collect();
        assert!(
            ended.lines.iter().eq(all.iter().copied()),
            "it said {:?}, not {all:?}; complained: {}",
            ended.lines,
            ended.stderr
        );
        ended
    }

    /// The binary; in the room where the user could not enter the build directory,
    /// or where the copy is to have a capability.
    fn program(&self) -> PathBuf {
        let place = |name: &str, make: &dyn Fn(&str) -> PathBuf| {
            let path = self.room.path().join(name);
            if path.exists() { path } else { make(name) }
        };
        match self.identity {
            _ if self.identity.uid().is_none() => self.envward.clone(),
            Identity::Capable => place("envward-capable", &|name| {
                let copy = self.room.place_as(&self.envward, name);
                give_capability(&copy);
                copy
            }),
            _ => place("envward", &|name| self.room.link_as(&self.envward, name)),
        }
    }
}

fn give_capability(program: &Path) {
    let output = Command::new(tool("setcap", "libcap2-bin"))
        .arg("cap_sys_ptrace=ep")
        .arg(program)
        .output()
        .expect("setcap can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The strongest mode that a user can have: full needs the capability.
fn strongest_mode(identity: Identity) -> &'static str {
    match identity {
        Identity::Caller if Capability::Ptrace.is_ours() => "full",
        Identity::Capable => "full",
        _ => "supervised",
    }
}
