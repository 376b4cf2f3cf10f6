//! The serial port for the records, and the way out.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;

use envward_guest::record::Record;
use envward_guest::{EXIT_PORT, RESULTS};
use rustix::termios::{self, OptionalActions};

/// Both ends of the report. The exit port is opened at the start: a test may lock the kernel
/// down, after which nobody may.
pub(crate) struct Report {
    port: File,
    exit: File,
}

impl Report {
    pub(crate) fn open() -> io::Result<Self> {
        let port = OpenOptions::new().write(true).open(RESULTS)?;
        let mut settings = termios::tcgetattr(&port)?;
        settings.make_raw();
        termios::tcsetattr(&port, OptionalActions::Now, &settings)?;
        let exit = OpenOptions::new().read(true).write(true).open("/dev/port")?;
        Ok(Self { port, exit })
    }

    pub(crate) fn write(&mut self, record: &Record) -> io::Result<()> {
        self.port.write_all(format!("{record}\n").as_bytes())
    }

    /// Waits until the last byte is out, then ends the machine with `value`.
    pub(crate) fn finish(&self, value: u8) {
        if termios::tcdrain(&self.port).is_ok() {
            // The machine is gone after it; if not, init ends and QEMU's status says so.
            let _ = self.exit.write_at(&[value], EXIT_PORT.into());
        }
    }
}
