//! Links the command statically, as far as the C library's archives are there.
//!
//! A launcher starts all the time, and to load a shared C library takes about a tenth of what
//! `envward run -- true` takes. And a program without a dynamic linker takes no code from
//! `LD_PRELOAD` or `/etc/ld.so.preload`, so nobody gets into the supervisor that way.
//!
//! rustc's own way, `+crt-static`, is one setting for the whole workspace, which also makes a
//! shared library; so the archives are put where the linker looks first.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the standard library asks the linker for, and the archive that has it.
const ARCHIVES: [(&str, &str); 7] = [
    ("libc.a", "libc.a"),
    ("libm.a", "libm.a"),
    ("librt.a", "librt.a"),
    ("libpthread.a", "libpthread.a"),
    ("libutil.a", "libutil.a"),
    ("libdl.a", "libdl.a"),
    ("libgcc_s.a", "libgcc_eh.a"),
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CC");
    let Some(directory) = std::env::var_os("OUT_DIR").map(PathBuf::from) else { return };
    for (wanted, archive) in ARCHIVES {
        let Some(place) = find(archive) else {
            println!("cargo:warning=envward is linked dynamically and starts slower: {archive} is missing (libc6-dev)");
            return;
        };
        if let Err(error) = link(&place, &directory.join(wanted)) {
            println!("cargo:warning=envward is linked dynamically and starts slower: {error}");
            return;
        }
    }
    // For the command alone: the tests of this package are linked dynamically.
    println!("cargo:rustc-link-arg-bins=-L{}", directory.display());
    println!("cargo:rustc-link-arg-bins=-static-pie");
    // Thousands of addresses in a fraction of the room, which is read at every start.
    println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}

/// Where the C compiler has an archive; one that has none prints the bare name.
fn find(archive: &str) -> Option<PathBuf> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let output = Command::new(compiler).arg(format!("-print-file-name={archive}")).output().ok()?;
    let place = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    place.is_absolute().then_some(place)
}

fn link(place: &Path, name: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(name) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::os::unix::fs::symlink(place, name)
}
