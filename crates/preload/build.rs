//! Tells the linker what the shared library exports and under which version.

fn main() {
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    for script in ["envward.map", "interposed.map"] {
        println!("cargo:rerun-if-changed={script}");
        println!("cargo:rustc-cdylib-link-arg=-Wl,--version-script={here}/{script}");
    }
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libenvward.so");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // These stand before libc's only in the shared library: they call on to the next
    // definition, which a static program does not have.
    for name in ["posix_spawn", "posix_spawnp", "pidfd_spawn", "pidfd_spawnp", "system", "popen", "pclose", "wordexp"] {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--defsym={name}=envward_{name}");
    }
}
