//! libenvward against glibc and musl: times, ratios, and instruction counts by callgrind.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::build::{self, Libc};
use crate::repository::Repository;
use crate::{Trouble, say};

type Key = (String, String, u32, u32);
/// The least and the middle of several launches.
type Times = BTreeMap<Key, Vec<f64>>;

/// What callgrind counts, and with how many iterations.
const COUNTED: [&str; 6] = ["get-hit", "get-miss", "set-two", "set-unset", "strdup-snapshot", "iterate"];
const COUNT: [u32; 2] = [100, 1100];

/// Runs all sides in turn, several times, and prints tables.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Trouble> {
    let (arguments, counts) = match arguments {
        [rest @ .., "--no-count"] => (rest, false),
        _ => (arguments, true),
    };
    let (arguments, kind) = match arguments {
        ["--libc", "glibc-2.41", rest @ ..] => (rest, Libc::Newer),
        _ => (arguments, Libc::Glibc),
    };
    let launches: u32 = match arguments {
        [] => 3,
        ["--launches", launches] => launches.parse().map_err(|error| Trouble::new("--launches", error))?,
        _ => {
            return Err(Trouble(
                "bench-environ takes --libc glibc-2.41, --launches N and --no-count, in this order".to_owned(),
            ));
        }
    };
    let repository = Repository::here()?;
    let library = build::library_copy(&repository, &build::directory(&repository, "bench")?)?;
    let glibc = build::program(&repository, kind, "bench", &[], &build::directory(&repository, kind.name())?)?;
    let musl = build::program(&repository, Libc::Musl, "bench", &[], &build::directory(&repository, "musl")?)?;
    let sides: [(&str, &Path, Option<&Path>); 4] = [
        ("glibc", &glibc, None),
        ("glibc + envward", &glibc, Some(&library)),
        ("musl", &musl, None),
        ("musl + envward", &musl, Some(&library)),
    ];
    let mut times: Vec<Times> = vec![Times::new(); sides.len()];
    for _ in 0..launches {
        for (side, (_, program, preload)) in sides.iter().enumerate() {
            measure(program, *preload, &mut times[side])?;
        }
    }
    say(&format!("With {}:", kind.name()));
    say("| operation | names | variables | threads | glibc ns | envward ns | ratio | musl ns | envward ns | ratio |");
    say("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for key in times[1].keys() {
        let (operation, names, count, threads) = key;
        let columns: Vec<Option<f64>> = times.iter().map(|side| side.get(key).map(|all| least(all))).collect();
        let base = |column: usize, name: &str| columns[column].or_else(|| counterpart(&times[column], key, name));
        let cell = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"));
        let ratio = |base: Option<f64>, ours: Option<f64>| match (base, ours) {
            (Some(base), Some(ours)) => format!("{:.2}", base / ours),
            _ => "–".to_owned(),
        };
        let compared = if operation == "iterate" { "strdup-snapshot" } else { operation };
        let (from_glibc, from_musl) = (base(0, compared), base(2, compared));
        say(&format!(
            "| {operation} | {names} | {count} | {threads} | {} | {} | {} | {} | {} | {} |",
            cell(from_glibc),
            cell(columns[1]),
            ratio(from_glibc, columns[1]),
            cell(from_musl),
            cell(columns[3]),
            ratio(from_musl, columns[3]),
        ));
    }
    if counts {
        instructions(&glibc, &library)?;
    }
    start_up(&library)
}

fn counterpart(times: &Times, (_, names, count, threads): &Key, operation: &str) -> Option<f64> {
    times.get(&(operation.to_owned(), names.clone(), *count, *threads)).map(|all| least(all))
}

fn least(all: &[f64]) -> f64 {
    all.iter().copied().fold(f64::INFINITY, f64::min)
}

fn command(program: &Path, preload: Option<&Path>) -> Command {
    let mut command = Command::new(program);
    if let Some(library) = preload {
        command.env("LD_PRELOAD", library);
    }
    command
}

fn measure(program: &Path, preload: Option<&Path>, times: &mut Times) -> Result<(), Trouble> {
    let output = command(program, preload).output().map_err(|error| Trouble::new(program.display(), error))?;
    if !output.status.success() {
        return Err(Trouble::new(program.display(), output.status));
    }
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let [operation, names, count, threads, time] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(Trouble::new("a line of the benchmark", line));
        };
        let (Ok(count), Ok(threads), Ok(time)) = (count.parse(), threads.parse(), time.parse()) else {
            return Err(Trouble::new("a line of the benchmark", line));
        };
        times.entry((operation.to_owned(), names.to_owned(), count, threads)).or_default().push(time);
    }
    Ok(())
}

/// Instructions per operation, as the difference of two runs under callgrind.
fn instructions(program: &Path, library: &Path) -> Result<(), Trouble> {
    say("\n| instructions of | names | variables | glibc | envward |\n| --- | --- | --- | --- | --- |");
    for operation in COUNTED {
        for names in ["mixed", "prefix"] {
            for count in [10, 50, 200, 1000] {
                let alone = match operation {
                    "iterate" => "–".to_owned(),
                    _ => callgrind(program, None, operation, names, count)?.to_string(),
                };
                let ours = callgrind(program, Some(library), operation, names, count)?;
                say(&format!("| {operation} | {names} | {count} | {alone} | {ours} |"));
            }
        }
    }
    Ok(())
}

fn callgrind(program: &Path, library: Option<&Path>, operation: &str, names: &str, count: u32) -> Result<u64, Trouble> {
    let mut totals = [0_u64; 2];
    for (total, iterations) in totals.iter_mut().zip(COUNT) {
        let mut valgrind = Command::new("valgrind");
        if let Some(library) = library {
            valgrind.env("LD_PRELOAD", library);
        }
        let output = valgrind
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(program)
            .args([operation, names, &count.to_string(), &iterations.to_string()])
            .output()
            .map_err(|error| Trouble::new("cannot run valgrind (apt-get install valgrind)", error))?;
        let report = String::from_utf8_lossy(&output.stderr).into_owned();
        let found = report.lines().find_map(|line| line.split("Collected : ").nth(1)?.trim().parse().ok());
        *total = found.ok_or_else(|| Trouble::new("callgrind", "no count in its report"))?;
    }
    Ok((totals[1] - totals[0]) / u64::from(COUNT[1] - COUNT[0]))
}

/// What preloading adds to the run of `true`.
fn start_up(library: &Path) -> Result<(), Trouble> {
    const RUNS: u32 = 100;
    const ROUNDS: u32 = 30;
    let mut best = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        for (side, preload) in [None, Some(library)].into_iter().enumerate() {
            let began = Instant::now();
            for _ in 0..RUNS {
                let status = command(Path::new("/bin/true"), preload)
                    .stdin(Stdio::null())
                    .status()
                    .map_err(|error| Trouble::new("/bin/true", error))?;
                if !status.success() {
                    return Err(Trouble::new("/bin/true", status));
                }
            }
            best[side] = best[side].min(began.elapsed().as_secs_f64() * 1e6 / f64::from(RUNS));
        }
    }
    say(&format!(
        "\nstart of `true`: {:.0} µs, preloaded {:.0} µs: {:+.0} µs, {:+.1} %",
        best[0],
        best[1],
        best[1] - best[0],
        (best[1] / best[0] - 1.0) * 100.0
    ));
    Ok(())
}
