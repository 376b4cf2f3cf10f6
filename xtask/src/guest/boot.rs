//! One boot: QEMU, its end, and what came out of the serial ports.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use envward_guest::record::Record;
use envward_guest::{EXIT_PORT, MARK};

use crate::{Trouble, say};

/// The program that boots a guest.
const QEMU: &str = "qemu-system-x86_64";

/// A machine to switch on.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    pub(super) kernel: &'a Path,
    pub(super) image: &'a Path,
    /// What is added to the kernel's command line.
    pub(super) command_line: &'a str,
    /// After which it is switched off.
    pub(super) limit: Duration,
    /// Where the kernel's messages go.
    pub(super) console: &'a Path,
}

/// How QEMU ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With this exit status.
    Exited(i32),
    /// It was killed after this long.
    TimedOut(Duration),
    /// In another way.
    Killed,
}

/// What a boot has left.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) ending: Ending,
    /// Every line of the port for results, as far as it is a record.
    pub(super) records: Vec<Record>,
    /// Lines that are none.
    pub(super) strange: Vec<String>,
}

impl Report {
    /// What the kernel calls itself.
    pub(super) fn release(&self) -> Option<&str> {
        self.records.iter().find_map(|record| match record {
            Record::Begin { release, .. } => Some(release.as_str()),
            _ => None,
        })
    }
}

/// Trouble, unless there is a QEMU.
pub(super) fn find_qemu() -> Result<(), Trouble> {
    match Command::new(QEMU).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Trouble(format!("guest: {QEMU} is missing: apt-get install --no-install-recommends qemu-system-x86"))),
    }
}

impl Machine<'_> {
    /// Switches it on and waits for its end; every record goes to `take` as it comes.
    ///
    /// The processor is an old one, which emulates twice as fast as one that can everything.
    /// Mitigations of flaws that an emulated processor does not have are off: what they do at each system call is what
    /// emulation is slowest at. Without KVM, always: whether it works differs between machines, and so would results.
    pub(super) fn run(&self, take: &mut dyn FnMut(&Record)) -> Result<Report, Trouble> {
        let failed = |error| Trouble::new("guest: cannot run timeout and QEMU", error);
        let seconds = self.limit.as_secs().max(1).to_string();
        let mut child = Command::new("timeout")
            .args(["--foreground", "--kill-after=10", &seconds, QEMU])
            .args(["-nodefaults", "-no-user-config", "-machine", "pc", "-accel", "tcg", "-cpu", "Nehalem"])
            .args(["-smp", "2", "-m", "1024", "-display", "none", "-no-reboot"])
            .args(["-chardev", "stdio,id=results,signal=off", "-serial"])
            .arg(format!("file:{}", self.console.display()))
            .args(["-serial", "chardev:results", "-device"])
            .arg(format!("isa-debug-exit,iobase={EXIT_PORT:#x},iosize=1"))
            .arg("-kernel")
            .arg(self.kernel)
            .arg("-initrd")
            .arg(self.image)
            .args(["-append", &format!("console=ttyS0 quiet panic=-1 mitigations=off {MARK} {}", self.command_line)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(failed)?;
        let (mut records, mut strange) = (Vec::new(), Vec::new());
        if let Some(port) = child.stdout.take() {
            for line in BufReader::new(port).split(b'\n') {
                let line = String::from_utf8_lossy(&line.map_err(failed)?).trim_end_matches('\r').to_owned();
                match Record::parse(&line) {
                    Some(record) => {
                        take(&record);
                        records.push(record);
                    }
                    None => strange.push(line),
                }
            }
        }
        let status = child.wait().map_err(failed)?;
        let ending = match status.code() {
            Some(124 | 137) => Ending::TimedOut(self.limit),
            Some(code) => Ending::Exited(code),
            None => Ending::Killed,
        };
        Ok(Report { ending, records, strange })
    }
}

/// Shows the kernel's last words.
pub(super) fn show_end_of(console: &Path) {
    let text = fs::read(console).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    say(&format!("  the end of {}:", console.display()));
    for line in &lines[lines.len().saturating_sub(30)..] {
        say(&format!("  {}", line.chars().filter(|c| !c.is_control()).collect::<String>()));
    }
}
