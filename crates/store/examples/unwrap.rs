//! What one X25519 unwrapping of an age file costs, for `cargo xtask bench store`: opens the key
//! block of a store many times and prints the median in nanoseconds.
//!
//! `unwrap STORE IDENTITY`

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use envward_store::{Document, Identities, Key};

const TIMES: usize = 1001;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(store), Some(identity)) = (arguments.next(), arguments.next()) else {
        return Err("usage: unwrap STORE IDENTITY".into());
    };
    let text = std::fs::read(store)?;
    let document = Document::parse(&text)?;
    let mut identities = Identities::default();
    identities.add(&std::fs::read_to_string(&identity)?, Path::new(&identity), |_| None)?;
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let start = Instant::now();
        let key = Key::unwrap(&document, &identities)?;
        times.push(start.elapsed());
        drop(key);
    }
    times.sort_unstable();
    writeln!(std::io::stdout(), "{}", times[TIMES / 2].as_nanos())?;
    Ok(())
}
