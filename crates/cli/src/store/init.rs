//! `envward init`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use envward_store::recipient::WORK_FACTOR;
use envward_store::{Key, Recipient, StoreError, draft, file, identity, now};
use serde_json::json;

use crate::failure::Failure;

use super::session::{first_line, read_identity};
use super::{Place, code, confined, failure, print, print_json, prompt};

/// Make a store for secrets, and an identity that opens it
///
/// The identity is a file that only you can read, outside of the project; one that exists is
/// used. The store is one encrypted text file that may be put under version control.
/// envward.toml is made, or gets a [store] table, so that `envward run` needs no flags.
#[derive(Debug, Args)]
pub(crate) struct Init {
    #[command(flatten)]
    place: Place,
    /// Somebody else who can open the store: age1…, ssh-ed25519 … or ssh-rsa …; repeatable
    #[arg(long, value_name = "KEY")]
    recipient: Vec<String>,
    /// Encrypt the store to a passphrase instead of identities
    #[arg(long, conflicts_with_all = ["recipient", "identity"])]
    passphrase: bool,
    /// The work for each try at the passphrase, as a power of two (10 to 20)
    #[arg(long, value_name = "N", default_value_t = WORK_FACTOR, value_parser = clap::value_parser!(u8).range(10..=20))]
    work_factor: u8,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Init) -> Result<u8, Failure> {
    let located = arguments.place.locate()?;
    let configured = arguments.place.read()?.store.is_some();
    confined(located.backing, || {
        let store = &located.store;
        if store.exists() {
            return Err(StoreError::Exists { path: store.clone() }.into());
        }
        let mut made = None;
        let mut used = None;
        let mut recipients = Vec::new();
        if arguments.passphrase || arguments.place.passphrase_file.is_some() {
            let passphrase = match &arguments.place.passphrase_file {
                Some(path) => first_line(path)?,
                None => prompt::new_passphrase()?,
            };
            recipients.push(Recipient::passphrase(passphrase, arguments.work_factor));
        } else {
            for path in &located.identities {
                if !path.exists() {
                    make_identity(path)?;
                    made = Some(path.clone());
                }
                recipients.extend(identity::recipients(&read_identity(path)?, path)?);
                used = Some(path.clone());
            }
            for text in &arguments.recipient {
                let recipient = Recipient::parse(text)?;
                if !recipients.iter().any(|known| known.key() == recipient.key()) {
                    recipients.push(recipient);
                }
            }
        }
        if recipients.is_empty() {
            return Err(
                failure(code::LOCKED, "there is no home directory for an identity").hint("name one: --identity FILE")
            );
        }
        let text = draft::empty(&Key::generate()?, &recipients)?;
        file::create(store, text.as_bytes(), 0o666)?;
        let config = if configured { None } else { configure(arguments, store)? };
        report(arguments, store, used.as_deref(), made.is_some(), config.as_deref(), &recipients)
    })
}

fn make_identity(path: &Path) -> Result<(), Failure> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        let made =
            std::os::unix::fs::DirBuilderExt::mode(fs::DirBuilder::new().recursive(true), 0o700).create(directory);
        made.map_err(|error| failure(code::FILE, format!("cannot make {}: {error}", directory.display())))?;
    }
    let (text, _) = identity::generate(&now());
    file::create(path, text.as_bytes(), 0o600)?;
    Ok(())
}

/// Has envward.toml name the store; says which file was written.
fn configure(arguments: &Init, store: &Path) -> Result<Option<PathBuf>, Failure> {
    if arguments.place.no_config {
        return Ok(None);
    }
    let path = arguments.place.config.clone().unwrap_or_else(|| "envward.toml".into());
    // Paths in the file are relative to where it is.
    let here = path.parent().is_none_or(|directory| directory.as_os_str().is_empty());
    let named = if here { store.to_owned() } else { std::path::absolute(store).unwrap_or_else(|_| store.to_owned()) };
    let Some(named) = named.to_str() else { return Ok(None) };
    let mut table = format!("[store]\npath = {}\n", quoted(named));
    if let Some(identity) = arguments.place.identity.first().and_then(|path| std::path::absolute(path).ok())
        && let Some(identity) = identity.to_str()
    {
        table.push_str(&format!("identity = {}\n", quoted(identity)));
    }
    match fs::read_to_string(&path) {
        Ok(text) => {
            let text = format!("{}\n\n{table}", text.trim_end());
            file::Locked::acquire(&path)?.replace(text.as_bytes())?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => file::create(&path, table.as_bytes(), 0o666)?,
        Err(error) => return Err(failure(code::FILE, format!("cannot read {}: {error}", path.display()))),
    }
    Ok(Some(path))
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn report(
    arguments: &Init,
    store: &Path,
    identity: Option<&Path>,
    made: bool,
    config: Option<&Path>,
    recipients: &[Recipient],
) -> Result<u8, Failure> {
    let keys: Vec<&str> = recipients.iter().map(Recipient::text).collect();
    if arguments.json {
        print_json(&json!({
            "store": store.to_string_lossy(),
            "identity": identity.map(Path::to_string_lossy),
            "identity_made": made,
            "config": config.map(Path::to_string_lossy),
            "recipients": keys,
        }))?;
        return Ok(0);
    }
    let mut text = format!("store     {}\n", store.display());
    if let Some(identity) = identity {
        let what = if made { "made; keep a copy in a safe place: without it the secrets are lost" } else { "used" };
        text.push_str(&format!("identity  {} ({what})\n", identity.display()));
    }
    for key in keys {
        text.push_str(&format!("recipient {key}\n"));
    }
    if let Some(config) = config {
        text.push_str(&format!("config    {} ([store] added)\n", config.display()));
    }
    text.push_str("next: envward set NAME, then envward run -- COMMAND\n");
    print(text.as_bytes())?;
    Ok(0)
}
