//! The library as it is installed: its pkg-config file.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::harness::{library, root};

fn pkg_config(prefix: &Path, options: &[&str]) -> Vec<String> {
    let output = Command::new("pkg-config")
        .args(options)
        .arg("envward")
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .env("PKG_CONFIG_ALLOW_SYSTEM_LIBS", "1")
        .output()
        .unwrap_or_else(|error| panic!("pkg-config: {error} (apt-get install pkg-config)"));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_program_is_built_with_what_pkg_config_says() {
    let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("prefix-{}", std::process::id()));
    let preload = root().join("crates/preload");
    for directory in ["lib/pkgconfig", "include"] {
        fs::create_dir_all(prefix.join(directory)).unwrap();
    }
    let prefix = prefix.canonicalize().unwrap();
    fs::copy(preload.join("envward.pc"), prefix.join("lib/pkgconfig/envward.pc")).unwrap();
    fs::copy(preload.join("include/envward.h"), prefix.join("include/envward.h")).unwrap();
    for name in ["libenvward.so", "libenvward.a"] {
        fs::copy(library().with_file_name(name), prefix.join("lib").join(name)).unwrap();
    }
    assert_eq!(pkg_config(&prefix, &["--modversion"]), [env!("CARGO_PKG_VERSION")]);
    for compiler in ["gcc", "musl-gcc"] {
        for link in ["-Wl,-rpath", "-static"] {
            let program = prefix.join("interface");
            let mut command = Command::new(compiler);
            command.args(["-O2", "-w", "-pthread"]).args(pkg_config(&prefix, &["--cflags"]));
            command.arg(preload.join("programs/interface.c")).arg("-o").arg(&program);
            command.arg(if link == "-static" {
                link.to_owned()
            } else {
                format!("{link},{}", prefix.join("lib").display())
            });
            let libraries: &[&str] = if link == "-static" { &["--libs", "--static"] } else { &["--libs"] };
            let built = command.args(pkg_config(&prefix, libraries)).output().unwrap();
            assert!(built.status.success(), "{compiler} {link}: {built:?}");
            let output = Command::new(&program).output().unwrap();
            assert!(output.status.success(), "{compiler} {link}: {output:?}");
        }
    }
    fs::remove_dir_all(&prefix).unwrap();
}
