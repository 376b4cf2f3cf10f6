//! The implementations, fetched with pinned versions into a directory below `target/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use envward_testkit::tool;

const PYTHON_DOTENV: &str = "python-dotenv==1.2.4 \
    --hash=sha256:42269a8a5b3fd54ffa6f3d84b18abed50064717576b4ecf03dc4a55d8aa04fdc\n";

/// One installation at a time within this process.
static BUSY: Mutex<()> = Mutex::new(());

/// Makes a directory's content unless it is there already, and is complete.
fn once(name: &str, version: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let guard = BUSY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dialects");
    fs::create_dir_all(&target).unwrap();
    // And between processes.
    let lock = File::create(target.join(".lock")).unwrap();
    lock.lock().unwrap();
    let directory = target.join(name);
    let stamp = directory.join(".complete");
    if fs::read_to_string(&stamp).ok().as_deref() != Some(version) {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        make(&directory);
        fs::write(stamp, version).unwrap();
    }
    drop(guard);
    directory
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A directory with npm's dotenv, dotenv-expand and dotenvx.
pub(crate) fn npm() -> PathBuf {
    let lock = include_str!("oracles/npm/package-lock.json");
    once("npm", lock, |directory| {
        fs::write(directory.join("package.json"), include_str!("oracles/npm/package.json")).unwrap();
        fs::write(directory.join("package-lock.json"), lock).unwrap();
        run(Command::new(tool("npm", "npm"))
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(directory));
    })
}

/// A Python that has python-dotenv.
pub(crate) fn python() -> PathBuf {
    let directory = once("python", PYTHON_DOTENV, |directory| {
        run(Command::new(tool("python3", "python3")).args(["-m", "venv"]).arg(directory));
        fs::write(directory.join("requirements.txt"), PYTHON_DOTENV).unwrap();
        run(Command::new(directory.join("bin/pip"))
            .args(["install", "--quiet", "--require-hashes", "--disable-pip-version-check", "-r", "requirements.txt"])
            .current_dir(directory));
    });
    directory.join("bin/python")
}

/// A program that asks compose-go.
pub(crate) fn compose() -> PathBuf {
    let source = [include_str!("oracles/compose/main.go"), include_str!("oracles/compose/go.sum")].concat();
    let directory = once("compose", &source, |directory| {
        for (name, text) in [
            ("main.go", include_str!("oracles/compose/main.go")),
            ("go.mod", include_str!("oracles/compose/go.mod")),
            ("go.sum", include_str!("oracles/compose/go.sum")),
        ] {
            fs::write(directory.join(name), text).unwrap();
        }
        run(Command::new(tool("go", "golang-go"))
            .args(["build", "-o", "oracle", "."])
            .env("GOFLAGS", "-mod=readonly -buildvcs=false")
            .current_dir(directory));
    });
    directory.join("oracle")
}
