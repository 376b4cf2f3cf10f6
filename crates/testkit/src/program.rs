//! Building the test programs, once, into the target directory.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::sha256::{hex, sha256};
use crate::tool::{search_path, tool};

/// A compiler with the way of linking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// C with the system's libc, dynamic.
    C,
    /// C, static and position-independent.
    CStaticPie,
    /// C, static at a fixed address.
    CStatic,
    /// C with musl, static.
    Musl,
    /// C under AddressSanitizer, which lays out the address space itself.
    AddressSanitized,
    /// C under ThreadSanitizer, which does so too and refuses what it does not
    /// know.
    ThreadSanitized,
    /// 32-bit C, dynamic.
    I386,
    /// 32-bit C, static.
    I386Static,
    /// Go without cgo: static, no libc.
    Go,
    /// Go with cgo.
    GoCgo,
    /// Rust, the default target.
    Rust,
    /// Rust with a static libc.
    RustStatic,
    /// Java; the result is the directory of the classes.
    Java,
}

/// Where programs are built.
pub struct Workshop {
    sources: PathBuf,
    cache: PathBuf,
}

static BUILDING: Mutex<()> = Mutex::new(());

impl Workshop {
    /// Builds from `sources` (one directory per language) below `cache`.
    #[must_use]
    pub fn new(sources: &str, cache: &str) -> Self {
        Self { sources: sources.into(), cache: Path::new(cache).join("programs") }
    }

    /// A source file that needs no building.
    #[must_use]
    pub fn script(&self, name: &str) -> PathBuf {
        let path = self.sources.join(name);
        fs::canonicalize(&path).unwrap_or_else(|error| panic!("no script {}: {error}", path.display()))
    }

    /// The program `name` in `language`, built unless that was done before
    /// from the same sources.
    #[must_use]
    pub fn build(&self, language: Language, name: &str) -> PathBuf {
        let directory = self.sources.join(language.directory());
        let recipe = language.recipe(&directory, name);
        let key = hex(&sha256(&recipe.fingerprint(&directory)))[..16].to_owned();
        let place = self.cache.join(format!("{}-{key}", language.label()));
        let product = match language {
            Language::Java => place.clone(),
            _ => place.join(name),
        };
        let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        if !product.exists() {
            let scratch = self.cache.join(format!("{key}.{}", std::process::id()));
            fs::create_dir_all(&scratch).expect("the target directory takes directories");
            recipe.run(&scratch, name);
            // Another test binary may have been as quick.
            if fs::rename(&scratch, &place).is_err() {
                let _ = fs::remove_dir_all(&scratch);
            }
        }
        assert!(product.exists(), "{} was not built", product.display());
        product
    }
}

struct Recipe {
    compiler: PathBuf,
    arguments: Vec<OsString>,
    output: &'static str,
    directory: PathBuf,
    environment: Vec<(&'static str, OsString)>,
    package: &'static str,
}

impl Language {
    fn directory(self) -> &'static str {
        match self {
            Self::C
            | Self::CStaticPie
            | Self::CStatic
            | Self::Musl
            | Self::AddressSanitized
            | Self::ThreadSanitized
            | Self::I386
            | Self::I386Static => "c",
            Self::Go | Self::GoCgo => "go",
            Self::Rust | Self::RustStatic => "rust",
            Self::Java => "java",
        }
    }

    fn label(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn recipe(self, directory: &Path, name: &str) -> Recipe {
        let (command, package): (&str, &str) = match self {
            Self::C => ("gcc", "gcc libc6-dev"),
            Self::CStaticPie | Self::CStatic | Self::AddressSanitized | Self::ThreadSanitized => {
                ("gcc", "gcc libc6-dev")
            }
            Self::Musl => ("musl-gcc", "musl-tools"),
            Self::I386 | Self::I386Static => ("gcc", "gcc-multilib libc6-dev-i386"),
            Self::Go | Self::GoCgo => ("go", "golang-go"),
            Self::Rust | Self::RustStatic => ("rustc", "rustc"),
            Self::Java => ("javac", "default-jdk-headless"),
        };
        let source = directory.join(name);
        let c = |link: &[&str]| {
            let mut arguments = vec!["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"];
            arguments.extend(link);
            let mut arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
            arguments.push(source.with_extension("c").into());
            arguments
        };
        let rust = |options: &[&str]| {
            let mut arguments: Vec<OsString> = vec!["--edition=2021".into(), "-O".into()];
            arguments.extend(options.iter().map(Into::into));
            arguments.push(source.with_extension("rs").into());
            arguments
        };
        let go = || vec!["build".into(), "-trimpath".into()];
        let mut environment = Vec::new();
        let arguments = match self {
            Self::C => c(&[]),
            Self::CStaticPie => c(&["-static-pie"]),
            Self::CStatic => c(&["-static", "-no-pie"]),
            Self::Musl => c(&["-static"]),
            Self::AddressSanitized => c(&["-fsanitize=address"]),
            Self::ThreadSanitized => c(&["-fsanitize=thread"]),
            Self::I386 => c(&["-m32"]),
            Self::I386Static => c(&["-m32", "-static"]),
            Self::Rust => rust(&[]),
            Self::RustStatic => rust(&["-Ctarget-feature=+crt-static"]),
            Self::Go => {
                environment.push(("CGO_ENABLED", "0".into()));
                go()
            }
            Self::GoCgo => {
                environment.push(("CGO_ENABLED", "1".into()));
                go()
            }
            Self::Java => vec![source.with_extension("java").into()],
        };
        let in_source = self.directory() == "go";
        if in_source {
            environment.push(("GOFLAGS", "-buildvcs=false".into()));
            environment.push(("GOTOOLCHAIN", "local".into()));
        }
        Recipe {
            compiler: tool(command, package),
            arguments,
            output: if self == Self::Java { "-d" } else { "-o" },
            directory: if in_source { source } else { directory.to_owned() },
            environment,
            package,
        }
    }
}

impl Recipe {
    fn run(&self, scratch: &Path, name: &str) {
        let mut command = Command::new(&self.compiler);
        command
            .args(&self.arguments)
            .arg(self.output)
            .arg(if self.output == "-d" { scratch.to_owned() } else { scratch.join(name) })
            .current_dir(&self.directory)
            .env("PATH", search_path())
            .stdin(Stdio::null());
        for (variable, value) in &self.environment {
            command.env(variable, value);
        }
        // Go keeps its build cache at home; a machine without one gets ours.
        if std::env::var_os("HOME").is_none() {
            command.env("GOCACHE", scratch.with_file_name("go-cache"));
        }
        let output =
            command.output().unwrap_or_else(|error| panic!("cannot start {}: {error}", self.compiler.display()));
        assert!(
            output.status.success(),
            "cannot build {name} with {command:?}: {}\n(if a part of the compiler is missing: apt-get install {})",
            String::from_utf8_lossy(&output.stderr),
            self.package
        );
    }

    /// Everything that the product depends on.
    fn fingerprint(&self, directory: &Path) -> Vec<u8> {
        let mut all = format!("{:?} {:?} {:?} {:?}", self.compiler, self.arguments, self.directory, self.environment)
            .into_bytes();
        let mut pending = vec![directory.to_owned()];
        let mut files = Vec::new();
        while let Some(dir) = pending.pop() {
            let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("no {}: {error}", dir.display()));
            for path in entries.flatten().map(|entry| entry.path()) {
                if path.is_dir() { pending.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        for file in files {
            all.extend_from_slice(file.as_os_str().as_encoded_bytes());
            all.extend(fs::read(&file).unwrap_or_else(|error| panic!("no {}: {error}", file.display())));
        }
        all
    }
}
