//! A program that has not run yet, made again what the kernel made of its file.
//!
//! Between the end of its `execve` and the moment when it is closed, a process of the same
//! user can open a program's memory and write to it, to read-only pages too. Going on in a
//! copy of the process ([`Fresh::fork_away`]) takes the opened file away from him, but what he
//! has written is copied with the rest. So in the copy, which nobody can write to any more,
//! everything is thrown away that is not in a file, and what must be there is put in its place
//! before a secret is:
//!
//! - where it is mapped, and what is in its auxiliary vector, the kernel knows by itself;
//! - a page of a file is the file's own again, but for the rest behind the file's data, which
//!   the kernel has cleared;
//! - other memory is empty again;
//! - the stack holds the strings that were passed to `execve`, the pointers to them, and what
//!   the kernel adds. The random bytes that it gives every program (`AT_RANDOM`) are new
//!   ones.
//!
//! That is done by the copy itself, with calls that we make in its name: a supervisor without
//! privileges cannot reach its memory any more than others can. A program that was changed
//! cannot fake them, since the registers say whether the kernel was called.
//!
//! Files are read by their paths. Whoever may write to them needs no window.

mod elf;
mod maps;
mod strings;

use std::ffi::{CStr, OsStr};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use envward_kernel::arch::Abi;
use envward_kernel::memory::{self, page_size};
use envward_kernel::spawn::{Executed, SHELL};
use envward_kernel::{process, random};

use crate::inject::{InjectError, tracing};
use crate::stack::{InitialStack, Rendered};
use elf::{HEADER_SIZE, Header, Layout};
use maps::{Kind, Mapping};
use strings::{SCRIPT_LINE, Step, Strings};

#[cfg(doc)]
use crate::inject::Fresh;

/// What a program was started with, none of it secret.
#[derive(Clone, Debug)]
pub struct Given<'a> {
    /// The path that was passed to `execve`.
    path: &'a CStr,
    arguments: Vec<&'a [u8]>,
    environment: Vec<&'a [u8]>,
}

impl<'a> Given<'a> {
    /// What `execve` was called with, when one of `paths` was `executed`.
    #[must_use]
    pub fn new(executed: Executed, paths: &[&'a CStr], arguments: &[&'a CStr], environment: &[&'a CStr]) -> Self {
        let path = |index: usize| paths.get(index).copied().unwrap_or_default();
        let all = |strings: &[&'a CStr]| strings.iter().map(|string| string.to_bytes()).collect::<Vec<_>>();
        let (path, arguments) = match executed {
            Executed::Path(index) => (path(index), all(arguments)),
            Executed::Shell(index) => {
                let own = [SHELL, path(index)];
                (SHELL, all(&own).into_iter().chain(all(arguments).into_iter().skip(1)).collect())
            }
        };
        Self { path, arguments, environment: all(environment) }
    }
}

/// What is not as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Difference {
    /// The process that goes on is open as well.
    #[error("it is still open to other processes")]
    Open,
    /// A call that was made in its name has not reached the kernel.
    #[error("it does not call the kernel where it should")]
    Faked,
    /// The auxiliary vector on the stack is not the one that the kernel has.
    #[error("its auxiliary vector is not the kernel's")]
    Auxiliary,
    /// The arguments or the environment are not those that were passed.
    #[error("its arguments or its environment are not those that it was started with")]
    Strings,
    /// There is memory that no program starts with.
    #[error("there is memory at {0:#x} that no program starts with")]
    Mapping(usize),
}

/// Makes sure that a process is closed: the kernel gives the files in `/proc` of one that is
/// not dumpable to root.
///
/// # Errors
/// [`InjectError::Changed`] when it is not.
pub(crate) fn check_closed(pid: i32) -> Result<(), InjectError> {
    let owner = fs::metadata(format!("/proc/{pid}/auxv")).map_err(tracing("see whether the program is open"))?.uid();
    // Root's files show nothing; who is root needs no window.
    if owner == 0 || owner != process::effective_uid() { Ok(()) } else { Err(Difference::Open.into()) }
}

/// A program that is open yet, and will have to be restored when it is closed.
#[derive(Debug)]
pub(crate) struct Suspect<'a> {
    pub(crate) pid: i32,
    /// What kind of program it is.
    pub(crate) abi: Abi,
    /// The stack as it was found.
    pub(crate) stack: &'a InitialStack,
    /// The vectors that it has been given instead.
    pub(crate) vectors: &'a Rendered,
}

/// How to restore a program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Restoration {
    /// What is to be thrown away.
    pub(crate) discard: Vec<Range<usize>>,
    /// What is to be put where afterwards.
    pub(crate) put: Vec<(usize, Vec<u8>)>,
}

impl Restoration {
    /// What is to be put, one after the other in a file. None of it is secret.
    pub(crate) fn file(&self) -> io::Result<OwnedFd> {
        let mut file = File::from(memory::memfd_create(c"envward")?);
        self.put.iter().try_for_each(|(_, bytes)| file.write_all(bytes))?;
        file.rewind()?;
        Ok(file.into())
    }
}

const AT_BASE: u64 = 7;
const AT_ENTRY: u64 = 9;
const AT_PLATFORM: u64 = 15;
const AT_RANDOM: u64 = 25;
const AT_EXECFN: u64 = 31;
const RANDOM_SIZE: usize = 16;
/// How many interpreters may be scripts themselves.
const MAX_SCRIPTS: usize = 6;
/// `O_NONBLOCK`: what was a program a moment ago may be a pipe by now.
const NONBLOCK: i32 = 0o4000;

impl Suspect<'_> {
    /// Finds out what must be in its memory, from what the kernel says of the process and from
    /// its files.
    ///
    /// # Errors
    /// [`InjectError::Changed`] where the stack that the new vectors were made from is not what
    /// the program was started with; [`InjectError::Trace`] when something cannot be read.
    pub(crate) fn restoration(&self, given: &Given<'_>) -> Result<Restoration, InjectError> {
        self.check_auxiliary()?;
        let reading = "read the program's mappings";
        let text = fs::read(self.file("maps")).map_err(tracing(reading))?;
        let mappings = maps::parse(&text).ok_or_else(|| unreadable(reading))?;
        let mut restoration = Restoration::default();
        for mapping in &mappings {
            match mapping.kind {
                Kind::Fixed => {}
                Kind::Shared => return Err(Difference::Mapping(mapping.start).into()),
                // First, because calls are made from there.
                Kind::Vdso => restoration.discard.insert(0, mapping.start..mapping.end),
                Kind::Anonymous | Kind::File => restoration.discard.push(mapping.start..mapping.end),
            }
        }
        for object in self.objects()? {
            restoration.put.extend(object.cleared(&mappings));
        }
        restoration.put.push(self.stack_bytes(&mappings, given)?);
        Ok(restoration)
    }

    /// Compares the auxiliary vector on the stack with the kernel's copy.
    fn check_auxiliary(&self) -> Result<(), InjectError> {
        let bytes = fs::read(self.file("auxv")).map_err(tracing("read the auxiliary vector"))?;
        let size = self.abi.pointer_size();
        let mut words =
            bytes.chunks_exact(size).map(|word| word.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
        let same =
            self.stack.auxv().iter().all(|(key, value)| words.next() == Some(*key) && words.next() == Some(*value));
        if same { Ok(()) } else { Err(Difference::Auxiliary.into()) }
    }

    fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.pid)
    }

    fn auxiliary(&self, key: u64) -> u64 {
        self.stack.auxiliary(key).unwrap_or(0)
    }

    /// What must be on the stack, from the vectors to the top.
    fn stack_bytes(&self, mappings: &[Mapping], given: &Given<'_>) -> Result<(usize, Vec<u8>), InjectError> {
        let Rendered { stack_pointer, bytes: vectors } = self.vectors;
        let mapping = mappings.iter().find(|mapping| (mapping.start..mapping.end).contains(stack_pointer));
        let mapping = mapping.ok_or(Difference::Strings)?;
        let strings = self.strings(mapping.end, given)?.ok_or(Difference::Strings)?;
        let mut random = vec![0; RANDOM_SIZE];
        random::fill(&mut random).map_err(tracing("get random numbers"))?;
        let parts = [
            (strings.start, &*strings.bytes),
            (self.auxiliary(AT_PLATFORM) as usize, self.abi.platform().to_bytes_with_nul()),
            (self.auxiliary(AT_RANDOM) as usize, &random),
            (*stack_pointer, vectors),
        ];
        let mut bytes = vec![0; mapping.end - stack_pointer];
        for (address, part) in parts {
            let start = address.checked_sub(*stack_pointer).ok_or(Difference::Auxiliary)?;
            let place = start.checked_add(part.len()).and_then(|end| bytes.get_mut(start..end));
            place.ok_or(Difference::Auxiliary)?.copy_from_slice(part);
        }
        Ok((*stack_pointer, bytes))
    }

    /// The strings that must be there, if the pointers on the stack lead to them.
    fn strings(&self, end: usize, given: &Given<'_>) -> Result<Option<Strings>, InjectError> {
        let path = given.path.to_bytes();
        let lay = |steps: &[Step]| Strings::new(end, path, &given.arguments, &given.environment, steps);
        let fits = |strings: &Strings| {
            strings.argv == self.stack.argv()
                && strings.envp == self.stack.envp()
                && strings.path == self.auxiliary(AT_EXECFN)
        };
        let (steps, last) = scripts(path)?;
        let exe = self.file("exe");
        if is_same_file(Path::new(OsStr::from_bytes(&last)), Path::new(&exe)) {
            return Ok(Some(lay(&steps)).filter(fits));
        }
        // The kernel was told to run such files with another program (binfmt_misc).
        let name = fs::read_link(&exe).map_err(tracing("find out the program's file"))?;
        let name = name.as_os_str().as_bytes().to_vec();
        let candidates = [true, false].map(|drops_first| {
            let step = Step { drops_first, pushes: vec![last.clone(), name.clone()] };
            lay(&steps.iter().cloned().chain([step]).collect::<Vec<_>>())
        });
        Ok(candidates.into_iter().find(fits))
    }

    /// The files that the program is made of.
    fn objects(&self) -> Result<Vec<Object>, InjectError> {
        let entry = self.auxiliary(AT_ENTRY);
        let program = Object::open(Path::new(&self.file("exe")), |layout| entry.wrapping_sub(layout.entry))?;
        let interpreter = program.interpreter()?;
        let interpreter =
            interpreter.map(|path| Object::open(Path::new(OsStr::from_bytes(&path)), |_| self.auxiliary(AT_BASE)));
        Ok([Some(program), interpreter.transpose()?].into_iter().flatten().collect())
    }
}

/// A file of the program.
#[derive(Debug)]
struct Object {
    file: File,
    layout: Layout,
    /// How far from its own addresses it was put.
    bias: u64,
}

impl Object {
    fn open(path: &Path, bias: impl FnOnce(&Layout) -> u64) -> Result<Self, InjectError> {
        let opening = "open the program's file";
        let file = open(path).map_err(tracing(opening))?;
        let mut start = vec![0; HEADER_SIZE];
        file.read_exact_at(&mut start, 0).map_err(tracing(opening))?;
        let header = Header::parse(&start).ok_or_else(|| unreadable(opening))?;
        let mut programs = vec![0; header.length];
        file.read_exact_at(&mut programs, header.offset).map_err(tracing(opening))?;
        let layout = Layout::parse(&header, &programs).ok_or_else(|| unreadable(opening))?;
        Ok(Self { bias: bias(&layout), file, layout })
    }

    /// The path of its interpreter.
    fn interpreter(&self) -> Result<Option<Vec<u8>>, InjectError> {
        let reading = "read the path of the program's interpreter";
        let Some(range) = self.layout.interpreter.clone() else { return Ok(None) };
        // The kernel takes no longer ones.
        let length = (range.end - range.start).min(PATH_MAX) as usize;
        let mut path = vec![0; length];
        self.file.read_exact_at(&mut path, range.start).map_err(tracing(reading))?;
        path.truncate(path.iter().position(|byte| *byte == 0).unwrap_or(length));
        Ok(Some(path))
    }

    /// What the kernel has cleared in pages of this file.
    fn cleared(&self, mappings: &[Mapping]) -> Vec<(usize, Vec<u8>)> {
        let size = page_size();
        let rest_of = |page: u64| {
            let address = page as usize;
            let covers = |mapping: &&Mapping| (mapping.start..mapping.end).contains(&address);
            let mapping =
                mappings.iter().find(covers).filter(|mapping| mapping.writable && mapping.kind == Kind::File)?;
            let offset = mapping.offset + (address - mapping.start) as u64;
            let from = self.layout.cleared_from(self.bias, page, offset, size).filter(|from| *from < size)?;
            Some((address + from, vec![0; size - from]))
        };
        self.layout.last_pages(self.bias, size).filter_map(rest_of).collect()
    }
}

const PATH_MAX: u64 = 4096;

/// What the kernel made of the arguments on the way from a script to its interpreter, which
/// may be a script itself; and the file that was not one any more.
fn scripts(path: &[u8]) -> Result<(Vec<Step>, Vec<u8>), InjectError> {
    let (mut steps, mut path) = (Vec::new(), path.to_vec());
    while steps.len() < MAX_SCRIPTS {
        let mut start = Vec::with_capacity(SCRIPT_LINE);
        // What can be run and not be read is no script: its interpreter could not read it.
        let Ok(file) = open(Path::new(OsStr::from_bytes(&path))) else { break };
        file.take(SCRIPT_LINE as u64).read_to_end(&mut start).map_err(tracing("read the program's file"))?;
        let Some((name, argument)) = strings::interpreter(&start) else { break };
        let pushes = [Some(path), argument, Some(name.clone())].into_iter().flatten().collect();
        steps.push(Step { drops_first: true, pushes });
        path = name;
    }
    Ok((steps, path))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path)
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

fn unreadable(step: &'static str) -> InjectError {
    InjectError::Trace { step, source: io::ErrorKind::InvalidData.into() }
}

#[cfg(test)]
mod tests;
