//! The Debian package: `cargo xtask deb` builds it with `dpkg-deb`, and looks at what came out.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::repository::Repository;
use crate::{Trouble, say};

/// As exposed may the service be at most, in tenths of what `systemd-analyze security` counts.
const EXPOSURE: &str = "30";

/// What goes where: from the checkout, to the package, mode.
const FILES: &[(&str, &str, u32)] = &[
    ("target/release/envward", "usr/bin/envward", 0o755),
    ("target/release/envward-agent", "usr/bin/envward-agent", 0o755),
    ("packaging/envward-agent.service", "usr/lib/systemd/system/envward-agent.service", 0o644),
    ("packaging/agent.toml", "etc/envward/agent.toml", 0o644),
    ("docs/agent.md", "usr/share/doc/envward/agent.md", 0o644),
    ("docs/agent-recipes.md", "usr/share/doc/envward/agent-recipes.md", 0o644),
    ("docs/agent-event.schema.json", "usr/share/doc/envward/agent-event.schema.json", 0o644),
    ("LICENSE-APACHE", "usr/share/doc/envward/LICENSE-APACHE", 0o644),
    ("LICENSE-MIT", "usr/share/doc/envward/copyright", 0o644),
    ("packaging/debian/postinst", "DEBIAN/postinst", 0o755),
    ("packaging/debian/prerm", "DEBIAN/prerm", 0o755),
    ("packaging/debian/postrm", "DEBIAN/postrm", 0o755),
];

/// Builds the package and checks it.
pub(crate) fn run() -> Result<(), Trouble> {
    let repository = Repository::here()?;
    let root = repository.root();
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--locked", "--package=envward", "--package=envward-agent"]);
    output(cargo.current_dir(root))?;
    let stage = root.join("target/debian/stage");
    let package = build(root, &stage)?;
    check(root, &stage, &package)?;
    say(&format!("deb: {}", package.display()));
    Ok(())
}

fn build(root: &Path, stage: &Path) -> Result<PathBuf, Trouble> {
    let here = |error: io::Error| Trouble::new(stage.display(), error);
    if stage.exists() {
        fs::remove_dir_all(stage).map_err(here)?;
    }
    for (from, to, mode) in FILES {
        install(&root.join(from), &stage.join(to), *mode)?;
    }
    for entry in fs::read_dir(root.join("man")).map_err(here)? {
        let page = entry.map_err(here)?;
        let place = stage.join("usr/share/man/man1").join(page.file_name());
        install(&page.path(), &place, 0o644)?;
        output(Command::new("gzip").arg("-9n").arg(&place))?;
    }
    let changes = stage.join("usr/share/doc/envward/changelog.md");
    install(&root.join("CHANGELOG.md"), &changes, 0o644)?;
    output(Command::new("gzip").arg("-9n").arg(&changes))?;
    fs::write(stage.join("DEBIAN/conffiles"), "/etc/envward/agent.toml\n").map_err(here)?;
    let architecture = output(Command::new("dpkg").arg("--print-architecture"))?;
    let size = output(Command::new("du").args(["--summarize", "--apparent-size", "--block-size=1024"]).arg(stage))?;
    let version = env!("CARGO_PKG_VERSION");
    let control = fs::read_to_string(root.join("packaging/debian/control"))
        .map_err(here)?
        .replace("@VERSION@", version)
        .replace("@ARCHITECTURE@", architecture.trim())
        .replace("@SIZE@", size.split_whitespace().next().unwrap_or("0"))
        .replace("@LIBC@", &libc(&stage.join("usr/bin/envward-agent"))?);
    fs::write(stage.join("DEBIAN/control"), control).map_err(here)?;
    let package = root.join(format!("target/debian/envward_{version}_{}.deb", architecture.trim()));
    // Times of files are the last commit's: the same sources make the same package.
    let time = output(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root))?;
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.env("SOURCE_DATE_EPOCH", time.trim()).args(["--root-owner-group", "-Zxz", "--build"]).arg(stage).arg(&package);
    output(&mut dpkg)?;
    Ok(package)
}

fn install(from: &Path, to: &Path, mode: u32) -> Result<(), Trouble> {
    let copied = || -> io::Result<()> {
        let directory = to.parent().ok_or(io::ErrorKind::InvalidInput)?;
        fs::create_dir_all(directory)?;
        fs::copy(from, to)?;
        fs::set_permissions(to, fs::Permissions::from_mode(mode))
    };
    copied().map_err(|error| Trouble::new(from.display(), error))
}

/// The newest version of the C library whose functions a program uses.
fn libc(program: &Path) -> Result<String, Trouble> {
    let versions = output(Command::new("readelf").args(["--version-info", "--wide"]).arg(program))?;
    newest(&versions).ok_or_else(|| Trouble::new(program.display(), "it names no version of the C library"))
}

fn newest(versions: &str) -> Option<String> {
    let numbers = versions.split("GLIBC_").skip(1).filter_map(|rest| {
        let word = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut parts = word.split('.').map(|part| part.parse::<u32>().ok());
        Some((parts.next()??, parts.next().flatten().unwrap_or(0)))
    });
    numbers.max().map(|(major, minor)| format!("{major}.{minor}"))
}

/// Looks at the package as others will: contents, owners, scripts, the unit.
fn check(root: &Path, stage: &Path, package: &Path) -> Result<(), Trouble> {
    let contents = output(Command::new("dpkg-deb").arg("--contents").arg(package))?;
    for (_, place, mode) in FILES.iter().filter(|(_, place, _)| !place.starts_with("DEBIAN")) {
        let line = contents.lines().find(|line| line.ends_with(&format!(" ./{place}")));
        let line = line.ok_or_else(|| Trouble::new("the package lacks", place))?;
        let expected = if *mode == 0o755 { "-rwxr-xr-x root/root" } else { "-rw-r--r-- root/root" };
        if !line.starts_with(expected) {
            return Err(Trouble::new("mode or owner", line));
        }
    }
    for page in ["envward.1", "envward-agent.1", "envward-watch.1"] {
        if !contents.contains(&format!("/usr/share/man/man1/{page}.gz\n")) {
            return Err(Trouble::new("the package lacks", page));
        }
    }
    let fields = output(Command::new("dpkg-deb").args(["--field"]).arg(package))?;
    if fields.contains('@') && fields.lines().any(|line| line.starts_with("Version: @") || line.contains(">= @")) {
        return Err(Trouble::new("the control file", fields));
    }
    for script in ["postinst", "prerm", "postrm"] {
        output(Command::new("sh").arg("-n").arg(root.join("packaging/debian").join(script)))?;
    }
    // The program starts as it is in the package.
    let shown = output(Command::new(stage.join("usr/bin/envward-agent")).args(["recipes", "list"]))?;
    if !shown.contains("environ_read_from_procfs") {
        return Err(Trouble::new("the packaged agent", shown));
    }
    unit(stage)
}

/// The unit is understood, and as closed as it is meant to be.
fn unit(stage: &Path) -> Result<(), Trouble> {
    let text = fs::read_to_string(stage.join("usr/lib/systemd/system/envward-agent.service"))
        .map_err(|error| Trouble::new("the unit", error))?;
    // The program is looked for where it will be.
    let here = text.replace("/usr/bin/envward-agent", &stage.join("usr/bin/envward-agent").display().to_string());
    let place = stage.with_file_name("envward-agent.service");
    fs::write(&place, here).map_err(|error| Trouble::new(place.display(), error))?;
    let said = output(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&place))?;
    if said.contains("envward-agent.service") {
        return Err(Trouble::new("systemd-analyze verify", said));
    }
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--no-pager", "--offline=true", &format!("--threshold={EXPOSURE}")]).arg(&place);
    let said = output(&mut security)?;
    say(&format!("deb: {}", said.lines().last().unwrap_or_default().trim_start_matches(['→', ' '])));
    Ok(())
}

/// Runs a program to its end; what it said, which is the trouble when it fails.
fn output(command: &mut Command) -> Result<String, Trouble> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.output().map_err(|error| Trouble::new(format!("cannot run {name}"), error))?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(said) } else { Err(Trouble::new(name, said)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_compared_by_numbers() {
        let shown = "0x01: Name: GLIBC_2.9  Flags: none\n Name: GLIBC_2.34\n Name: GLIBC_2.2.5 Version: 3";
        assert_eq!(newest(shown).as_deref(), Some("2.34"));
        assert_eq!(newest("nothing"), None);
    }
}
