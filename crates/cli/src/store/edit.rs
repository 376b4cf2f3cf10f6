//! `envward edit`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use envward_kernel::{namespace, prctl, random, signal};
use envward_secret::Vault;
use envward_store::file::{self, Locked};
use envward_store::{Document, Draft, Key, State, StoreError, note, now, record};

use crate::failure::Failure;
use crate::output;

use super::place::{Located, state_directory};
use super::{Place, code, confined, export, failure, hold_signals, import, prompt};

/// Edit all secrets in your editor ($VISUAL, $EDITOR or vi)
///
/// The editor gets an env file in a file system that lives in memory, is never swapped, and that
/// only the editor and its children see. What the editor itself keeps elsewhere (swap files,
/// backups, histories) is its own: vim and nvim are told not to.
#[derive(Debug, Args)]
pub(crate) struct Edit {
    #[command(flatten)]
    place: Place,
    /// Begin with what is in the store, not with an edit that could not be saved before
    #[arg(long)]
    discard_draft: bool,
}

const HEAD: &str = "# The secrets of this store, as an env file. Lines that are removed remove secrets;\n\
                    # values in single quotes are taken as they are. Exit without saving to change nothing.\n";

pub(super) fn run(arguments: &Edit) -> Result<u8, Failure> {
    let located = arguments.place.locate()?;
    let draft = draft_path(&located);
    if arguments.discard_draft
        && let Some(draft) = &draft
    {
        let _ = fs::remove_file(draft);
    }
    // Encrypted: what is in the store now, to see later who changed what.
    let base = located.text()?;
    let room = Room::new()?;
    let path = room.directory.join("secrets.env");
    let code = confined(located.backing, || write(&located, &base, draft.as_deref(), &path))?;
    if code != 0 {
        return Ok(code);
    }
    loop {
        if !edit(&path)? {
            output::error("the editor failed; nothing was changed");
            return Ok(code::ABSENT);
        }
        let code = confined(located.backing, || save(&located, &base, &path))?;
        if matches!(code, 0 | code::CHANGED) {
            if let Some(draft) = &draft {
                let _ = fs::remove_file(draft);
            }
            return Ok(code);
        }
        let again = prompt::question("Edit again? [Y/n] ");
        if again.is_some_and(|answer| !answer.trim().starts_with(['n', 'N'])) {
            continue;
        }
        let kept = confined(located.backing, || keep(&located, &base, draft.as_deref(), &path))?;
        return Ok(if kept == 0 { code } else { kept });
    }
}

/// Writes what is to be edited.
fn write(located: &Located, base: &[u8], draft: Option<&Path>, path: &Path) -> Result<u8, Failure> {
    let document = located.document(base)?;
    let key = located.key(&document, &located.identities(document.recipients())?)?;
    let kept = draft.and_then(|draft| fs::read_to_string(draft).ok()).and_then(|kept| note::open(&key, &kept));
    let text = match kept {
        Some(text) => {
            output::error("this is the edit that could not be saved; --discard-draft begins anew");
            text
        }
        None => {
            let mut text = HEAD.to_owned();
            for (name, state) in document.states() {
                match state {
                    State::Present(record) => {
                        let value = record.open(&key).map_err(|error| located.say(error))?;
                        text.push_str(&export::line(name, &String::from_utf8_lossy(&value)));
                    }
                    State::Conflict(first, second) => text.push_str(&format!(
                        "# {name} has two newest versions, {} and {}: choose with envward revert\n",
                        first.label(),
                        second.label()
                    )),
                    State::Removed(_) => {}
                }
            }
            text.into_bytes()
        }
    };
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(&text));
    written.map_err(|error| failure(code::FILE, format!("cannot write what is to be edited: {error}")))?;
    Ok(0)
}

/// Runs the editor; false when it says that it failed.
fn edit(path: &Path) -> Result<bool, Failure> {
    let set = |name: &str| std::env::var_os(name).filter(|editor| !editor.is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".into());
    let mut words = editor.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let program = OsStr::from_bytes(words.next().unwrap_or(b"vi"));
    let mut command = Command::new(program);
    command.args(words.map(OsStr::from_bytes)).args(discreet(program)).arg(path);
    // What is typed to interrupt the editor does not interrupt us.
    let mask = hold_signals();
    let status = command.status();
    if let Some(mask) = mask {
        let _ = signal::forget_pending(&[2, 3]);
        let _ = signal::set_mask(mask);
    }
    let status = status.map_err(|error| {
        failure(code::FILE, format!("cannot start {}: {error}", editor.to_string_lossy())).hint("set EDITOR")
    })?;
    Ok(status.success())
}

/// Options that keep an editor from writing elsewhere.
fn discreet(program: &OsStr) -> Vec<OsString> {
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_vim = matches!(name.as_str(), "vim" | "nvim" | "vim.basic" | "vim.tiny" | "vim.nox" | "vim.gtk3");
    let options: &[&str] =
        if is_vim { &["-n", "-i", "NONE", "--cmd", "set nobackup nowritebackup noundofile"] } else { &[] };
    options.iter().map(OsString::from).collect()
}

/// Saves what was edited.
fn save(located: &Located, base: &[u8], path: &Path) -> Result<u8, Failure> {
    let edited = import::parse(path.to_owned(), envward_source::Dialect::default(), located.backing)?;
    let base = located.document(base)?;
    let identities = located.identities(base.recipients())?;
    let changes = changes(located, &base, &located.key(&base, &identities)?, &edited)?;
    if changes.is_empty() {
        output::error("nothing was changed");
        return Ok(0);
    }
    let locked = Locked::acquire(&located.store)?;
    let text = locked.text().to_vec();
    let document = located.document(&text)?;
    let key = located.key(&document, &identities)?;
    located.check(&document, &key)?;
    let mut draft = Draft::new(&document, &key, now());
    let mut clashes = Vec::new();
    for (name, mine) in changes {
        let add = |draft: &mut Draft<'_, '_>, value: Option<&[u8]>| match value {
            Some(value) => draft.set(name, value),
            None => draft.remove(name),
        };
        let before = base.versions(name).last().map(|record| record.id);
        let newest = document.versions(name).last();
        if newest.map(|record| record.id) == before {
            add(&mut draft, mine)?;
            continue;
        }
        // Somebody else has changed it meanwhile: theirs stays current, ours is kept before it.
        let theirs = match document.current(name) {
            Ok(record) => Some(record.open(&key).map_err(|error| located.say(error))?),
            Err(StoreError::NoSecret(_)) => None,
            Err(error) => return Err(located.say(error)),
        };
        if theirs.as_deref() != mine {
            let version = add(&mut draft, mine)?;
            add(&mut draft, theirs.as_deref())?;
            clashes.push(format!("{name} (yours is version {version})"));
        }
    }
    if !draft.is_empty() {
        locked.replace(draft.text().as_bytes())?;
    }
    if clashes.is_empty() {
        return Ok(0);
    }
    Err(failure(
        code::CHANGED,
        format!("changed by somebody else meanwhile, and left as they have it: {}", clashes.join(", ")),
    )
    .hint("everything is saved; `envward revert NAME VERSION` makes your version the current one"))
}

/// What an edit sets (`Some`) and removes.
fn changes<'e>(
    located: &Located,
    base: &Document<'e>,
    key: &Key,
    edited: &'e Vault,
) -> Result<BTreeMap<&'e str, Option<&'e [u8]>>, Failure> {
    let mut changes = BTreeMap::new();
    for entry in edited.entries() {
        let value = edited.value(entry.name).unwrap_or_default();
        record::check(entry.name, value)?;
        changes.insert(entry.name, Some(value));
    }
    for (name, state) in base.states() {
        if let State::Present(record) = state {
            let value = record.open(key).map_err(|error| located.say(error))?;
            match changes.get(name) {
                Some(Some(new)) if *new == value => {
                    changes.remove(name);
                }
                Some(_) => {}
                None => {
                    changes.insert(name, None);
                }
            }
        }
    }
    Ok(changes)
}

/// Keeps what could not be saved, sealed, for the next `edit`.
fn keep(located: &Located, base: &[u8], draft: Option<&Path>, path: &Path) -> Result<u8, Failure> {
    let lost = |error: &dyn std::fmt::Display| failure(code::FILE, format!("the edit could not be kept: {error}"));
    let draft = draft.ok_or_else(|| lost(&"there is no home directory"))?;
    let document = located.document(base)?;
    let key = located.key(&document, &located.identities(document.recipients())?)?;
    let text = fs::read(path).map_err(|error| lost(&error))?;
    let sealed = note::seal(&key, &text)?;
    if let Some(directory) = draft.parent() {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|error| lost(&error))?;
    }
    let _ = fs::remove_file(draft);
    file::create(draft, sealed.as_bytes(), 0o600)?;
    output::error("nothing was changed; the edit is kept (encrypted), and the next `envward edit` begins with it");
    Ok(0)
}

/// Where an edit of this store is kept: the name is made of the store's path.
fn draft_path(located: &Located) -> Option<PathBuf> {
    let path = fs::canonicalize(&located.store).ok()?;
    let hash = path
        .as_os_str()
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    Some(state_directory()?.join(format!("edit-{hash:016x}")))
}

/// A directory in memory that only this process and those that it starts see.
struct Room {
    directory: PathBuf,
    is_mounted: bool,
}

impl Room {
    fn new() -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| failure(code::FILE, format!("no place for an edit: {error}"));
        let mut random = [0; 8];
        random::fill(&mut random).map_err(|error| failed(&error))?;
        let name = format!("envward-edit-{:016x}", u64::from_le_bytes(random));
        // Entering a user namespace takes writing to our own /proc files. There is no value in
        // this process, neither now nor later.
        let _ = prctl::set_dumpable(true);
        let entered = namespace::enter_mount_namespace();
        let _ = prctl::set_dumpable(false);
        let make = |parent: &Path| {
            let directory = parent.join(&name);
            fs::DirBuilder::new().mode(0o700).create(&directory).map(|()| directory)
        };
        if entered.is_ok() {
            let directory = make(&std::env::temp_dir()).map_err(|error| failed(&error))?;
            match namespace::mount_memory(&directory) {
                Ok(()) => return Ok(Self { directory, is_mounted: true }),
                Err(_) => drop(Self { directory, is_mounted: false }),
            }
        }
        // An ordinary file system in memory: better than a disk, and not as good.
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        if !mounts.lines().any(|line| line.split(' ').skip(1).take(2).eq(["/dev/shm", "tmpfs"])) {
            return Err(failed(&"mount namespaces are refused here, and /dev/shm is not in memory")
                .hint("use `envward set`, or run as root"));
        }
        output::error(
            "mount namespaces are refused here: the editor's file lies in /dev/shm, where your other processes can \
             read it meanwhile and from where it may be swapped out",
        );
        let directory = make(Path::new("/dev/shm")).map_err(|error| failed(&error))?;
        Ok(Self { directory, is_mounted: false })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Editors leave copies beside the file.
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            if let Ok(metadata) = entry.metadata()
                && metadata.is_file()
                && let Ok(mut file) = OpenOptions::new().write(true).open(entry.path())
            {
                let zeros = vec![0; usize::try_from(metadata.len()).unwrap_or(0)];
                let _ = file.write_all(&zeros);
            }
            let _ = fs::remove_file(entry.path());
        }
        if self.is_mounted {
            let _ = namespace::unmount(&self.directory);
        }
        let _ = fs::remove_dir(&self.directory);
    }
}
