//! `cargo xtask bench env-file`: what a thousand lines of an env file cost, in every dialect.
//!
//! `envward run -- true` with a file of 1,000 lines is run in turn with the same command and a
//! file of 3 lines; the figure is the difference of the medians.

use std::fs;
use std::time::Duration;

use crate::bench::{self, build};
use crate::{Trouble, say};

const ROUNDS: usize = 100;
const FEW: usize = 3;
const MANY: usize = 1000;
const LIMIT: Duration = Duration::from_millis(1);
const DIALECTS: [&str; 9] =
    ["dotenvy", "dotenv", "dotenv-expand", "dotenvx", "node", "ruby", "python", "compose", "shell"];

/// Measures and says it; a dialect beyond the limit is trouble.
pub(crate) fn run() -> Result<(), Trouble> {
    let envward = build()?;
    let directory = std::env::temp_dir().join(format!("envward-bench-env-file-{}", std::process::id()));
    fs::create_dir(&directory).map_err(|error| Trouble::new(directory.display(), error))?;
    let done = measure(&envward, &directory);
    let _ = fs::remove_dir_all(&directory);
    done
}

fn measure(envward: &str, directory: &std::path::Path) -> Result<(), Trouble> {
    let write = |lines: usize| {
        let path = directory.join(format!("{lines}.env"));
        let text: String = (0..lines).map(|line| format!("BENCH_{line:04}=\"not a secret at all {line}\"\n")).collect();
        fs::write(&path, text).map_err(|error| Trouble::new(path.display(), error))?;
        Ok(path.display().to_string())
    };
    let (few, many) = (write(FEW)?, write(MANY)?);
    let mut missed = Vec::new();
    for dialect in DIALECTS {
        let command = |file: &str| {
            [envward, "run", "--quiet", "--no-config", "--dialect", dialect, "--env-file", file, "--", "true"]
                .map(str::to_owned)
                .to_vec()
        };
        let [short, long] = bench::measure(ROUNDS, [&command(&few), &command(&many)])?;
        let (short, long) = (short.time, long.time);
        let more = long.saturating_sub(short);
        say(&format!("{dialect}: {FEW} lines {short:?}, {MANY} lines {long:?}: {more:?} more (at most {LIMIT:?})"));
        if more > LIMIT {
            missed.push(dialect);
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(Trouble(format!("beyond the limit: {}", missed.join(", ")))) }
}
