//! Links the C compiler's unwinder statically: the shared one would be one more library to
//! load at every start, about a tenth of what `envward run -- true` takes.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CC");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let Ok(output) = Command::new(compiler).arg("-print-file-name=libgcc_eh.a").output() else { return };
    let archive = String::from_utf8_lossy(&output.stdout);
    let archive = Path::new(archive.trim());
    // A compiler without the archive prints the bare name: then the shared library is used.
    if let (true, Some(directory)) = (archive.is_absolute(), archive.parent()) {
        println!("cargo:rustc-link-search=native={}", directory.display());
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}
