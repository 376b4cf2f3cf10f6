//! Builds the library and C programs for the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A C library to build for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Libc {
    Glibc,
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
            Libc::Glibc => "gcc",
            Libc::Musl => "musl-gcc",
        };
        let result = Command::new(compiler)
            .args(["-O2", "-w", "-pthread", "-fno-builtin", "-fno-delete-null-pointer-checks", "-I"])
            .arg(root().join("crates/preload/include"))
            .arg("-o")
            .arg(&output)
            .arg(programs.join(format!("{name}.c")))
            .args(options)
            .output()
            .unwrap_or_else(|error| panic!("{compiler}: {error} (apt-get install gcc musl-tools)"));
        assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
        Self(output)
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
