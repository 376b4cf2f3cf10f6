//! `envward check`: everything in configuration, sources and variables that would stop
//! `envward run`, without starting anything.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::arguments;
use crate::failure::Failure;
use crate::output;
use crate::run;
use crate::run::configuration::{Choice, Configuration};
use crate::run::finding::{Finding, Kind};
use crate::run::plan::Plan;

/// Check configuration, sources and declared variables without starting anything
///
/// Says everything that would stop `envward run`, other than what the machine lacks: mistakes in
/// envward.toml, sources that cannot be read, required variables that are missing, values that
/// are not of their type. Shows no value. Exit status: 0 when all is right, 1 when something is not, 2 for a wrong command line.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: Sources,
}

/// Where values come from, as for `envward run`.
#[derive(Debug, Args)]
pub(crate) struct Sources {
    /// Take variables from a dotenv file; may be given several times, later files win
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// The dialect of the env files, as for `run`
    #[arg(long, value_name = "DIALECT")]
    dialect: Option<String>,
    /// Run what stands in $(…) in env files, without a shell; it is an error otherwise
    #[arg(long)]
    allow_commands: bool,
    /// Take one variable from file:PATH, fd:N or stdin; wins over env files
    #[arg(long, value_name = "NAME=REF")]
    secret: Vec<OsString>,
    /// Take one variable out of envward's own environment
    #[arg(long, value_name = "NAME")]
    from_env: Vec<OsString>,
    /// Read this configuration file instead of ./envward.toml
    #[arg(long, value_name = "FILE", conflicts_with = "no_config")]
    config: Option<PathBuf>,
    /// Read no configuration file
    #[arg(long)]
    no_config: bool,
    /// Take this profile of the configuration file; without this the one that ENVWARD_PROFILE
    /// names, if any
    #[arg(long, value_name = "PROFILE", conflicts_with = "no_config")]
    profile: Option<OsString>,
    /// As for `envward run`: inherit nothing that is not named
    #[arg(long)]
    pristine: bool,
    /// As for `envward run`: inherit these variables and none that nobody names
    #[arg(long, value_name = "GLOB")]
    inherit: Vec<OsString>,
}

impl Sources {
    pub(crate) fn configuration(&self) -> Result<Configuration, Vec<Finding>> {
        let Self { config, no_config, profile, .. } = self;
        Configuration::read(Choice { file: config.as_deref(), none: *no_config, profile: profile.as_ref() })
    }

    /// What `envward run` with the same options would do.
    pub(crate) fn plan(self, configuration: Configuration) -> Result<Plan, Failure> {
        let arguments = arguments::Run {
            env_file: self.env_file,
            dialect: self.dialect,
            allow_commands: self.allow_commands,
            secret: self.secret,
            from_env: self.from_env,
            pristine: self.pristine,
            inherit: self.inherit,
            ..arguments::Run::default()
        };
        Plan::on(configuration, arguments).map_err(|failure| failure.with_code(Failure::USAGE))
    }
}

/// What was checked and what came of it.
#[derive(Debug, Serialize)]
struct Outcome {
    schema: &'static str,
    ok: bool,
    config: Option<PathBuf>,
    profile: Option<String>,
    /// The variables that a program would get from sources and declarations.
    variables: Vec<String>,
    findings: Vec<Finding>,
}

/// Checks everything and says what was found.
pub(crate) fn run(arguments: Check) -> Result<u8, Failure> {
    run::close_own_memory().map_err(|failure| failure.with_code(Failure::NEGATIVE))?;
    let outcome = match arguments.sources.configuration() {
        Ok(configuration) => check(&arguments.sources.plan(configuration)?)?,
        Err(findings) => Outcome::of(None, Vec::new(), findings),
    };
    let text = if arguments.json {
        let mut text = serde_json::to_string(&outcome).map_err(|error| Failure::new(Failure::NEGATIVE, error))?;
        text.push('\n');
        text
    } else {
        outcome.render()
    };
    output::result(&text).map_err(|error| Failure::new(Failure::NEGATIVE, format!("cannot write: {error}")))?;
    Ok(if outcome.ok { 0 } else { Failure::NEGATIVE })
}

fn check(plan: &Plan) -> Result<Outcome, Failure> {
    let gathered = plan.gather().map_err(|failure| failure.with_code(Failure::NEGATIVE))?;
    let mut names: Vec<String> = gathered.vault.entries().map(|entry| entry.name.to_owned()).collect();
    let declared = plan.declared.variables.iter().map(|variable| variable.name.clone());
    names.extend(declared.filter(|name| gathered.vault.value(name).is_none()));
    names.sort_unstable();
    names.dedup();
    Ok(Outcome::of(Some(plan), names, gathered.findings))
}

impl Outcome {
    fn of(plan: Option<&Plan>, variables: Vec<String>, findings: Vec<Finding>) -> Self {
        Self {
            schema: "envward.check/1",
            ok: findings.is_empty(),
            config: plan.and_then(|plan| plan.config.clone()),
            profile: plan.and_then(|plan| plan.profiles.first().cloned()),
            variables,
            findings,
        }
    }

    fn render(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let _ = writeln!(text, "{finding}");
        }
        let config = self.config.as_deref().unwrap_or(Path::new("no configuration file"));
        let profile = self.profile.as_ref().map_or_else(String::new, |name| format!(", profile {name}"));
        let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let _ = match self.findings.len() {
            0 => writeln!(text, "ok: {}{profile}, {}", config.display(), count(self.variables.len(), "variable")),
            found if self.findings.iter().all(|one| matches!(one.kind, Kind::Config | Kind::Profile)) => {
                writeln!(text, "{}; nothing else was checked", count(found, "finding"))
            }
            found => writeln!(
                text,
                "{} in {}{profile}, {}",
                count(found, "finding"),
                config.display(),
                count(self.variables.len(), "variable")
            ),
        };
        text
    }
}
