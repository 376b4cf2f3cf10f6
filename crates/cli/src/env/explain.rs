//! `envward env explain`: where the value of a variable comes from, without the value.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use envward_policy::Variable;
use envward_policy::inherit::Passage;
use envward_secret::Vault;
use serde::Serialize;

use crate::check::Sources;
use crate::failure::Failure;
use crate::output;
use crate::run;
use crate::run::declared::{self, own_environment};
use crate::run::finding::{self, Finding, Place};
use crate::run::plan::{Gathered, Plan};

/// Show where the value of a variable comes from, without the value
///
/// Takes the options of `envward run` that say where values come from. Exit status: 0 when a
/// program would get the variable, 1 when it would not, 2 for a wrong command line.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The variable
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    sources: Sources,
}

/// All that is known of a variable.
#[derive(Debug, Serialize)]
struct Explanation {
    schema: &'static str,
    name: String,
    state: State,
    /// Why it is in that state, where the state does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Where its value comes from: `app.env:3:5`, `environment`, `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(flatten)]
    place: Option<Place>,
    /// Where values come from that this one takes precedence over, the first one first.
    overrides: Vec<String>,
    /// The variables whose values are a part of this one.
    takes_in: Vec<String>,
    secret: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    declared: Option<Declaration>,
    /// Patterns of the programs that get it; none means every program.
    only: Vec<String>,
    /// Patterns of the programs that do not.
    deny: Vec<String>,
    config: Option<PathBuf>,
    /// The profile and those that it extends, it first.
    profiles: Vec<String>,
    findings: Vec<Finding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// A program gets it, in protected memory.
    Protected,
    /// A program gets it as an ordinary string.
    Plain,
    /// It is in envward's own environment, and is not passed on.
    Withheld,
    /// It has no value.
    Unset,
}

#[derive(Debug, Serialize)]
struct Declaration {
    line: usize,
    r#type: &'static str,
    required: bool,
    has_default: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fits: Option<bool>,
}

/// Explains one variable.
pub(crate) fn run(arguments: Explain) -> Result<u8, Failure> {
    run::close_own_memory().map_err(|failure| failure.with_code(Failure::NEGATIVE))?;
    let configuration = arguments
        .sources
        .configuration()
        .map_err(|findings| finding::failure(&findings).with_code(Failure::NEGATIVE))?;
    let plan = arguments.sources.plan(configuration)?;
    let explanation = explain(&plan, &arguments.name).map_err(|failure| failure.with_code(Failure::NEGATIVE))?;
    let text = if arguments.json {
        let mut text = serde_json::to_string(&explanation).map_err(|error| Failure::new(Failure::NEGATIVE, error))?;
        text.push('\n');
        text
    } else {
        explanation.render()
    };
    output::result(&text).map_err(|error| Failure::new(Failure::NEGATIVE, format!("cannot write: {error}")))?;
    Ok(if matches!(explanation.state, State::Protected | State::Plain) { 0 } else { Failure::NEGATIVE })
}

fn explain(plan: &Plan, name: &str) -> Result<Explanation, Failure> {
    // Before the sources are loaded: loading takes variables out of it.
    let was_inherited = own_environment().map_err(Failure::own)?.value(name.as_bytes()).is_some();
    let Gathered { vault, mut findings } = plan.gather()?;
    findings.retain(|finding| {
        finding.kind == finding::Kind::Source || finding.name.as_deref().is_none_or(|about| about == name)
    });
    let variable = plan.declared.variable(name);
    let patterns = |only: bool| {
        let of_it = plan.permit.0.iter().filter(|rule| rule.secret() == name && rule.is_only() == only);
        of_it.map(envward_policy::Rule::pattern).collect()
    };
    let mut explanation = Explanation {
        schema: "envward.explain/1",
        name: name.to_owned(),
        state: State::Unset,
        reason: None,
        origin: None,
        place: None,
        overrides: Vec::new(),
        takes_in: Vec::new(),
        secret: variable.is_some_and(|variable| variable.secret),
        declared: variable.map(|variable| Declaration {
            line: variable.line,
            r#type: variable.kind.name(),
            required: variable.required,
            has_default: variable.default.is_some(),
            description: variable.description.clone(),
            fits: None,
        }),
        only: patterns(true),
        deny: patterns(false),
        config: plan.config.clone(),
        profiles: plan.profiles.clone(),
        findings,
    };
    explanation.find(plan, &vault, variable, was_inherited)?;
    Ok(explanation)
}

impl Explanation {
    /// Finds its value and what that takes precedence over.
    fn find(
        &mut self,
        plan: &Plan,
        vault: &Vault,
        variable: Option<&Variable>,
        was_inherited: bool,
    ) -> Result<(), Failure> {
        let passage = plan.declared.passage(self.name.as_bytes());
        if variable.is_some_and(|variable| variable.default.is_some()) {
            self.overrides.push("default".to_owned());
        }
        let fits = |value: &[u8], declared: &mut Option<Declaration>| {
            if let (Some(variable), Some(declared)) = (variable, declared) {
                declared.fits = Some(declared::check(variable, value).is_ok());
            }
        };
        if let Some(entry) = vault.entries().find(|entry| entry.name == self.name) {
            if was_inherited && entry.origin != "environment" {
                self.overrides.push("environment".to_owned());
            }
            self.overrides.extend_from_slice(entry.overridden);
            self.takes_in = entry.takes_in.to_vec();
            self.origin = Some(match entry.place {
                Some((_, column)) => format!("{}:{column}", entry.origin),
                None => entry.origin.to_owned(),
            });
            self.place = Place::of_value(entry.origin, entry.place);
            self.secret = variable.is_none_or(|variable| variable.secret);
            self.state = if self.secret { State::Protected } else { State::Plain };
            fits(vault.value(&self.name).unwrap_or_default(), &mut self.declared);
            return Ok(());
        }
        let environment = own_environment().map_err(Failure::own)?;
        match (environment.value(self.name.as_bytes()), passage) {
            (Some(value), Passage::Passes) => {
                self.origin = Some("environment".to_owned());
                self.state = State::Plain;
                fits(value.to_bytes(), &mut self.declared);
                return Ok(());
            }
            (Some(_), Passage::Denied(pattern)) => {
                self.reason = Some(format!("it is in the environment, and the list `deny` has {pattern}"));
                self.state = State::Withheld;
            }
            (Some(_), Passage::NotListed) => {
                self.reason = Some("it is in the environment, and no list of what is inherited has it".to_owned());
                self.state = State::Withheld;
            }
            (None, _) => {}
        }
        if let Some(text) = variable.and_then(|variable| variable.default.as_deref()) {
            self.overrides.clear();
            self.origin = Some("default".to_owned());
            self.state = State::Plain;
            fits(text.as_bytes(), &mut self.declared);
        }
        Ok(())
    }

    fn render(&self) -> String {
        let mut text = format!("{}\n", self.name);
        let mut row = |label: &str, value: &str| {
            let _ = writeln!(text, "  {label:<11}{value}");
        };
        row(
            "state",
            match self.state {
                State::Protected => "a secret: programs get it in protected memory",
                State::Plain => "plain: programs get it as an ordinary string",
                State::Withheld => "withheld: programs do not get it",
                State::Unset => "no value",
            },
        );
        if let Some(reason) = &self.reason {
            row("because", reason);
        }
        if let Some(origin) = &self.origin {
            row("value from", origin);
        }
        if !self.overrides.is_empty() {
            row("instead of", &self.overrides.join(", "));
        }
        if !self.takes_in.is_empty() {
            let names: Vec<String> = self.takes_in.iter().map(|name| format!("${{{name}}}")).collect();
            row("takes in", &names.join(", "));
        }
        if let Some(declared) = &self.declared {
            let config = self.config.as_ref().map_or_else(String::new, |path| path.display().to_string());
            row("declared", &format!("{config}:{}{}", declared.line, declared.summary()));
            if let Some(description) = &declared.description {
                row("for", description);
            }
            let fits = match declared.fits {
                None => "",
                Some(true) => ": the value is one",
                Some(false) => ": the value is NOT one",
            };
            row("type", &format!("{}{fits}", declared.r#type));
        }
        if self.state == State::Protected {
            let everyone = || vec!["every program".to_owned()];
            let only = if self.only.is_empty() { everyone() } else { self.only.clone() };
            let deny = if self.deny.is_empty() { String::new() } else { format!(", but not {}", self.deny.join(", ")) };
            row("seen by", &format!("{}{deny}", only.join(", ")));
        }
        if !self.profiles.is_empty() {
            row("profile", &self.profiles.join(", which extends "));
        }
        for finding in &self.findings {
            let _ = writeln!(text, "{finding}");
        }
        text
    }
}

impl Declaration {
    fn summary(&self) -> &'static str {
        match (self.required, self.has_default) {
            (true, _) => ", required",
            (false, true) => ", with a default",
            (false, false) => ", optional",
        }
    }
}
