//! The file system of a guest: init, programs of ours, and programs of this machine with the
//! libraries that they load, all at the paths where they are here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::Trouble;
use crate::guest::Workshop;
use crate::guest::build;
use crate::guest::cpio::{Archive, Kind};

/// The accounts of a guest.
const TEXTS: &[(&str, &str)] = &[
    ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"),
    ("/etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ("/etc/hosts", "127.0.0.1 localhost guest\n"),
];

/// Directories that are there before init mounts anything.
const DIRECTORIES: &[(&str, u32)] = &[("/dev", 0o755), ("/proc", 0o555), ("/sys", 0o555), ("/root", 0o700)];

#[derive(Debug, PartialEq, Eq)]
enum Node {
    Directory(u32),
    Link(String),
    /// A file of this machine.
    File(PathBuf),
    Text(String),
    Device(u32, u32),
}

/// A file system that is being put together.
#[derive(Debug)]
pub(super) struct Image {
    nodes: BTreeMap<String, Node>,
    stripped: PathBuf,
}

impl Image {
    /// One with init and nothing to run.
    pub(super) fn new(workshop: &Workshop) -> Result<Self, Trouble> {
        let stripped = workshop.path("stripped");
        fs::create_dir_all(&stripped).map_err(|error| Trouble::new(stripped.display(), error))?;
        let mut image = Self { nodes: BTreeMap::new(), stripped };
        for (path, text) in TEXTS {
            image.text(path, text);
        }
        for (path, mode) in DIRECTORIES {
            image.put(Path::new(path), Node::Directory(*mode));
        }
        // The kernel opens the console for init; Rust's runtime wants /dev/null should it fail.
        image.put(Path::new("/dev/console"), Node::Device(5, 1));
        image.put(Path::new("/dev/null"), Node::Device(1, 3));
        image.built("/init", &build::init(workshop)?)?;
        Ok(image)
    }

    /// A file with this text.
    pub(super) fn text(&mut self, path: &str, text: &str) {
        self.put(Path::new(path), Node::Text(text.to_owned()));
    }

    /// A file or directory of this machine, at another path.
    pub(super) fn file(&mut self, path: &str, from: &Path) -> Result<(), Trouble> {
        let failed = |error| Trouble::new(from.display(), error);
        if from.is_dir() {
            for entry in fs::read_dir(from).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                self.file(&format!("{path}/{}", entry.file_name().to_string_lossy()), &entry.path())?;
            }
            return Ok(());
        }
        if !from.is_file() {
            return Err(Trouble(format!("guest: no such file: {}", from.display())));
        }
        self.put(Path::new(path), Node::File(from.to_owned()));
        Ok(())
    }

    /// A program that was just built, without what only debuggers want, and its libraries.
    pub(super) fn built(&mut self, path: &str, program: &Path) -> Result<(), Trouble> {
        let stripped = self.stripped.join(path.trim_start_matches('/').replace('/', "-"));
        let output = Command::new("strip").arg("--strip-debug").arg("-o").arg(&stripped).arg(program).output();
        let output = output.map_err(|error| Trouble::new("strip: apt-get install binutils", error))?;
        if !output.status.success() {
            return Err(Trouble::new("guest: strip", String::from_utf8_lossy(&output.stderr).trim()));
        }
        self.file(path, &stripped)?;
        self.libraries(program)
    }

    /// A command of this machine, found by its name or a path, and what it loads.
    pub(super) fn command(&mut self, name: &str) -> Result<(), Trouble> {
        let path = find(name)
            .ok_or_else(|| Trouble(format!("guest: a test needs {name}, which this machine lacks: run tests/setup")))?;
        let real = self.same(&path)?;
        match interpreter(&real)? {
            Some(interpreter) => self.command(&interpreter),
            None => self.libraries(&real),
        }
    }

    /// What the dynamic linker would load for `program`.
    fn libraries(&mut self, program: &Path) -> Result<(), Trouble> {
        let output = Command::new("ldd").arg(program).env("LC_ALL", "C").output();
        let output = output.map_err(|error| Trouble::new("ldd: apt-get install libc-bin", error))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        for library in loaded(&text).map_err(|line| Trouble::new(program.display(), line))? {
            self.same(Path::new(library))?;
        }
        Ok(())
    }

    /// A file of this machine at the same path, with the links on the way to it; the path that
    /// they lead to.
    fn same(&mut self, path: &Path) -> Result<PathBuf, Trouble> {
        let mut here = PathBuf::from("/");
        let mut components = path.components();
        while let Some(component) = components.next() {
            match component {
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
                Component::ParentDir => {
                    here.pop();
                }
                Component::Normal(name) => {
                    let next = here.join(name);
                    if let Ok(target) = fs::read_link(&next) {
                        self.put(&next, Node::Link(target.display().to_string()));
                        // Relative to where the link is, absolute if the target is.
                        return self.same(&here.join(target).join(components.as_path()));
                    }
                    here = next;
                }
            }
        }
        if !here.is_file() {
            return Err(Trouble(format!("guest: no such file: {}", here.display())));
        }
        self.put(&here, Node::File(here.clone()));
        Ok(here)
    }

    fn put(&mut self, path: &Path, node: Node) {
        let mut parent = path.parent();
        while let Some(directory) = parent.filter(|directory| *directory != Path::new("/")) {
            self.nodes.entry(directory.display().to_string()).or_insert(Node::Directory(0o755));
            parent = directory.parent();
        }
        self.nodes.insert(path.display().to_string(), node);
    }

    /// Writes the archive to `place`.
    pub(super) fn write(self, place: &Path) -> Result<PathBuf, Trouble> {
        let failed = |error| Trouble::new(place.display(), error);
        let mut archive = Archive::new(BufWriter::new(File::create(place).map_err(failed)?));
        // In this order every directory comes before what is in it.
        for (path, node) in &self.nodes {
            let path = path.trim_start_matches('/');
            match node {
                Node::Directory(mode) => archive.add(path, Kind::Directory, *mode, b""),
                Node::Link(target) => archive.add(path, Kind::Link, 0o777, target.as_bytes()),
                Node::Text(text) => archive.add(path, Kind::File, 0o644, text.as_bytes()),
                Node::Device(major, minor) => {
                    archive.add(path, Kind::Device { major: *major, minor: *minor }, 0o600, b"")
                }
                Node::File(from) => {
                    let content = fs::read(from).map_err(|error| Trouble::new(from.display(), error))?;
                    let mode = fs::metadata(from).map_err(|error| Trouble::new(from.display(), error))?;
                    // Without set-user-id bits: a guest has the privileges that its tests give.
                    archive.add(path, Kind::File, mode.permissions().mode() & 0o777, &content)
                }
            }
            .map_err(failed)?;
        }
        archive.finish().map_err(failed)?;
        Ok(place.to_owned())
    }
}

/// Where a command is.
fn find(name: &str) -> Option<PathBuf> {
    if name.starts_with('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|place| place.join(name)).find(|path| path.is_file())
}

/// The interpreter of a script.
fn interpreter(program: &Path) -> Result<Option<String>, Trouble> {
    let bytes = fs::read(program).map_err(|error| Trouble::new(program.display(), error))?;
    let Some(line) = bytes.strip_prefix(b"#!").and_then(|rest| rest.split(|byte| *byte == b'\n').next()) else {
        return Ok(None);
    };
    Ok(String::from_utf8_lossy(line).split_whitespace().next().map(str::to_owned))
}

/// The libraries that ldd names; the line with one that is missing.
fn loaded(text: &str) -> Result<Vec<&str>, String> {
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.contains("=> not found") {
            return Err(line.to_owned());
        }
        let path = line.split_once(" => ").map_or(line, |(_, path)| path);
        let path = path.split(" (0x").next().unwrap_or(path);
        if path.starts_with('/') && !path.ends_with(':') && line.contains("(0x") {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Image {
        Image { nodes: BTreeMap::new(), stripped: PathBuf::new() }
    }

    #[test]
    fn libraries_are_read_from_ldd() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibcap.so.2 => /lib/x86_64-linux-gnu/libcap.so.2 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(loaded(text).unwrap(), ["/lib/x86_64-linux-gnu/libcap.so.2", "/lib64/ld-linux-x86-64.so.2"]);
        assert_eq!(loaded("\tstatically linked\n").unwrap(), [""; 0]);
        assert_eq!(loaded("\tnot a dynamic executable\n").unwrap(), [""; 0]);
        assert!(loaded("\tlibgone.so.1 => not found\n").unwrap_err().contains("libgone"));
    }

    #[test]
    fn a_command_comes_with_its_links_and_libraries() {
        let mut image = empty();
        image.command("sh").unwrap();
        let shell = fs::canonicalize("/bin/sh").unwrap();
        assert!(matches!(image.nodes.get(shell.to_str().unwrap()), Some(Node::File(_))), "{:?}", image.nodes);
        assert!(image.nodes.keys().any(|path| path.contains("ld-linux")), "{:?}", image.nodes);
        assert!(image.nodes.values().any(|node| matches!(node, Node::Link(_))));
        let gone = image.command("no-such-command").unwrap_err();
        assert!(gone.0.contains("tests/setup"), "{gone}");
    }

    #[test]
    fn directories_come_before_their_contents() {
        let mut image = empty();
        image.text("/a/b/c", "text");
        let paths: Vec<&String> = image.nodes.keys().collect();
        assert_eq!(paths, ["/a", "/a/b", "/a/b/c"]);
    }

    #[test]
    fn scripts_have_interpreters() {
        let script = std::env::temp_dir().join(format!("xtask-interpreter-{}", std::process::id()));
        fs::write(&script, "#! /usr/bin/env python3\n").unwrap();
        assert_eq!(interpreter(&script).unwrap().as_deref(), Some("/usr/bin/env"));
        fs::remove_file(script).unwrap();
    }
}
