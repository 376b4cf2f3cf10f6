//! Compiles the BPF programs with clang. They are not checked in: what runs in the kernel is
//! what stands in `bpf/`. Where there is no clang the agent is built without them, and says so
//! instead of starting: the rest of the workspace is of use without it.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-env-changed=CLANG");
    if let Err(message) = compile() {
        println!("cargo::error={message}");
    }
}

fn compile() -> Result<(), String> {
    let variable = |name: &str| std::env::var(name).map_err(|error| format!("{name}: {error}"));
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let object = PathBuf::from(variable("OUT_DIR")?).join("agent.bpf.o");
    let processor = match variable("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "x86_64" => "-D__TARGET_ARCH_x86",
        other => return Err(format!("the agent does not know the registers of {other} yet")),
    };
    let compiled = Command::new(&clang)
        // v3: atomic additions that say what was there before; Linux 5.12.
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror", processor, "-c", "bpf/agent.bpf.c", "-o"])
        .arg(&object)
        .status();
    let status = match compiled {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!(
                "cargo::warning=envward-agent is built without its BPF programs and will not start: {clang} is missing (apt-get install clang)"
            );
            return std::fs::write(&object, b"").map_err(|error| format!("{}: {error}", object.display()));
        }
        Err(error) => return Err(format!("cannot start {clang}, which compiles the BPF programs: {error}")),
        Ok(status) => status,
    };
    if status.success() { Ok(()) } else { Err(format!("{clang} refused the BPF programs: {status}")) }
}
