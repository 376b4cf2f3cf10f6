//! What the declarations of a configuration want, held against what the sources gave. Values
//! are looked at where they lie, in the vault and in envward's own environment.

use std::ffi::{CStr, CString};
use std::path::Path;

use envward_kernel::initial_env::InitialEnv;
use envward_policy::inherit::Passage;
use envward_policy::rules::Rules;
use envward_policy::{Config, Inherit, Kind, Mismatch, Variable};
use envward_secret::{Entry, Vault};
use envward_source::{NamedReference, Reference, Source};

use super::finding::{self, Finding, Place};
use crate::failure::Failure;

/// What is declared, and what is inherited.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) variables: Vec<Variable>,
    pub(crate) inherit: Inherit,
}

/// Where the value of a declared variable is found.
pub(crate) enum Found<'a> {
    /// A source gave it.
    Vault(Entry<'a>),
    /// envward was started with it, and passes it on as it is.
    Inherited(&'a CStr),
    /// The declaration has it.
    Default,
    /// envward was started with it, and does not pass it on.
    Withheld,
    /// Nowhere.
    Nowhere,
}

impl Declared {
    pub(crate) fn new(config: &mut Config) -> Self {
        Self { variables: std::mem::take(&mut config.variables), inherit: std::mem::take(&mut config.inherit) }
    }

    /// What is declared of a variable.
    pub(crate) fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }

    /// What becomes of an inherited variable.
    pub(crate) fn passage(&self, name: &[u8]) -> Passage<'_> {
        let is_declared = self.variables.iter().any(|variable| variable.name.as_bytes() == name);
        self.inherit.passage(name, is_declared)
    }

    /// Takes secrets that no source has out of envward's own environment, if they are there: a
    /// declared secret is never passed on as a plain string.
    pub(crate) fn take_inherited(&self, vault: &mut Vault) -> Vec<Finding> {
        let wanting: Vec<&Variable> =
            self.variables.iter().filter(|one| one.secret && vault.value(&one.name).is_none()).collect();
        if wanting.is_empty() {
            return Vec::new();
        }
        let there: Vec<&Variable> = match own_environment() {
            Err(error) => return vec![Finding::new(finding::Kind::Source, error)],
            Ok(environment) => {
                let is_there = |name: &[u8]| self.passage(name) == Passage::Passes && environment.value(name).is_some();
                wanting.into_iter().filter(|variable| is_there(variable.name.as_bytes())).collect()
            }
        };
        let mut findings = Vec::new();
        for variable in there {
            let source = NamedReference { name: variable.name.clone(), reference: Reference::Env };
            if let Err(error) = source.load(vault) {
                findings.push(Finding::new(finding::Kind::Source, error).about(&variable.name));
            }
        }
        findings
    }

    /// Everything that is wrong with what is there.
    pub(crate) fn findings(&self, vault: &Vault, config: Option<&Path>, incomplete: bool) -> Vec<Finding> {
        if self.variables.is_empty() {
            return Vec::new();
        }
        let environment = match own_environment() {
            Ok(environment) => environment,
            Err(error) => return vec![Finding::new(finding::Kind::Source, error)],
        };
        let mut findings = Vec::new();
        for variable in &self.variables {
            let found = self.find(variable, vault, &environment);
            findings.extend(judge(variable, &found, vault, config, incomplete));
            if let Found::Vault(entry) = found {
                findings.extend(self.leak(variable, entry));
            }
        }
        findings
    }

    /// Where the value of a variable is.
    pub(crate) fn find<'a>(&self, variable: &'a Variable, vault: &'a Vault, environment: &'a InitialEnv) -> Found<'a> {
        let name = variable.name.as_bytes();
        if let Some(entry) = vault.entries().find(|entry| entry.name == variable.name) {
            return Found::Vault(entry);
        }
        match environment.value(name) {
            Some(value) if self.passage(name) == Passage::Passes => Found::Inherited(value),
            _ if variable.default.is_some() => Found::Default,
            Some(_) => Found::Withheld,
            None => Found::Nowhere,
        }
    }

    /// A secret in what is declared to be none.
    fn leak(&self, variable: &Variable, entry: Entry<'_>) -> Option<Finding> {
        let is_secret = |name: &&String| self.variable(name).is_none_or(|one| one.secret);
        let secret = entry.takes_in.iter().find(is_secret).filter(|_| !variable.secret)?;
        let message = format!("it is declared secret = false and takes in ${{{secret}}}, which is secret");
        Some(
            Finding::new(finding::Kind::Secret, message)
                .about(&variable.name)
                .at(Place::of_value(entry.origin, entry.place))
                .hint(format!("leave out secret = false, or declare {secret} as secret = false too")),
        )
    }

    /// Whether a rule is about a variable whose absence is told elsewhere or allowed.
    pub(crate) fn covers(&self, secret: &str) -> bool {
        self.variable(secret).is_some_and(|variable| variable.secret)
    }

    /// Takes what is no secret out of the vault, as strings `NAME=value` for the ordinary
    /// environment, and adds the defaults.
    pub(crate) fn take_plain(&self, vault: &mut Vault) -> Result<Vec<CString>, Failure> {
        let mut plain = Vec::new();
        if self.variables.iter().all(|variable| variable.secret) {
            return Ok(plain);
        }
        let environment = own_environment().map_err(Failure::own)?;
        for variable in self.variables.iter().filter(|variable| !variable.secret) {
            let value = match self.find(variable, vault, &environment) {
                Found::Vault(_) => vault.value(&variable.name),
                Found::Default => variable.default.as_deref().map(str::as_bytes),
                Found::Inherited(_) | Found::Withheld | Found::Nowhere => None,
            };
            if let Some(value) = value {
                let string = CString::new([variable.name.as_bytes(), b"=", value].concat());
                plain.push(string.map_err(|_| Failure::own(format!("{}: a NUL byte in the default", variable.name)))?);
            }
            vault.take_out(&variable.name);
        }
        Ok(plain)
    }
}

/// envward's own environment, to look at.
pub(crate) fn own_environment() -> Result<InitialEnv, String> {
    InitialEnv::acquire().map_err(|error| format!("cannot look at envward's own environment: {error}"))
}

fn judge(
    variable: &Variable,
    found: &Found<'_>,
    vault: &Vault,
    config: Option<&Path>,
    incomplete: bool,
) -> Option<Finding> {
    let name = &variable.name;
    let (outcome, place) = match found {
        Found::Vault(entry) => {
            (check(variable, vault.value(name).unwrap_or_default()), Place::of_value(entry.origin, entry.place))
        }
        Found::Inherited(value) => (check(variable, value.to_bytes()), None),
        // It was checked when the file was read.
        Found::Default => return None,
        Found::Withheld | Found::Nowhere if !variable.required => return None,
        Found::Withheld => {
            return Some(missing(variable, config, "; `deny` of [inherit] keeps the one in the environment out"));
        }
        Found::Nowhere if incomplete => {
            return Some(missing(variable, config, ", unless it is in a source that could not be read"));
        }
        Found::Nowhere => return Some(missing(variable, config, "")),
    };
    let origin = match found {
        Found::Vault(entry) if place.is_none() => format!(" ({})", entry.origin),
        Found::Inherited(_) => " (environment)".to_owned(),
        _ => String::new(),
    };
    let mismatch = outcome.err()?;
    Some(Finding::new(finding::Kind::Type, format!("{mismatch}{origin}")).about(name).at(place))
}

/// Whether a value is of its type. An empty one of an optional variable counts as none.
pub(crate) fn check(variable: &Variable, value: &[u8]) -> Result<(), Mismatch> {
    if value.is_empty() && !variable.required && variable.kind != Kind::NonEmpty {
        return Ok(());
    }
    variable.kind.check(value)
}

fn missing(variable: &Variable, config: Option<&Path>, but: &str) -> Finding {
    let purpose = variable.description.as_ref().map_or_else(String::new, |text| format!(" ({text})"));
    let place = match &variable.source {
        Some(reference) => Place::of_reference(reference),
        None => config.map(|path| Place { file: path.display().to_string(), line: Some(variable.line), column: None }),
    };
    Finding::new(finding::Kind::Missing, format!("required, and no source has it{but}{purpose}"))
        .about(&variable.name)
        .at(place)
        .hint(format!("put {} into an env file, give it a source, or declare it as required = false", variable.name))
}

/// Rules that name what no source has as a secret.
pub(crate) fn rules_without_secret(declared: &Declared, rules: &Rules, vault: &Vault) -> Vec<Finding> {
    let is_plain = |name: &str| declared.variable(name).is_some_and(|variable| !variable.secret);
    let mut findings = Vec::new();
    for rule in rules {
        let name = rule.secret();
        if is_plain(name) {
            let message = format!("the rule `{rule}` is about a variable that is declared secret = false");
            findings.push(Finding::new(finding::Kind::Rule, message).hint("leave one of the two out"));
        } else if !declared.covers(name) && !vault.entries().any(|entry| entry.name == name) {
            let message = format!("the rule `{rule}` names a secret that no source has");
            findings.push(Finding::new(finding::Kind::Rule, message).hint("correct the name, or add the source"));
        }
    }
    findings
}
