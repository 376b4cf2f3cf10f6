//! A test binary, and an init, that does everything wrong that one can do: by it the runner
//! shows that it is not taken in. It refuses to run outside of a guest.
#![forbid(unsafe_code)]

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use envward_guest::{EXIT_PORT, Guest, PASSED};
use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};

/// What a test harness says at its end.
const WELL: &str = "test result: ok. 1 passed; 0 failed";

fn main() -> ExitCode {
    if std::process::id() == 1 {
        for (file_system, place) in [("devtmpfs", "/dev"), ("proc", "/proc")] {
            let _ = fs::create_dir_all(place);
            let _ = mount(file_system, place, file_system, MountFlags::empty(), None);
        }
    }
    if !Guest::is_here() {
        return ExitCode::from(2);
    }
    // As a test: `--exact NAME …`; as init: `NAME`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--exact").collect();
    match misbehave(words.first().map_or("", String::as_str)) {
        Ok(code) => ExitCode::from(code),
        Err(_) => ExitCode::from(3),
    }
}

fn misbehave(how: &str) -> io::Result<u8> {
    match how {
        "passes" => writeln!(io::stdout(), "{WELL}")?,
        "fails" => return Ok(101),
        "runs_no_test" => {}
        "hangs" => loop {
            thread::sleep(Duration::from_secs(1));
        },
        "panics" => fs::write("/proc/sysrq-trigger", "c")?,
        "claims_success" => {
            let port = OpenOptions::new().read(true).write(true).open("/dev/port")?;
            port.write_all_at(&[PASSED], EXIT_PORT.into())?;
        }
        "powers_off" => reboot(RebootCommand::PowerOff)?,
        _ => return Ok(2),
    }
    Ok(0)
}
