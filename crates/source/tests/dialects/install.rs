//! The implementations, fetched with pinned versions into a directory below `target/`.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use envward_testkit::tool;

const PYTHON_DOTENV: &str = "python-dotenv==1.2.4 \
    --hash=sha256:42269a8a5b3fd54ffa6f3d84b18abed50064717576b4ecf03dc4a55d8aa04fdc\n";

/// The Go that builds what compose is asked with where the installed one is too old (Debian 12 has
/// 1.19): a module of the Go proxy like any other, with its checksum.
const GO: &str = "golang.org/toolchain@v0.0.1-go1.24.11.linux-amd64";
const GO_SUM: &str = "h1:hxQU5yWTnb0g5kLfz0z3G0wrgC9rQGwX9qPSPnpQuGY=";
/// The minor version of Go that the oracle needs.
const GO_MINOR: u32 = 24;

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
    let go = go();
    let source = [include_str!("oracles/compose/main.go"), include_str!("oracles/compose/go.sum")].concat();
    let directory = once("compose", &source, |directory| {
        for (name, text) in [
            ("main.go", include_str!("oracles/compose/main.go")),
            ("go.mod", include_str!("oracles/compose/go.mod")),
            ("go.sum", include_str!("oracles/compose/go.sum")),
        ] {
            fs::write(directory.join(name), text).unwrap();
        }
        run(Command::new(&go)
            .args(["build", "-o", "oracle", "."])
            .env("GOFLAGS", "-mod=readonly -buildvcs=false")
            .env("GOTOOLCHAIN", "local")
            .env("CGO_ENABLED", "0")
            .current_dir(directory));
    });
    directory.join("oracle")
}

/// The installed Go, or a newer one if that is too old.
fn go() -> PathBuf {
    let installed = tool("go", "golang-go");
    let output = Command::new(&installed).args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").output().unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    // Such as go1.19.8.
    let minor = version.trim().split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    if minor.unwrap_or_else(|| panic!("{installed:?} says it is {version:?}")) >= GO_MINOR {
        return installed;
    }
    let root = once("go", GO_SUM, |directory| {
        let output = Command::new(&installed)
            .args(["mod", "download", "-json", GO])
            .env("GOFLAGS", "-modcacherw")
            .env("GOMODCACHE", directory)
            .current_dir(directory)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["Sum"], GO_SUM, "{GO} is not what it was");
        let root = directory.join(GO);
        // Modules have neither programs nor modules inside of them.
        for folder in ["bin", "pkg/tool/linux_amd64"] {
            for program in fs::read_dir(root.join(folder)).unwrap() {
                fs::set_permissions(program.unwrap().path(), Permissions::from_mode(0o755)).unwrap();
            }
        }
        fs::copy(root.join("src/_go.mod"), root.join("src/go.mod")).unwrap();
    });
    root.join(GO).join("bin/go")
}
