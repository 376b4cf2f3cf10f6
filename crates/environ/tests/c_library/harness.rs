//! Builds the library and C programs for the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A C library to build for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Libc {
    /// The machine's.
    Glibc,
    /// That of Debian 13, fetched.
    Newer,
    Musl,
}

/// A C program.
pub(crate) struct Program(PathBuf);

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The release build of the shared library; the static one is beside it.
pub(crate) fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--locked", "--package", "envward-preload"])
            .current_dir(root())
            .status()
            .unwrap();
        assert!(status.success(), "the library does not build");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        target.canonicalize().unwrap().join("release/libenvward.so")
    })
}

/// The directory of Debian 13's glibc: fetched the first time (`tests/setup` does it too).
fn newer() -> &'static str {
    static FETCHED: OnceLock<String> = OnceLock::new();
    FETCHED.get_or_init(|| {
        let output = Command::new(env!("CARGO")).args(["xtask", "glibc-2.41"]).current_dir(root()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "Debian 13's glibc: {text}{}", String::from_utf8_lossy(&output.stderr));
        text.lines().next_back().unwrap().to_owned()
    })
}

impl Program {
    /// A program that knows nothing of the library.
    pub(crate) fn new(name: &str, libc: Libc) -> Self {
        Self::build(name, libc, "plain", &[])
    }

    /// A program linked with the library, `dynamic` or `static`.
    pub(crate) fn linked(name: &str, libc: Libc, link: &str) -> Self {
        let library = library();
        let place = library.parent().unwrap().display();
        let options = match link {
            "static" => vec!["-static".to_owned(), library.with_extension("a").display().to_string()],
            // As envward.pc says for static programs.
            "wrapped" => {
                let description = std::fs::read_to_string(root().join("crates/preload/envward.pc")).unwrap();
                let private = description.lines().find_map(|line| line.strip_prefix("Libs.private:")).unwrap();
                let archive = library.with_extension("a").display().to_string();
                ["-static".to_owned(), archive]
                    .into_iter()
                    .chain(private.split_whitespace().map(str::to_owned))
                    .collect()
            }
            _ => vec![format!("-L{place}"), "-lenvward".to_owned(), format!("-Wl,-rpath,{place}")],
        };
        Self::build(name, libc, link, &options)
    }

    /// A program that knows nothing of the library, compiled with further options.
    pub(crate) fn with_options(name: &str, libc: Libc, options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        Self::build(name, libc, "options", &options)
    }

    fn build(name: &str, libc: Libc, kind: &str, options: &[String]) -> Self {
        let programs = root().join("crates/preload/programs");
        // One file for each use: tests run side by side.
        let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{libc:?}-{kind}-{:?}", unique()));
        let compiler = match libc {
            Libc::Glibc | Libc::Newer => "gcc",
            Libc::Musl => "musl-gcc",
        };
        let run_with = if libc == Libc::Newer {
            vec![
                format!("-Wl,--dynamic-linker={}/ld-linux-x86-64.so.2", newer()),
                format!("-Wl,--disable-new-dtags,-rpath,{}", newer()),
            ]
        } else {
            Vec::new()
        };
        let result = Command::new(compiler)
            .args(["-O2", "-w", "-pthread", "-fno-builtin", "-fno-delete-null-pointer-checks", "-I"])
            .arg(root().join("crates/preload/include"))
            .arg("-o")
            .arg(&output)
            .arg(programs.join(format!("{name}.c")))
            .args(options)
            .args(run_with)
            .output()
            .unwrap_or_else(|error| panic!("{compiler}: {error} (apt-get install gcc musl-tools)"));
        assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
        let program = Self(output);
        if libc == Libc::Newer {
            let libraries = program.command().env("LD_TRACE_LOADED_OBJECTS", "1").output().unwrap().stdout;
            let libraries = String::from_utf8(libraries).unwrap();
            assert!(libraries.contains(&format!("libc.so.6 => {}/libc.so.6", newer())), "{libraries}");
        }
        program
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.env_remove("LD_PRELOAD");
        command
    }

    /// The program with the library preloaded.
    pub(crate) fn preloaded(&self) -> Command {
        let mut command = self.command();
        command.env("LD_PRELOAD", library());
        command
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    u64::from(std::process::id()) << 32 | NEXT.fetch_add(1, Ordering::Relaxed)
}
