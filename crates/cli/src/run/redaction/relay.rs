//! The process that stands between the program's output and where it goes.
//!
//! It holds the values, so it is not dumpable, like its parent, and everything that it reads
//! goes through protected memory. It blocks all signals, and ends when nobody can write to its
//! source any more or nobody reads what it writes: the program is then told by its next write.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use envward_kernel::descriptor;
use envward_kernel::process::{self, Fork};
use envward_kernel::signal::{self, SignalQueue, SignalSet};
use envward_redact::{Matcher, Secret, Stream};
use envward_secret::{Parcel, Region, RegionError, Vault};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, kill_current_process_group};
use rustix::termios::{tcgetwinsize, tcsetwinsize};

use crate::failure::Failure;

/// How many bytes are taken up at once, if there is memory for so many.
const PIECES: [usize; 3] = [64 * 1024, 16 * 1024, 4 * 1024];

/// How much is passed on at most before the end of the program is reported: more than a pipe
/// or a terminal holds, and not all that a daemon writes in its life.
const BACKLOG: usize = 2 * 1024 * 1024;

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGTERM: i32 = 15;

/// What a relay and its parent say to each other, one byte each.
const READY: u8 = b'r';
const DRAIN: u8 = b'd';

/// Where a relay reads and writes.
pub(super) struct Ends {
    /// The reading end of a pipe, or the master side of a terminal.
    pub(super) source: OwnedFd,
    /// Where the program's output went before.
    pub(super) sink: OwnedFd,
    /// Both are terminals, and the source is to have the size of the sink. The relay is then part
    /// of the job, which is told of changes.
    pub(super) follows_size: bool,
}

/// A relay, as its parent sees it.
pub(super) struct Relay {
    control: UnixStream,
}

/// The values on their way into a relay.
pub(super) struct Values {
    parcel: Parcel,
    secrets: Vec<Secret>,
}

impl Values {
    /// Copies the values that can be redacted.
    pub(super) fn of(vault: &Vault) -> Result<Self, RegionError> {
        let mut at = 0;
        let mut secrets = Vec::new();
        for entry in vault.entries() {
            let range = at + entry.name.len() + 1..at + entry.len_with_nul - 1;
            at += entry.len_with_nul;
            let value = vault.value(entry.name).unwrap_or_default();
            if envward_redact::unsuitable(value).is_none() {
                secrets.push(Secret { name: entry.name.to_owned(), range });
            }
        }
        Ok(Self { parcel: vault.delivery()?.pack(), secrets })
    }

    fn stream(self) -> Result<Stream, RegionError> {
        let matcher = Rc::new(Matcher::new(Region::unpack(self.parcel)?, self.secrets)?);
        let mut stream = Stream::new(Rc::clone(&matcher), PIECES[0]);
        for piece in &PIECES[1..] {
            if stream.is_err() {
                stream = Stream::new(Rc::clone(&matcher), *piece);
            }
        }
        stream
    }
}

impl Relay {
    /// Starts a relay.
    ///
    /// # Errors
    /// When there is no process or no protected memory for it.
    pub(super) fn start(values: Values, ends: Ends) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::own(format!("cannot redact the output: {error}"));
        let (control, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
        match process::fork_single_threaded().map_err(|error| failed(&error))? {
            Fork::Child => process::exit_now(run(values, ends, theirs)),
            Fork::Parent(_) => {}
        }
        drop((values, ends, theirs));
        let mut relay = Self { control };
        let mut answer = Vec::new();
        let mut byte = [0];
        // It says that it is ready with one byte; anything else is why it is not.
        while relay.control.read(&mut byte).map_err(|error| failed(&error))? == 1 {
            if byte == [READY] && answer.is_empty() {
                return Ok(relay);
            }
            answer.extend(byte);
        }
        Err(failed(&String::from_utf8_lossy(&answer).trim_start()))
    }

    /// Waits until everything that was written so far has been passed on, or cannot be. Who asks
    /// us to end meanwhile need not wait for somebody who does not read; the relay still does.
    pub(super) fn drain(&mut self, signals: &SignalQueue) {
        // Without a partner there is nothing left to wait for.
        if self.control.write_all(&[DRAIN]).is_err() {
            return;
        }
        loop {
            let (answer, asked) = (self.control.as_fd(), signals.as_fd());
            let mut set = [PollFd::new(&answer, PollFlags::IN), PollFd::new(&asked, PollFlags::IN)];
            if !matches!(poll(&mut set, None), Ok(_) | Err(Errno::INTR)) || !set[0].revents().is_empty() {
                break;
            }
            while let Ok(Some(received)) = signals.next() {
                if matches!(received.signal, SIGHUP | SIGINT | SIGQUIT | SIGTERM) {
                    return;
                }
            }
        }
        let _ = self.control.read(&mut [0]);
    }
}

impl AsFd for Relay {
    /// Hangs up when the relay has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}

/// In the child, which has copies of all descriptors of its parent.
fn run(values: Values, ends: Ends, mut control: UnixStream) -> u8 {
    let _ = signal::set_mask(SignalSet::ALL);
    let sizes = if ends.follows_size {
        SignalQueue::new().ok()
    } else {
        // Out of reach of what is sent to the job, and of its terminal.
        let _ = process::start_session();
        None
    };
    descriptor::close_standard_streams();
    // Nobody shall wait for the end of something because we have a copy of it.
    let parcel = values.parcel.as_fd();
    let mut kept = vec![ends.source.as_fd(), ends.sink.as_fd(), control.as_fd(), parcel];
    kept.extend(sizes.as_ref().map(SignalQueue::as_fd));
    let _ = descriptor::close_all_but(&kept);
    let stream = match values.stream() {
        Ok(stream) => stream,
        Err(error) => {
            // Not mistaken for the byte that means success.
            let _ = write!(control, " {error}");
            return 1;
        }
    };
    if control.write_all(&[READY]).is_err() {
        return 1;
    }
    match pass_on(stream, &ends, control, sizes.as_ref()) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

/// Passes on everything until one of the two sides is gone.
fn pass_on(mut stream: Stream, ends: &Ends, control: UnixStream, sizes: Option<&SignalQueue>) -> io::Result<()> {
    let sink = ends.sink.as_fd();
    let mut control = Some(control);
    let mut backlog = None;
    loop {
        let timeout = backlog.is_some().then_some(Timespec { tv_sec: 0, tv_nsec: 0 });
        let mut set = vec![PollFd::new(&ends.source, PollFlags::IN), PollFd::new(&sink, PollFlags::empty())];
        let sized = sizes.map(SignalQueue::as_fd);
        if let Some(sized) = &sized {
            set.push(PollFd::new(sized, PollFlags::IN));
        }
        if let Some(control) = &control {
            set.push(PollFd::new(control, PollFlags::IN));
        }
        match poll(&mut set, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let gone = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        let source = set[0].revents();
        let reader_gone = set[1].revents().intersects(gone);
        let happened = |at: usize| set.get(at).is_some_and(|entry| !entry.revents().is_empty());
        let (resized, asked) = match sizes {
            Some(_) => (happened(2), happened(3)),
            None => (false, happened(2)),
        };
        drop(set);
        if let Some(sizes) = sizes.filter(|_| resized) {
            while let Ok(Some(_)) = sizes.next() {}
            follow_size(ends);
        }
        if reader_gone {
            return Ok(());
        }
        if !source.is_empty() {
            let count = match rustix::io::read(&ends.source, stream.space()) {
                // A terminal that nobody has open any more.
                Ok(0) | Err(Errno::IO) => return stream.finish(|bytes| write_all(sink, bytes)),
                Ok(count) => count,
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(error) => return Err(error.into()),
            };
            stream.advance(count, |bytes| write_all(sink, bytes))?;
            backlog = backlog.map(|left: usize| left.saturating_sub(count));
        }
        if (backlog.is_some() && source.is_empty()) || backlog == Some(0) {
            backlog = None;
            let answered = control.as_mut().is_some_and(|control| control.write_all(&[DRAIN]).is_ok());
            if !answered {
                control = None;
            }
        }
        if asked && let Some(theirs) = &mut control {
            match theirs.read(&mut [0]) {
                Ok(1) => backlog = Some(BACKLOG),
                _ => control = None,
            }
        }
    }
}

/// Gives the program's terminal the size of the user's. The program was told of the change together
/// with us and may have looked too early, so it is told again.
fn follow_size(ends: &Ends) {
    let (Ok(size), Ok(before)) = (tcgetwinsize(&ends.sink), tcgetwinsize(&ends.source)) else { return };
    if size != before && tcsetwinsize(&ends.source, size).is_ok() {
        let _ = kill_current_process_group(Signal::WINCH);
    }
}

fn write_all(sink: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(sink, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            // Whoever shares it with us does not want to wait, but we have nothing else to do.
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&sink, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
