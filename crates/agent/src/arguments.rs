//! The command line, as typed. The doc comments are the help texts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser};
use envward_agent::output::Destination;
use envward_agent::recipe::Proof;

/// Deny and report who reads another process's environment or memory
#[derive(Debug, Parser)]
#[command(name = "envward-agent", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    Run(Run),
    Prove(Prove),
    Recipes(Recipes),
    /// Remove the programs that `run --pin` has left in the kernel
    Unload,
    Watch(Watch),
    #[command(hide = true, name = crate::watch::WATCHED)]
    Watched {
        mask: u64,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    #[command(hide = true, name = "proof-victim")]
    ProofVictim,
    #[command(hide = true, name = "proof-attacker")]
    ProofAttacker {
        proof: String,
        agent: i32,
        victims: Vec<i32>,
    },
}

/// Load the programs into the kernel, and report until stopped
///
/// Programs that `envward run` starts as root register by themselves. Exit status: 0 when
/// stopped, 1 when the programs cannot be loaded or the self-attack shows less than was
/// required, 2 for a wrong command line or configuration.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) config: Config,
    /// Protect this process and everything that it starts from now on
    #[arg(long, value_name = "PID")]
    pub(crate) protect: Vec<u32>,
    /// Keep the programs in bpffs: they go on refusing when the agent ends, until another one
    /// takes over without a gap, or `unload`
    #[arg(long)]
    pub(crate) pin: bool,
    /// Report in this format on standard output, if nothing says where else: json (one object on
    /// a line) or text
    #[arg(long, value_name = "FORMAT", default_value = "json", value_parser = ["json", "text"])]
    pub(crate) format: String,
    #[command(flatten)]
    pub(crate) reporting: Reporting,
    /// Listen for registrations here
    #[arg(long, value_name = "PATH", default_value = envward_agent::socket::SOCKET)]
    pub(crate) socket: PathBuf,
}

/// Run a command under watch: what reads its environment or memory, and what it reads of others
///
/// The command, all that it starts, and the pipeline's runner above it are protected while it
/// runs; events are shown on standard error. Exit status: the command's own, 128 and the signal's
/// number when it was killed; 125 when it cannot be watched, 126 when it cannot be executed, 127
/// when it is not found; with --ci 120 when a recipe fired.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) config: Config,
    #[command(flatten)]
    pub(crate) reporting: Reporting,
    /// Fail with 120 when a recipe fired; print annotations for GitHub when the command has ended,
    /// and add to the file that GITHUB_STEP_SUMMARY names
    #[arg(long)]
    pub(crate) ci: bool,
    /// Let this recipe fire without failing; repeatable
    #[arg(long, value_name = "RECIPE")]
    pub(crate) ignore: Vec<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Make the attack of every recipe, and show the event that came back
///
/// The attacks touch only processes that this command starts for them. Exit status: 0 when
/// every attack was answered as promised, 1 when one was not, 2 for a wrong command line.
#[derive(Debug, Args)]
pub(crate) struct Prove {
    #[command(flatten)]
    pub(crate) config: Config,
    /// Print one JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where events go.
#[derive(Debug, Args)]
pub(crate) struct Reporting {
    /// Send events there instead of where the configuration says; repeatable: json[=FILE],
    /// text[=FILE], ocsf[=FILE], github[=FILE], syslog[=SOCKET], journald[=SOCKET],
    /// prometheus[=ADDRESS:PORT], otlp[=URL]
    #[arg(long, value_name = "KIND[=TARGET]")]
    pub(crate) output: Vec<Destination>,
    /// Tell every event: no flood control
    #[arg(long)]
    pub(crate) every_event: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Read this configuration instead of /etc/envward/agent.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Refuse what is only reported otherwise: modules, signals, sweeps
    #[arg(long)]
    pub(crate) strict: bool,
    /// Require a tier: deny, or detect, which only sees; without this the stronger one that an
    /// attack on a process of the agent's own confirms
    #[arg(long, value_name = "TIER", value_parser = ["deny", "detect"])]
    pub(crate) tier: Option<String>,
    /// In the tier that only sees, kill whoever does what the other would refuse
    #[arg(long)]
    pub(crate) kill: bool,
}

/// Show what events mean and what to do about them
#[derive(Debug, Args)]
pub(crate) struct Recipes {
    /// Recipes of this directory come before the built-in ones
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) what: What,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// List the recipes
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show one recipe
    Show {
        /// Its id
        id: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// The proof with this name.
pub(crate) fn proof(name: &str) -> Option<Proof> {
    serde_json::from_value(name.into()).ok()
}
