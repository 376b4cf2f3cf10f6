//! Compiles the BPF programs with clang. They are not checked in: what runs in the kernel is
//! what stands in `bpf/`.

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
    let status = Command::new(&clang)
        // v3: atomic additions that say what was there before; Linux 5.12.
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror", processor, "-c", "bpf/agent.bpf.c", "-o"])
        .arg(&object)
        .status()
        .map_err(|error| {
            format!("cannot start {clang}, which compiles the BPF programs: {error}; apt-get install clang, or ./test")
        })?;
    if status.success() { Ok(()) } else { Err(format!("{clang} refused the BPF programs: {status}")) }
}
