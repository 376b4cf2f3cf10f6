//! The supervisor of a tree: decides what every `execve` in it carries.
//!
//! One thread, one loop. A notified exec that carries nothing goes on at once. One that
//! carries secrets is made again by the same thread, with an environment without them, and
//! the new program gets its own copy before its first instruction. An exec under way is a
//! [`Flight`]; the loop never waits for one, because an exec can take as long as a file
//! system likes.

use std::collections::VecDeque;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use envward_kernel::arch::{Abi, Cookie, ExecCall, Registers};
use envward_kernel::process::{self, Change, Ending};
use envward_kernel::ptrace::{EVENT_EXEC, Events, Outcome, Reason, Running, Stepping, Stopped};
use envward_kernel::seccomp::{Answer, Listener, Notification};
use envward_kernel::signal::{self, SignalSet};
use envward_kernel::{poll, ptrace, remote_memory, startup};
use envward_secret::RegionError;

use crate::carry::{Carry, CarryError, Reader};
use crate::companion::{Companion, Home};
use crate::image::{self, Copy, Entry, Image, Parcel, SLOTS, SlotSize};
use crate::inject::{self, Fresh, Gadgets, Guard, HandOver, InjectError, Openness, Wait};
use crate::missing;
use crate::mode::{Attempt, Mode, Protection};
use crate::permit::Permit;
use crate::pristine::Given;
use crate::report::{Counters, Level, RefuseError, Report};
use crate::scratchpad::Scratchpads;
use crate::stack;

/// An exec that has been let go and has not come to its end.
#[derive(Debug)]
struct Flight {
    tracee: Running,
    /// The process that the thread belongs to.
    process: i32,
    /// Which scratch slot holds its array, or else where that is.
    place: Place,
    carry: Carry,
    /// As they were before the exec was changed.
    registers: Registers,
    mask: SignalSet,
    companion: Companion,
}

/// Where the environment array of an exec under way stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In this scratch slot.
    Slot(usize),
    /// At this address, in a scratchpad.
    Pad(usize),
}

/// The supervisor of one tree.
pub struct Supervisor<'a> {
    /// Without one, only the first program is looked after.
    listener: Option<Listener>,
    /// Becomes readable when a process stops.
    signals: OwnedFd,
    image: Image,
    reader: Reader,
    permit: &'a dyn Permit,
    protection: Protection,
    cookie: Cookie,
    gadgets: Gadgets,
    stepping: Stepping,
    queue: VecDeque<Notification>,
    /// Notifications of processes that have an exec under way already, see
    /// [`Supervisor::handle`].
    deferred: Vec<Notification>,
    flights: Vec<Flight>,
    pads: Scratchpads,
    /// The thread whose exec was the last to fail because the file was not there.
    searching: Option<i32>,
    home: Home,
    counters: Counters,
    forked_away: bool,
    report: &'a mut dyn FnMut(Report),
}

impl std::fmt::Debug for Supervisor<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Supervisor")
            .field("protection", &self.protection)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// Error numbers that refused execs fail with.
mod number {
    pub(super) const EPERM: i32 = 1;
    pub(super) const ENOENT: i32 = 2;
    pub(super) const E2BIG: i32 = 7;
    pub(super) const EFAULT: i32 = 14;
    pub(super) const SIGTRAP: i32 = 5;
}

impl<'a> Supervisor<'a> {
    /// A supervisor for the tree behind `listener`.
    #[expect(clippy::too_many_arguments, reason = "each is a different thing, and there is one caller")]
    pub fn new(
        listener: Option<Listener>,
        signals: OwnedFd,
        image: Image,
        permit: &'a dyn Permit,
        protection: Protection,
        cookie: Cookie,
        home: Home,
        pads: Scratchpads,
        report: &'a mut dyn FnMut(Report),
    ) -> Self {
        // Older kernels wake us less cleverly, and that is all.
        let _ = listener.as_ref().map(Listener::wake_on_same_cpu);
        Self {
            reader: Reader::new(),
            home,
            listener,
            signals,
            image,
            permit,
            protection,
            cookie,
            gadgets: Gadgets::default(),
            stepping: if startup::was_ignored(number::SIGTRAP) { Stepping::Syscall } else { Stepping::Single },
            queue: VecDeque::new(),
            deferred: Vec::new(),
            flights: Vec::new(),
            pads,
            searching: None,
            counters: Counters::default(),
            forked_away: false,
            report,
        }
    }

    /// Packs the image for a child that is to go on in our place.
    ///
    /// # Errors
    /// No protected memory.
    pub(crate) fn pack(&self) -> Result<Parcel, RegionError> {
        self.image.pack()
    }

    /// In the child: takes the image out of the parcel. What was the parent's protected memory
    /// is not there, and must be neither used nor dropped.
    ///
    /// # Errors
    /// No protected memory.
    pub(crate) fn unpack(self, parcel: Parcel) -> Result<Self, RegionError> {
        let Self {
            listener,
            signals,
            image,
            reader,
            permit,
            protection,
            cookie,
            gadgets,
            stepping,
            home,
            counters,
            forked_away,
            report,
            pads,
            ..
        } = self;
        let _parents = (ManuallyDrop::new(image), ManuallyDrop::new(reader));
        let image = Image::unpack(parcel)?;
        Ok(Self {
            reader: Reader::new(),
            image,
            listener,
            signals,
            permit,
            protection,
            cookie,
            gadgets,
            stepping,
            queue: VecDeque::new(),
            deferred: Vec::new(),
            flights: Vec::new(),
            pads,
            searching: None,
            home,
            counters,
            forked_away,
            report,
        })
    }

    /// What is in effect for the tree.
    #[must_use]
    pub fn level(&self) -> Level {
        Level {
            mode: self.protection.mode,
            backing: self.image.backing(),
            supervised: self.listener.is_some(),
            forked_away: self.forked_away,
            no_core_files: self.protection.forbid_core,
        }
    }

    /// What was seen and done so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Where notifications arrive.
    #[must_use]
    pub const fn listener(&self) -> Option<&Listener> {
        self.listener.as_ref()
    }

    /// Whether another exec can be handled now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.flights.len() < SLOTS
    }

    /// Puts the secrets into the first program, which has stopped after its `execve`. It stays
    /// stopped before its first instruction; `fork_away` has changed its process id.
    ///
    /// # Errors
    /// See [`InjectError`]; the program has been killed then.
    pub fn start(&mut self, program: Running, first: First<'_>) -> Result<Stopped, InjectError> {
        let tracing = |step| move |source| InjectError::Trace { step, source };
        let stopped = match program.wait().map_err(tracing("wait for the program"))? {
            Outcome::Gone(ending) => return Err(InjectError::Gone(ending)),
            Outcome::Stopped(stopped, _) => stopped,
        };
        let pid = stopped.tid();
        let result = stopped
            .set_events(Events::None)
            .map_err(tracing("choose the tracing options"))
            .and_then(|()| stopped.registers().map_err(tracing("read the registers")))
            .and_then(|registers| self.inject(stopped, registers, Role::First(first)));
        if result.is_err() {
            let _ = signal::send(pid, 9);
        }
        result
    }

    /// Lets the first program run.
    ///
    /// # Errors
    /// When it was killed meanwhile.
    pub fn release(&mut self, program: Stopped, mask: SignalSet, companion: Companion) -> Result<(), InjectError> {
        companion.release(program.tid(), &self.home);
        detach(program, mask).map_err(|source| InjectError::Trace { step: "detach", source })?;
        self.home.come_back(true);
        self.counters.injected += 1;
        Ok(())
    }

    /// Handles what is waiting: a queued notification, or one that the listener announces.
    ///
    /// # Errors
    /// When the listener fails: then no exec of the tree can succeed any more.
    pub fn handle_next(&mut self) -> io::Result<()> {
        let notification = match self.queue.pop_front() {
            Some(notification) => notification,
            None => match self.listener.as_ref().map(Listener::receive).transpose()?.flatten() {
                Some(notification) => notification,
                None => return Ok(()),
            },
        };
        self.handle(&notification)
    }

    /// Whether notifications wait that the listener will not announce again.
    #[must_use]
    pub fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether an exec is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.flights.is_empty()
    }

    /// Takes note of a change of a process; `true` when it belonged to an exec under way.
    pub fn advance(&mut self, pid: i32, change: Change) -> bool {
        let Some(index) = self.flight_of(pid, change) else { return false };
        let mut flight = self.flights.swap_remove(index);
        let in_flight = self.flights.len();
        flight.tracee = flight.tracee.renamed(pid);
        match flight.tracee.observe(change) {
            Err(running) => {
                flight.tracee = running;
                self.flights.push(flight);
            }
            Ok(Outcome::Gone(_)) => {}
            Ok(Outcome::Stopped(stopped, reason)) => {
                flight.tracee = Running::adopted(pid);
                self.stopped(flight, stopped, reason);
            }
        }
        if self.flights.len() == in_flight {
            // It is over: whoever waited for that may go on.
            self.queue.extend(self.deferred.drain(..));
        }
        true
    }

    /// The exec under way that a change of `pid` belongs to. A thread that is not the leader
    /// takes over its group's id when its exec succeeds, so the change may come under an id
    /// that is not known yet.
    fn flight_of(&self, pid: i32, change: Change) -> Option<usize> {
        if let Some(index) = self.flights.iter().position(|flight| flight.tracee.tid() == pid) {
            return Some(index);
        }
        let Change::Stopped { event: EVENT_EXEC, .. } = change else { return None };
        let former = ptrace::former_id(pid).ok()?;
        self.flights.iter().position(|flight| flight.tracee.tid() == former)
    }

    fn stopped(&mut self, mut flight: Flight, stopped: Stopped, reason: Reason) {
        match reason {
            Reason::Trap => {}
            // One step on is the end of the call, where calls of ours can be made.
            _ => {
                if let Ok(running) = stopped.go_on(self.stepping, reason) {
                    flight.tracee = running;
                    self.flights.push(flight);
                }
                return;
            }
        }
        let Flight { carry, registers, mask, companion, .. } = flight;
        let Ok(now) = stopped.registers() else { return };
        if now.result() < 0 {
            self.counters.failed += 1;
            self.searching = (now.result() == -i64::from(number::ENOENT)).then_some(stopped.tid());
            // The program goes on where it was, with the registers that it had.
            let _ = stopped.set_registers(&now.with_arguments_of(&registers));
            companion.release(stopped.tid(), &self.home);
            let _ = detach(stopped, mask);
            self.home.come_back(self.flights.is_empty());
            return;
        }
        let pid = stopped.tid();
        match self.inject(stopped, now, Role::Later { carry }) {
            Ok(tracee) => {
                self.counters.injected += 1;
                companion.release(pid, &self.home);
                let _ = detach(tracee, mask);
            }
            Err(InjectError::Gone(_)) => {}
            Err(error) => {
                let _ = signal::send(pid, 9);
                self.counters.killed += 1;
                (self.report)(Report::Killed { pid, error });
            }
        }
        self.home.come_back(self.flights.is_empty());
    }

    fn handle(&mut self, notification: &Notification) -> io::Result<()> {
        let Some(call) = ExecCall::from_notification(notification.arch, notification.number) else {
            return self.answer(notification, Answer::Fail(number::EPERM)).map(drop);
        };
        let envp = notification.arguments[call.envp_argument()] as usize;
        let envp = if call.abi == Abi::Compat { envp & 0xffff_ffff } else { envp };
        if self.protection.mode == Mode::Sealed {
            if envp == 0 {
                return self.let_go(notification);
            }
            return self.refuse(notification, RefuseError::Sealed);
        }
        let carry = match self.reader.read(&mut self.image, notification.tid, call.abi, envp) {
            Ok(carry) => carry,
            Err(error) => {
                if !self.is_waiting(notification) {
                    return Ok(());
                }
                return self.refuse(notification, error.into());
            }
        };
        if carry.secrets.is_empty() && !self.has_targeted() {
            // If the caller is gone, and its id is somebody else's, nobody hears this.
            return self.let_go(notification);
        }
        if !self.is_waiting(notification) {
            return Ok(());
        }
        if self.searching == Some(notification.tid)
            && !call.at
            && let Some(errno) = missing::missing(notification.tid, path_argument(notification, call.abi))
        {
            self.counters.failed += 1;
            return self.answer(notification, Answer::Fail(errno)).map(drop);
        }
        let Ok(process) = process::of_thread(notification.tid) else { return Ok(()) };
        if self.flights.iter().any(|flight| flight.process == process) {
            // An exec ends all other threads of its process, and waits until their tracer has
            // seen them end; we would wait for it, because attaching waits for execs.
            self.deferred.push(*notification);
            return Ok(());
        }
        let events = if process == notification.tid { Events::None } else { Events::Exec };
        let tracee = match Running::seize(notification.tid, events) {
            Ok(tracee) => tracee,
            Err(error) => return self.refuse(notification, RefuseError::Trace(error)),
        };
        // Only now: a thread that is not about to stop would see the restart as an error.
        if tracee.interrupt().is_err() || !self.answer(notification, Answer::Restart)? {
            return Ok(());
        }
        match self.take_off(tracee, process, call, carry) {
            Ok(flight) => self.flights.push(flight),
            Err(InjectError::Gone(_)) => {}
            Err(error) => {
                // Stripping failed, so the exec must not happen: the thread is still traced
                // with EXITKILL and cannot be handed back in an unknown state.
                let _ = signal::send(notification.tid, 9);
                self.counters.killed += 1;
                (self.report)(Report::Killed { pid: notification.tid, error });
            }
        }
        Ok(())
    }

    fn has_targeted(&self) -> bool {
        self.permit.is_restrictive() && self.image.entries().iter().any(|entry| self.permit.is_targeted(&entry.secret))
    }

    fn let_go(&mut self, notification: &Notification) -> io::Result<()> {
        self.counters.plain += 1;
        self.answer(notification, Answer::Continue).map(drop)
    }

    fn refuse(&mut self, notification: &Notification, error: RefuseError) -> io::Result<()> {
        let errno = match &error {
            RefuseError::Carry(CarryError::TooMany | CarryError::TooManyAliases) => number::E2BIG,
            RefuseError::Carry(CarryError::Fault) => number::EFAULT,
            _ => number::EPERM,
        };
        self.counters.refused += 1;
        // A sealed program may try many times; once says it.
        let known = matches!(error, RefuseError::Sealed) && self.counters.refused > 1;
        if !known && !matches!(error, RefuseError::Carry(CarryError::Fault)) {
            (self.report)(Report::Refused { tid: notification.tid, error });
        }
        self.answer(notification, Answer::Fail(errno)).map(drop)
    }

    fn answer(&self, notification: &Notification, answer: Answer) -> io::Result<bool> {
        self.listener.as_ref().map_or(Ok(false), |listener| listener.answer(notification, answer))
    }

    fn is_waiting(&self, notification: &Notification) -> bool {
        self.listener.as_ref().is_some_and(|listener| listener.is_waiting(notification))
    }

    fn free_slot(&self) -> usize {
        let taken = |slot| self.flights.iter().any(|flight| flight.place == Place::Slot(slot));
        (0..SLOTS).find(|slot| !taken(*slot)).unwrap_or(0)
    }

    /// Stops the thread on its way back into `execve`, gives the call an environment without
    /// the secrets and lets it go.
    fn take_off(&mut self, tracee: Running, process: i32, call: ExecCall, carry: Carry) -> Result<Flight, InjectError> {
        let tracing = |step| move |source| InjectError::Trace { step, source };
        let mut running = tracee;
        let stopped = loop {
            match running.wait().map_err(tracing("stop the thread"))? {
                Outcome::Gone(ending) => return Err(InjectError::Gone(ending)),
                Outcome::Stopped(stopped, Reason::Event(ptrace::EVENT_STOP)) => break stopped,
                Outcome::Stopped(stopped, reason) => {
                    running = stopped.go_on(self.stepping, reason).map_err(tracing("stop the thread"))?;
                }
            }
        };
        let companion = Companion::pin(stopped.tid());
        let registers = stopped.registers().map_err(tracing("read the registers"))?;
        let mask = stopped.signal_mask().map_err(tracing("read the signal mask"))?;
        stopped.set_signal_mask(SignalSet::ALL.without(number::SIGTRAP)).map_err(tracing("block the signals"))?;
        let array = stack::pointer_array(&carry.kept, call.abi.pointer_size());
        let (stopped, place, address) = self.put_down(stopped, &registers, process, call.abi, &array)?;
        stopped.set_registers(&registers.passing(call, address, &self.cookie)).map_err(tracing("set the registers"))?;
        let tracee = inject::step(stopped, self.stepping)?;
        Ok(Flight { tracee, process, place, carry, registers, mask, companion })
    }

    /// Writes the environment array of an exec into the calling process, and says where.
    fn put_down(
        &mut self,
        stopped: Stopped,
        registers: &Registers,
        process: i32,
        abi: Abi,
        array: &[u8],
    ) -> Result<(Stopped, Place, usize), InjectError> {
        let flights = &self.flights;
        let busy = |array| flights.iter().any(|flight| flight.place == Place::Pad(array));
        if let Some(pad) = self.pads.find(process, abi, array.len(), busy)
            && remote_memory::write(stopped.tid(), pad.array(), array).is_ok()
        {
            return Ok((stopped, Place::Pad(pad.array()), pad.array()));
        }
        let writing = |source| InjectError::Trace { step: "write the environment", source };
        let slot = self.free_slot();
        let size = SlotSize::for_array(array.len()).unwrap_or(image::LARGE);
        let address = self.image.scratch(abi, size, slot);
        let mut stopped = stopped;
        if remote_memory::write(stopped.tid(), address, array).is_err() {
            stopped = inject::map_scratch(stopped, registers, self.stepping, &self.image, size)?;
            remote_memory::write(stopped.tid(), address, array).map_err(writing)?;
        }
        Ok((stopped, Place::Slot(slot), address))
    }

    /// Puts what it may have into a new program.
    fn inject(&mut self, stopped: Stopped, registers: Registers, role: Role<'_>) -> Result<Stopped, InjectError> {
        let mut fresh = Fresh::new(stopped, registers, &mut self.gadgets, self.stepping)?;
        if fresh.is_privileged() {
            return role.without_guard(fresh);
        }
        let executable = if self.permit.is_restrictive() { executable(fresh.pid())? } else { Vec::new() };
        let permit = self.permit;
        let may_have = |entry: &Entry| !permit.is_restrictive() || permit.permits(&entry.secret, &executable);
        let envp = self.environment(&fresh, &role, &may_have);
        let Some(envp) = envp else { return role.without_guard(fresh) };
        let (vectors, pad) = fresh.set_environment(&envp, &self.pads)?;
        let restoration = match &role {
            // In the full mode the window is guarded, and in the supervised one always open.
            Role::First(First { given, .. }) if self.protection.mode == Mode::Sealed && self.listener.is_some() => {
                Some(fresh.restoration(given, &vectors)?)
            }
            _ => None,
        };
        fresh = fresh.set_dumpable(false)?;
        if let Role::First(first) = &role {
            if first.guard.is_some() && self.protection.fork_away == Attempt::Required {
                fresh.require_guard()?;
            }
            fresh = self.fork_away(fresh)?;
            self.image.set_process_id(fresh.pid());
            if let (Some(restoration), Some(listener)) = (&restoration, &self.listener) {
                let signals = self.signals.as_fd();
                fresh = fresh.restore(restoration, &mut Wait { listener, queue: &mut self.queue, signals })?;
            }
            fresh = first.drop_guard(fresh)?;
        }
        let how = match (role, &self.listener) {
            (Role::First(First { inherited: Some(copy), .. }), _) => {
                HandOver::Inherited { number: copy.descriptor.as_raw_fd() as u64, length: copy.length }
            }
            (role, Some(listener)) => {
                let carries = |index| role.carry().secrets.iter().any(|carried| carried.entry == Some(index));
                let Copy { descriptor, length } =
                    self.image.copy(|index, entry| may_have(entry) && (!entry.is_alias() || carries(index)))?;
                let wait = Wait { listener, queue: &mut self.queue, signals: self.signals.as_fd() };
                HandOver::Trap { descriptor, length, wait }
            }
            // Only the first program comes here without a listener, and it has inherited one.
            (_, None) => return Ok(fresh.into_tracee()),
        };
        fresh = fresh.map_copy(&self.image, how)?;
        if Openness::of(self.protection.mode) == Openness::Reopened {
            fresh = fresh.set_dumpable(true)?;
        }
        if let Some(pad) = pad {
            self.pads.remember(fresh.pid(), pad);
        }
        fresh.finish()
    }

    fn fork_away(&mut self, fresh: Fresh) -> Result<Fresh, InjectError> {
        let original = fresh.pid();
        let fresh = self.try_to_fork_away(fresh)?;
        self.forked_away = fresh.pid() != original;
        Ok(fresh)
    }

    fn try_to_fork_away(&mut self, fresh: Fresh) -> Result<Fresh, InjectError> {
        match self.protection.fork_away {
            Attempt::No => Ok(fresh),
            Attempt::Required => fresh.fork_away().map_err(|(_, error)| error),
            Attempt::BestEffort => match fresh.fork_away() {
                Err((Some(fresh), InjectError::Call { source, .. })) => {
                    (self.report)(Report::NotForkedAway(source));
                    Ok(*fresh)
                }
                other => other.map_err(|(_, error)| error),
            },
        }
    }

    /// The environment of a new program: what it has, with the secrets that it may have where
    /// they stood. `None` when there is none to give.
    fn environment(&self, fresh: &Fresh, role: &Role<'_>, may_have: &dyn Fn(&Entry) -> bool) -> Option<Vec<u64>> {
        let (entries, existing, secrets) = (self.image.entries(), fresh.envp(), &role.carry().secrets);
        let address = |entry: usize| self.image.address(fresh.abi(), entry);
        let mut envp = Vec::with_capacity(existing.len() + entries.len());
        let mut rest = existing.iter().copied();
        for carried in secrets {
            while envp.len() < carried.position {
                let Some(pointer) = rest.next() else { break };
                envp.push(pointer);
            }
            envp.extend(
                carried
                    .entry
                    .filter(|entry| may_have(&entries[*entry]))
                    .map(|entry| address(entry) + carried.into as u64),
            );
        }
        envp.extend(rest);
        for (index, entry) in entries.iter().enumerate() {
            let due = match role {
                Role::First(_) => true,
                Role::Later { .. } => self.permit.is_restrictive() && self.permit.is_targeted(&entry.secret),
            };
            let has_it = || secrets.iter().any(|carried| carried.entry == Some(index));
            if due && entry.name == entry.secret && may_have(entry) && !has_it() {
                envp.push(address(index));
            }
        }
        (envp.len() > existing.len()).then_some(envp)
    }
}

/// The first program of a tree.
#[derive(Debug)]
pub struct First<'a> {
    /// What it was started with.
    pub given: Given<'a>,
    /// Secrets among its ordinary variables, which were left out of them.
    pub carry: Carry,
    /// Its copy, if it has inherited that.
    pub inherited: Option<Copy>,
    /// Capabilities that it was started with, to be taken away.
    pub guard: Option<Guard>,
}

/// Which program secrets are put into.
enum Role<'a> {
    /// The first, which may have everything.
    First(First<'a>),
    /// One that a program of the tree started.
    Later { carry: Carry },
}

impl First<'_> {
    fn drop_guard(&self, fresh: Fresh) -> Result<Fresh, InjectError> {
        match self.guard {
            Some(guard) => fresh.drop_guard(guard),
            None => Ok(fresh),
        }
    }
}

impl Role<'_> {
    /// A program that gets no secret must not keep what it was guarded with either.
    fn without_guard(&self, fresh: Fresh) -> Result<Stopped, InjectError> {
        match self {
            Self::First(first) => first.drop_guard(fresh)?.finish(),
            Self::Later { .. } => Ok(fresh.into_tracee()),
        }
    }

    const fn carry(&self) -> &Carry {
        match self {
            Self::First(First { carry, .. }) | Self::Later { carry } => carry,
        }
    }
}

/// Address of the path of an `execve`.
fn path_argument(notification: &Notification, abi: Abi) -> usize {
    let address = notification.arguments[0] as usize;
    if abi == Abi::Compat { address & 0xffff_ffff } else { address }
}

/// Restores the signal mask and lets a program run on, untraced.
fn detach(tracee: Stopped, mask: SignalSet) -> io::Result<()> {
    tracee.set_signal_mask(mask)?;
    tracee.detach(0)
}

fn executable(pid: i32) -> Result<Vec<u8>, InjectError> {
    use std::os::unix::ffi::OsStringExt;
    let path = std::fs::read_link(format!("/proc/{pid}/exe"))
        .map_err(|source| InjectError::Trace { step: "find out the program's file", source })?;
    Ok(path.into_os_string().into_vec())
}

/// Whether anybody is left behind `listener`: the kernel hangs up when the last process of
/// the tree is gone.
///
/// # Errors
/// Those of poll(2).
pub fn tree_is_gone(listener: &Listener) -> io::Result<bool> {
    let [ready] = poll::wait([Some(listener.as_fd())], Some(std::time::Duration::ZERO))?;
    Ok(ready.hung_up)
}

/// How a program ended, as a number that can be told to a shell: its status, or 128 and the
/// signal.
#[must_use]
pub fn exit_status(ending: Ending) -> u8 {
    match ending {
        Ending::Exited(status) => status,
        Ending::Killed(signal) => 128 + signal as u8,
    }
}
