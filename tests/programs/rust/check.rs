//! check NAME DIGEST [COMMAND ARGUMENT...]: see ../c/check.c.

use std::io::Read;

#[path = "../../../crates/testkit/src/sha256.rs"]
mod sha256;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, digest, command) = (&arguments[0], &arguments[1], &arguments[2..]);
    let verdict = match std::env::var(name) {
        Err(_) => "missing",
        Ok(value) if sha256::hex(&sha256::sha256(value.as_bytes())) == *digest => "seen",
        Ok(_) => "different",
    };
    println!("{verdict}");
    if let Some((program, arguments)) = command.split_first() {
        let status = std::process::Command::new(program).args(arguments).status();
        std::process::exit(status.ok().and_then(|status| status.code()).unwrap_or(125));
    }
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
