//! What a `run` command line and configuration file come to.

use std::ffi::{CString, OsString};
use std::fs;
use std::path::PathBuf;

use envward_launch::mode::{self, Attempt, Mode};
use envward_launch::permit::Permit;
use envward_policy::config::StoreSection;
use envward_policy::inherit::NamePattern;
use envward_policy::mechanism::Selection;
use envward_policy::rules::{Rule, Rules};
use envward_policy::{Mechanism, Requirement, Requirements, reference::NamedReference};
use envward_secret::{Backing, Vault};
use envward_source::{EnvFile, FromEnv, Source};

use super::configuration::{Choice, Configuration};
use super::declared::{self, Declared};
use super::finding::{self, Finding, Kind};
use super::report;
use crate::arguments;
use crate::failure::Failure;
use crate::output;

/// A validated command.
pub(crate) struct Plan {
    pub(crate) command: Vec<OsString>,
    sources: Vec<Box<dyn Source>>,
    store: Option<StoreSection>,
    pub(crate) permit: Permits,
    pub(crate) declared: Declared,
    /// The configuration file.
    pub(crate) config: Option<PathBuf>,
    /// The profile and those that it extends, it first.
    pub(crate) profiles: Vec<String>,
    mode: Option<Mode>,
    requirements: Requirements,
    no_core: bool,
    /// Whether the preload tier was named.
    pub(crate) preload: bool,
    /// Whether secrets in the program's output are to be replaced.
    pub(crate) redact: bool,
}

/// The environment of the program.
pub(crate) struct Loaded {
    /// The secrets.
    pub(crate) vault: Vault,
    /// What is declared not to be secret: strings `NAME=value`.
    pub(crate) plain: Vec<CString>,
}

/// What came of all sources, right or wrong.
pub(crate) struct Gathered {
    pub(crate) vault: Vault,
    pub(crate) findings: Vec<Finding>,
}

/// The rules, as the launcher asks them.
#[derive(Debug)]
pub(crate) struct Permits(pub(crate) Rules);

impl Permit for Permits {
    fn is_restrictive(&self) -> bool {
        !self.0.is_empty()
    }

    fn permits(&self, secret: &str, executable: &[u8]) -> bool {
        self.0.permits(secret, executable)
    }

    fn is_targeted(&self, secret: &str) -> bool {
        self.0.restricts(secret)
    }
}

impl Plan {
    /// Reads the configuration file and puts the command line on top of it.
    pub(crate) fn new(arguments: arguments::Run) -> Result<Self, Failure> {
        let choice = Choice {
            file: arguments.config.as_deref(),
            none: arguments.no_config,
            profile: arguments.profile.as_ref(),
        };
        let configuration = Configuration::read(choice).map_err(|findings| finding::failure(&findings))?;
        Self::on(configuration, arguments)
    }

    /// Puts the command line on top of a configuration.
    pub(crate) fn on(configuration: Configuration, arguments: arguments::Run) -> Result<Self, Failure> {
        let Configuration { mut config, path } = configuration;
        let mut declared = Declared::new(&mut config);
        if arguments.pristine {
            declared.inherit.start_from_nothing();
        }
        for text in &arguments.inherit {
            declared.inherit.allow(NamePattern::parse(text).map_err(|error| option("--inherit", error))?);
        }
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        let named = arguments.dialect.as_deref().map(str::parse).transpose();
        let named = named.map_err(|error| option("--dialect", error))?;
        for path in config.env_files {
            let own = config.dialects.iter().rev().find(|(listed, _)| *listed == path).map(|(_, dialect)| *dialect);
            let file = EnvFile::new(path).dialect(own.or(config.dialect).unwrap_or_default());
            sources.push(Box::new(file.allow_commands(arguments.allow_commands)));
        }
        for path in arguments.env_file {
            let file = EnvFile::new(path).dialect(named.or(config.dialect).unwrap_or_default());
            sources.push(Box::new(file.allow_commands(arguments.allow_commands)));
        }
        for reference in config.secrets {
            sources.push(Box::new(reference));
        }
        for text in &arguments.secret {
            sources.push(Box::new(NamedReference::parse(text).map_err(|error| option("--secret", error))?));
        }
        for name in &arguments.from_env {
            sources.push(Box::new(FromEnv::parse(name).map_err(|error| option("--from-env", error))?));
        }
        if sources.is_empty() && declared.variables.is_empty() && config.store.is_none() {
            return Err(Failure::own("there are no secrets to run the program with")
                .hint("name a source: --env-file FILE, --secret NAME=file:PATH or --from-env NAME, or make a store: envward init"));
        }
        let mut rules = config.rules;
        for text in &arguments.only {
            rules.add(Rule::parse_only(text).map_err(|error| option("--only", error))?);
        }
        for text in &arguments.deny {
            rules.add(Rule::parse_deny(text).map_err(|error| option("--deny", error))?);
        }
        let mode = match &arguments.mode {
            Some(name) => Some(name.parse::<envward_policy::Mode>().map_err(|error| option("--mode", error))?),
            None => config.mode,
        };
        let preload = match arguments.tier.as_deref() {
            None | Some("injected") => false,
            Some("preload") => true,
            Some(other) => {
                return Err(option("--tier", format_args!("`{other}` is none of injected and preload")));
            }
        };
        if preload && (mode.is_some() || !rules.is_empty()) {
            return Err(Failure::own("the preload tier has no modes and keeps no rules about programs")
                .hint("leave --mode, --only and --deny out, or use the injected tier"));
        }
        if preload && arguments.redact {
            return Err(Failure::own(
                "the preload tier cannot redact: nothing of envward is left when the program runs",
            )
            .hint("leave --redact out, or use the injected tier"));
        }
        let mut requirements = Requirements::default();
        requirements.apply(&config.require, &config.best_effort).map_err(Failure::own)?;
        requirements
            .apply(&selections("--require", &arguments.require)?, &selections("--best-effort", &arguments.best_effort)?)
            .map_err(Failure::own)?;
        Ok(Self {
            command: arguments.command,
            sources,
            store: config.store,
            permit: Permits(rules),
            declared,
            config: path,
            profiles: config.profiles,
            mode: mode.map(|mode| match mode {
                envward_policy::Mode::Full => Mode::Full,
                envward_policy::Mode::Supervised => Mode::Supervised,
                envward_policy::Mode::Sealed => Mode::Sealed,
            }),
            requirements,
            no_core: arguments.no_core,
            preload,
            redact: arguments.redact,
        })
    }

    /// Takes the secrets from their sources into protected memory, and fails with everything
    /// that is wrong with them.
    pub(crate) fn load(&self) -> Result<Loaded, Failure> {
        let Gathered { mut vault, findings } = self.gather()?;
        if !findings.is_empty() {
            return Err(finding::failure(&findings));
        }
        let plain = self.declared.take_plain(&mut vault)?;
        Ok(Loaded { vault, plain })
    }

    /// Takes what can be had from the sources, and holds it against what is declared.
    pub(crate) fn gather(&self) -> Result<Gathered, Failure> {
        let mut vault = self.vault()?;
        let mut findings = Vec::new();
        if let Err(failure) = crate::store::load(self.store.as_ref(), &mut vault) {
            findings.push(Finding::failure(Kind::Source, &failure));
        }
        for source in &self.sources {
            if let Err(error) = source.load(&mut vault) {
                findings.push(Finding::source(&error));
            }
        }
        let incomplete = !findings.is_empty();
        findings.extend(self.declared.take_inherited(&mut vault));
        findings.extend(declared::rules_without_secret(&self.declared, &self.permit.0, &vault));
        findings.extend(self.declared.findings(&vault, self.config.as_deref(), incomplete));
        Ok(Gathered { vault, findings })
    }

    /// Whether core files were forbidden.
    pub(crate) fn forbids_core(&self) -> bool {
        self.no_core || self.requirements.of(Mechanism::NoCore) == Requirement::Required
    }

    fn vault(&self) -> Result<Vault, Failure> {
        match Vault::new(Backing::MemfdSecret) {
            Ok(vault) => Ok(vault),
            Err(_) if self.requirements.of(Mechanism::MemfdSecret) == Requirement::BestEffort => {
                output::error(
                    "without memfd_secret: root, and in the supervised mode the same user, can read the secrets in \
                     the memory of the programs",
                );
                Vault::new(Backing::Locked).map_err(report::no_memory)
            }
            Err(error) => Err(report::no_memory(error)),
        }
    }

    /// Decides how the program will be protected.
    pub(crate) fn protection(&self) -> Result<Protection, Failure> {
        let strongest =
            Mode::strongest().map_err(|error| Failure::own(format!("cannot read our capabilities: {error}")))?;
        let mode = match self.mode {
            Some(Mode::Full) if strongest != Mode::Full => {
                return Err(Failure::own("the full mode needs CAP_SYS_PTRACE").hint(
                    "run as root, or `sudo setcap cap_sys_ptrace=ep` on the envward binary, or use another --mode",
                ));
            }
            Some(mode) => mode,
            None => strongest,
        };
        let attempt = |mechanism, possible: bool| match (self.requirements.of(mechanism), possible) {
            (Requirement::Required, false) => {
                Err(Failure::own(format!("{mechanism} cannot be had in the {mode} mode"))
                    .hint(format!("use another --mode, or --best-effort {mechanism}")))
            }
            (Requirement::BestEffort, true) => Ok(Attempt::BestEffort),
            (_, true) => Ok(Attempt::Required),
            (_, false) => Ok(Attempt::No),
        };
        attempt(Mechanism::NonDumpable, mode != Mode::Supervised)?;
        let protection = mode::Protection {
            mode,
            supervision: attempt(Mechanism::Supervision, mode != Mode::Sealed)?,
            fork_away: attempt(Mechanism::ForkAway, mode != Mode::Supervised)?,
            forbid_core: self.forbids_core(),
        };
        self.require_setting(
            Mechanism::Yama,
            "/proc/sys/kernel/yama/ptrace_scope",
            1,
            "sysctl -w kernel.yama.ptrace_scope=1",
        )?;
        self.require_setting(
            Mechanism::PerfParanoid,
            "/proc/sys/kernel/perf_event_paranoid",
            3,
            "sysctl -w kernel.perf_event_paranoid=3",
        )?;
        Ok(Protection { launch: protection, chosen: self.mode.is_none() })
    }

    /// Checks a setting of the machine that was required.
    fn require_setting(&self, mechanism: Mechanism, path: &str, least: i32, remedy: &str) -> Result<(), Failure> {
        if self.requirements.of(mechanism) != Requirement::Required {
            return Ok(());
        }
        let value = setting(path);
        if value.is_some_and(|value| value >= least) {
            return Ok(());
        }
        let found = value.map_or_else(|| "the kernel does not have it".to_owned(), |value| format!("it is {value}"));
        Err(Failure::own(format!("{mechanism} is required: {path} must be {least} or more, and {found}"))
            .hint(format!("as root: {remedy}")))
    }
}

/// A number below `/proc/sys`.
pub(crate) fn setting(path: &str) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// How the program will be protected, and whether that was our choice.
pub(crate) struct Protection {
    launch: mode::Protection,
    chosen: bool,
}

impl Protection {
    pub(crate) const fn for_launch(&self) -> mode::Protection {
        self.launch
    }

    /// Says in one line what stays open, when a weaker mode was chosen for the user.
    pub(crate) fn announce(&self) {
        if self.chosen && self.launch.mode == Mode::Supervised {
            report::supervised_mode();
        }
    }
}

fn option(name: &str, error: impl std::fmt::Display) -> Failure {
    Failure::own(format!("{name}: {error}"))
}

fn selections(option_name: &str, names: &[String]) -> Result<Vec<Selection>, Failure> {
    names.iter().map(|name| name.parse().map_err(|error| option(&format!("{option_name} {name}"), error))).collect()
}
