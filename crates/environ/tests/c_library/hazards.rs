//! What libc, linkers and set-user-ID programs do to the environment.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::harness::{Libc, Program, library};

/// A program has `environ` in its own data (a copy relocation) or finds it in libc's; the library
/// must see the same variable either way. Besides: `wordexp`, `dlmopen`, streams, large arrays.
#[test]
fn hazards_are_met_however_a_program_binds_environ() {
    for (libc, options, relocation) in [
        (Libc::Glibc, &["-fPIE", "-pie"][..], "R_X86_64_COPY"),
        (Libc::Glibc, &["-fno-pie", "-no-pie"], "R_X86_64_COPY"),
        (Libc::Glibc, &["-fPIE", "-pie", "-mno-direct-extern-access"], "R_X86_64_GLOB_DAT"),
        (Libc::Newer, &["-fPIE", "-pie"], "R_X86_64_COPY"),
        (Libc::Newer, &["-fPIE", "-pie", "-mno-direct-extern-access"], "R_X86_64_GLOB_DAT"),
        (Libc::Musl, &[], "environ"),
    ] {
        let program = Program::with_options("hazards", libc, options);
        let relocations = Command::new("readelf").args(["--relocs", "--wide"]).arg(program.path()).output().unwrap();
        let relocations = String::from_utf8_lossy(&relocations.stdout).into_owned();
        assert!(
            relocations.lines().any(|line| line.contains("environ") && line.contains(relocation)),
            "{libc:?} {options:?}: {relocations}"
        );
        let output = program.preloaded().output().unwrap();
        assert!(output.status.success(), "{libc:?} {options:?}: {output:?}");
    }
}

/// `secure_getenv` finds nothing in a program that runs with privileges its caller lacks, also
/// when it is asked before the library's constructor ran; `getenv` is as ever.
#[test]
fn secure_programs_are_recognised() {
    let directory = std::env::temp_dir().join(format!("envward-secure-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    std::fs::copy(library(), directory.join("libenvward.so")).unwrap();
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(&directory, 0o755);
    for (libc, link) in
        [(Libc::Glibc, "static"), (Libc::Musl, "static"), (Libc::Glibc, "dynamic"), (Libc::Musl, "dynamic")]
    {
        let place = directory.display();
        let program = if link == "static" {
            Program::linked("secure", libc, link)
        } else {
            let options = [&format!("-L{place}"), "-lenvward", &format!("-Wl,-rpath,{place}")];
            Program::with_options("secure", libc, &options)
        };
        let copy = directory.join("secure");
        std::fs::copy(program.path(), &copy).unwrap();
        for (mode, secure) in [(0o755, 0), (0o4755, 1)] {
            open(&copy, mode);
            let output = Command::new("setpriv")
                .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                .arg(&copy)
                .env("SECURE_PROBE", "value")
                .output()
                .unwrap_or_else(|error| panic!("setpriv: {error} (apt-get install util-linux; run as root)"));
            let expected = format!("secure {secure} early {} late {} getenv 1\n", 1 - secure, 1 - secure);
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{libc:?} {link}: {output:?}");
        }
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
