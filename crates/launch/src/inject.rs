//! Putting secrets into a program that has not run its first instruction yet.
//!
//! The order is what protects: the new stack is written while the program has nothing to
//! hide; it is made non-dumpable before any secret is in it; the descriptor of its copy exists
//! only while it is non-dumpable and is closed before it runs.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use envward_kernel::arch::{Abi, Registers, Syscall};
use envward_kernel::capability::{self, Capability};
use envward_kernel::limit::{self, Raised, Resource};
use envward_kernel::poll;
use envward_kernel::process::{self, Ending};
use envward_kernel::ptrace::{Events, Outcome, Reason, Running, Stepping, Stopped};
use envward_kernel::remote_memory;
use envward_kernel::seccomp::{Answer, Listener, Notification};
use envward_secret::{Backing, RegionError};

use crate::image::{Image, SLOTS, SlotSize};
use crate::mode::Mode;
use crate::pristine::{self, Difference, Given, Restoration, Suspect};
use crate::scratchpad::{Scratchpad, Scratchpads};
use crate::stack::{AT_SECURE, AT_SYSINFO_EHDR, InitialStack, Rendered, StackError};

/// Why an injection did not come to its end. The program must not run then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InjectError {
    /// The program died meanwhile; nothing is left to do.
    #[error("the program ended during the injection")]
    Gone(Ending),
    /// A ptrace operation failed.
    #[error("cannot {step}: {source}")]
    Trace {
        /// What was being done.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The initial stack could not be read, or is not one.
    #[error("the initial stack cannot be used: {0}")]
    Stack(#[from] StackError),
    /// There is no system call instruction in the vDSO.
    #[error("the program's vDSO has no system call instruction (is the kernel booted with vdso=0?)")]
    NoGadget,
    /// A system call made in the program's name failed.
    #[error("{call:?} in the program failed: {source}")]
    Call {
        /// Which.
        call: Syscall,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The first program cannot be guarded at its start.
    #[error("the program's file has capabilities of its own, which keeps it from being guarded at its start")]
    Unguarded,
    /// Somebody has written to the program's memory before it was closed.
    #[error("the program's memory was changed from outside at its start: {0}")]
    Changed(#[from] Difference),
    /// No protected memory for the program's copy.
    #[error(transparent)]
    Region(#[from] RegionError),
}

/// How far the program shall be closed to other processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Openness {
    /// Non-dumpable for good.
    Closed,
    /// Non-dumpable while the descriptor exists, dumpable again afterwards, so that a
    /// supervisor without privileges can handle its next exec.
    Reopened,
}

impl Openness {
    /// What `mode` wants.
    #[must_use]
    pub const fn of(mode: Mode) -> Self {
        match mode {
            Mode::Supervised => Self::Reopened,
            Mode::Full | Mode::Sealed => Self::Closed,
        }
    }
}

/// A program between its `execve` and its first instruction.
#[derive(Debug)]
pub struct Fresh {
    tracee: Stopped,
    registers: Registers,
    stack: InitialStack,
    /// Address of a system call instruction in the vDSO.
    gadget: usize,
    stepping: Stepping,
}

/// The first program's protection between its `execve` and the moment when it is made
/// non-dumpable: it starts with `CAP_SYS_PTRACE` in its permitted set, and the kernel lets nobody
/// trace a process or open its memory who has not all its capabilities. They are taken away
/// before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The inheritable set that the program is left with, ours.
    pub inheritable: u64,
}

impl Guard {
    /// The guard, where one is needed and to be had: we have the capability, and the program
    /// would not have it anyway, as it has from root or from an ambient set of ours.
    ///
    /// # Errors
    /// When the kernel does not tell the capabilities.
    pub fn needed() -> io::Result<Option<Self>> {
        let wanted = process::real_uid() != 0
            && capability::is_effective(Capability::SysPtrace)?
            && !capability::is_ambient(Capability::SysPtrace)?;
        if wanted { Ok(Some(Self { inheritable: capability::inheritable()? })) } else { Ok(None) }
    }
}

/// How a program gets the descriptor of its copy.
pub enum HandOver<'a> {
    /// Through a trap that the supervisor answers with it.
    Trap {
        /// The only way to the copy; closed when the program has it.
        descriptor: OwnedFd,
        /// Its length in bytes.
        length: usize,
        /// What is waited with.
        wait: Wait<'a>,
    },
    /// It has inherited it: without supervision there are no traps.
    Inherited {
        /// The descriptor's number.
        number: u64,
        /// Length of the copy in bytes.
        length: usize,
    },
}

/// Where the system call instructions are, as offsets into the vDSOs.
#[derive(Debug, Default)]
pub struct Gadgets {
    native: Option<usize>,
    compat: Option<usize>,
}

impl Gadgets {
    fn slot(&mut self, abi: Abi) -> &mut Option<usize> {
        match abi {
            Abi::Native => &mut self.native,
            Abi::Compat => &mut self.compat,
        }
    }
}

/// `PR_SET_PDEATHSIG`, `PR_SET_DUMPABLE`, `SIGKILL` and flags for injected calls: the
/// kernel's numbers, the same for both interfaces.
mod number {
    pub(super) const PR_SET_PDEATHSIG: u64 = 1;
    pub(super) const PR_SET_DUMPABLE: u64 = 4;
    pub(super) const PR_CAP_AMBIENT: u64 = 47;
    pub(super) const PR_CAP_AMBIENT_CLEAR_ALL: u64 = 4;
    pub(super) const SIGKILL: u64 = 9;
    pub(super) const SIGCHLD: u64 = 17;
    pub(super) const CLONE_PTRACE: u64 = 0x2000;
    pub(super) const CLONE_PARENT: u64 = 0x8000;
    pub(super) const PROT_READ_WRITE: u64 = 1 | 2;
    pub(super) const MAP_SHARED: u64 = 1;
    pub(super) const MAP_PRIVATE: u64 = 2;
    pub(super) const MAP_ANONYMOUS: u64 = 0x20;
    pub(super) const MAP_NORESERVE: u64 = 0x4000;
    pub(super) const MAP_FIXED_NOREPLACE: u64 = 0x10_0000;
    pub(super) const MADV_DONTNEED: u64 = 4;
    pub(super) const MADV_DONTDUMP: u64 = 16;
}

/// An empty descriptor argument.
const NO_DESCRIPTOR: u64 = u64::MAX;
/// How long a trap may take before we look whether the program still lives.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long before we look whether it has stopped, when that would not be announced.
const GLANCE: Duration = Duration::from_micros(100);

pub(crate) fn tracing(step: &'static str) -> impl Fn(io::Error) -> InjectError {
    move |source| InjectError::Trace { step, source }
}

impl Fresh {
    /// Looks at a program that has stopped after its `execve`.
    ///
    /// # Errors
    /// See [`InjectError`].
    pub fn new(
        tracee: Stopped,
        registers: Registers,
        gadgets: &mut Gadgets,
        stepping: Stepping,
    ) -> Result<Self, InjectError> {
        let stack = read_stack(tracee.tid(), &registers)?;
        let gadget = find_gadget(tracee.tid(), &registers, &stack, gadgets)?;
        Ok(Self { tracee, registers, stack, gadget, stepping })
    }

    /// The kind of program.
    #[must_use]
    pub const fn abi(&self) -> Abi {
        self.registers.abi()
    }

    /// Its process id.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.tracee.tid()
    }

    /// Its environment pointers.
    #[must_use]
    pub fn envp(&self) -> &[u64] {
        self.stack.envp()
    }

    /// Whether it has more privileges than its caller (`AT_SECURE`): such programs get no
    /// secrets.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        self.stack.auxiliary(AT_SECURE).is_some_and(|value| value != 0)
    }

    /// The tracee, as it was.
    pub fn into_tracee(self) -> Stopped {
        self.tracee
    }

    /// Gives the program the environment `envp`, and a scratchpad above its vectors unless they are
    /// very long. Only while it is dumpable, without privileges.
    ///
    /// # Errors
    /// See [`InjectError`].
    pub fn set_environment(
        &mut self,
        envp: &[u64],
        pads: &Scratchpads,
    ) -> Result<(Rendered, Option<Scratchpad>), InjectError> {
        let mut new = self.stack.render(envp, Scratchpad::space(envp.len()));
        let pad = Scratchpad::above(new.stack_pointer + new.bytes.len(), envp.len());
        if let Some(pad) = &pad {
            new.bytes.resize(pad.address() - new.stack_pointer, 0);
            new.bytes.extend_from_slice(&pads.mark(pad));
        }
        remote_memory::write(self.tracee.tid(), new.stack_pointer, &new.bytes)
            .map_err(tracing("write the new stack"))?;
        self.registers = self.registers.with_stack_pointer(new.stack_pointer);
        Ok((new, pad))
    }

    /// Makes the program non-dumpable, or dumpable again.
    ///
    /// # Errors
    /// See [`InjectError`].
    pub fn set_dumpable(self, dumpable: bool) -> Result<Self, InjectError> {
        self.call_and_check(Syscall::Prctl, [number::PR_SET_DUMPABLE, u64::from(dumpable), 0, 0, 0, 0])
    }

    /// Goes on in a copy of the process, whose memory was never dumpable, and kills the
    /// original: whoever opened its memory before it was closed holds the memory of a corpse.
    /// The copy is a sibling of the original, a child of the supervisor.
    ///
    /// # Errors
    /// See [`InjectError`], with the original when it is as it was.
    pub fn fork_away(self) -> Result<Self, (Option<Box<Self>>, InjectError)> {
        let flags = number::CLONE_PARENT | number::CLONE_PTRACE | number::SIGCHLD;
        let (original, result) = self.call(Syscall::Clone, [flags, 0, 0, 0, 0, 0]).map_err(|error| (None, error))?;
        match original.check(Syscall::Clone, result) {
            Ok(pid) => original.go_on_as(pid as i32).map_err(|error| (None, error)),
            Err(error) => Err((Some(Box::new(original)), error)),
        }
    }

    fn go_on_as(self, pid: i32) -> Result<Self, InjectError> {
        let Self { tracee: original, registers, stack, gadget, stepping } = self;
        let copy = Running::adopted(pid).wait().map_err(tracing("wait for the copy"))?;
        original.kill();
        match copy {
            Outcome::Gone(ending) => Err(InjectError::Gone(ending)),
            Outcome::Stopped(tracee, _) => {
                tracee.set_events(Events::None).map_err(tracing("choose the options of the copy"))?;
                let copy = Self { tracee, registers, stack, gadget, stepping };
                copy.call_and_check(Syscall::Prctl, [number::PR_SET_PDEATHSIG, number::SIGKILL, 0, 0, 0, 0])
            }
        }
    }

    /// Checks that the program has the guard that it was started with: the kernel takes it from
    /// files that have capabilities of their own, even none.
    ///
    /// # Errors
    /// [`InjectError::Unguarded`].
    pub fn require_guard(&self) -> Result<(), InjectError> {
        match capability::is_permitted_to(self.pid(), Capability::SysPtrace) {
            Ok(true) => Ok(()),
            Ok(false) => Err(InjectError::Unguarded),
            Err(source) => Err(InjectError::Trace { step: "read the program's capabilities", source }),
        }
    }

    /// Takes the capabilities away that the program was given for its start ([`Guard`]).
    ///
    /// # Errors
    /// See [`InjectError`].
    pub fn drop_guard(self, guard: Guard) -> Result<Self, InjectError> {
        let fresh = self
            .call_and_check(Syscall::Prctl, [number::PR_CAP_AMBIENT, number::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, 0])?;
        let bytes: Vec<u8> =
            capability::only_inheritable(guard.inheritable).iter().flat_map(|word| word.to_le_bytes()).collect();
        // Below its stack pointer: nothing of the program has run that could use it.
        let header = fresh.registers.stack_pointer() - 2 * bytes.len();
        remote_memory::write(fresh.pid(), header, &bytes).map_err(tracing("write the capabilities"))?;
        let data = header as u64 + 8;
        let fresh = fresh.call_and_check(Syscall::Capset, [header as u64, data, 0, 0, 0, 0])?;
        let zeros = vec![0; bytes.len()];
        remote_memory::write(fresh.pid(), header, &zeros).map_err(tracing("wipe the capabilities"))?;
        Ok(fresh)
    }

    /// Finds out what must be in the memory of the program, which is open yet and has been given
    /// `vectors`: see [`pristine`].
    ///
    /// # Errors
    /// [`InjectError::Changed`] when somebody has changed what that is found out from.
    pub(crate) fn restoration(&self, given: &Given<'_>, vectors: &Rendered) -> Result<Restoration, InjectError> {
        Suspect { pid: self.pid(), abi: self.abi(), stack: &self.stack, vectors }.restoration(given)
    }

    /// Puts that into the memory of the program, which is closed now.
    ///
    /// # Errors
    /// See [`InjectError`].
    pub(crate) fn restore(self, restoration: &Restoration, wait: &mut Wait<'_>) -> Result<Self, InjectError> {
        pristine::check_closed(self.pid())?;
        let mut fresh = self;
        for range in &restoration.discard {
            let arguments = [range.start as u64, range.len() as u64, number::MADV_DONTNEED, 0, 0, 0];
            fresh = fresh.call_and_check(Syscall::Madvise, arguments)?;
        }
        let bytes = restoration.file().map_err(tracing("keep what belongs into the program's memory"))?;
        let (mut fresh, descriptor) = fresh.descriptor(&bytes, wait)?;
        for (address, bytes) in &restoration.put {
            let length = bytes.len() as u64;
            let (after, result) = fresh.call(Syscall::Read, [descriptor, *address as u64, length, 0, 0, 0])?;
            if after.check(Syscall::Read, result)? != length {
                return Err(call_error(Syscall::Read, -i64::from(EFAULT)));
            }
            fresh = after;
        }
        fresh.call_and_check(Syscall::Close, [descriptor, 0, 0, 0, 0, 0])
    }

    /// Maps a copy of the image at its address and closes its descriptor.
    ///
    /// # Errors
    /// See [`InjectError`].
    pub fn map_copy(self, image: &Image, how: HandOver<'_>) -> Result<Self, InjectError> {
        let address = image.base(self.abi()) as u64;
        let (fresh, descriptor, length) = match how {
            HandOver::Inherited { number, length } => (self, number, length as u64),
            HandOver::Trap { descriptor, length, mut wait } => {
                let (fresh, number) = self.descriptor(&descriptor, &mut wait)?;
                (fresh, number, length as u64)
            }
        };
        let flags = number::MAP_SHARED | number::MAP_FIXED_NOREPLACE;
        let fresh = fresh.map(address, length, flags, descriptor)?;
        let mut fresh = fresh.call_and_check(Syscall::Close, [descriptor, 0, 0, 0, 0, 0])?;
        if image.backing() == Backing::Locked {
            // What memfd_secret is by nature, ordinary memory must be told.
            fresh = fresh.call_and_check(Syscall::Mlock, [address, length, 0, 0, 0, 0])?;
            fresh = fresh.call_and_check(Syscall::Madvise, [address, length, number::MADV_DONTDUMP, 0, 0, 0])?;
        }
        Ok(fresh)
    }

    /// Makes ready to run; the caller restores the signal mask and detaches.
    ///
    /// # Errors
    /// See [`InjectError`].
    pub fn finish(self) -> Result<Stopped, InjectError> {
        self.tracee.set_registers(&self.registers).map_err(tracing("set the registers"))?;
        Ok(self.tracee)
    }

    /// Maps memory at exactly `address`. Where a limit of the program is in the way, it is
    /// raised for the moment.
    fn map(self, address: u64, length: u64, flags: u64, descriptor: u64) -> Result<Self, InjectError> {
        let arguments = [address, length, number::PROT_READ_WRITE, flags, descriptor, 0];
        let (fresh, result) = self.call(Syscall::Mmap, arguments)?;
        let at = |abi, result: i64| match abi {
            Abi::Native => result.cast_unsigned(),
            // An address may look negative in 32 bits; it is right or wrong as a whole.
            Abi::Compat => u64::from(result as u32),
        };
        if at(fresh.abi(), result) == address {
            return Ok(fresh);
        }
        let raised = raise(fresh.pid(), &MEMORY_LIMITS);
        let (fresh, result) = fresh.call(Syscall::Mmap, arguments)?;
        restore(raised);
        if at(fresh.abi(), result) == address { Ok(fresh) } else { Err(call_error(Syscall::Mmap, result)) }
    }

    /// Puts `descriptor` into the program's table and returns its number there.
    fn descriptor(self, descriptor: &OwnedFd, wait: &mut Wait<'_>) -> Result<(Self, u64), InjectError> {
        let (fresh, result) = self.trap(descriptor, wait)?;
        if result != -i64::from(EMFILE) {
            let number = fresh.check(Syscall::Execve, result)?;
            return Ok((fresh, number));
        }
        let raised = raise(fresh.pid(), &[Resource::Descriptors]);
        let (fresh, result) = fresh.trap(descriptor, wait)?;
        restore(raised);
        let number = fresh.check(Syscall::Execve, result)?;
        Ok((fresh, number))
    }

    /// Makes the program trap, and answers with a descriptor.
    fn trap(self, descriptor: &OwnedFd, wait: &mut Wait<'_>) -> Result<(Self, i64), InjectError> {
        let Self { tracee, registers, stack, gadget, stepping } = self;
        // An execve without the cookie only traps; its arguments are never looked at.
        let calling = registers.calling(gadget, Syscall::Execve, [0; 6]);
        tracee.set_registers(&calling).map_err(tracing("set the registers"))?;
        let (running, notification) = wait.for_trap(step(tracee, stepping)?, stepping)?;
        if let Err(error) = wait.listener.answer_with_descriptor(&notification, descriptor.as_fd()) {
            let number = error.raw_os_error().unwrap_or(EPERM);
            wait.listener.answer(&notification, Answer::Fail(number)).map_err(tracing("answer the trap"))?;
        }
        let (tracee, after) = settle(running, stepping)?;
        Ok((Self { tracee, registers, stack, gadget, stepping }, after.result()))
    }

    fn call(self, call: Syscall, arguments: [u64; 6]) -> Result<(Self, i64), InjectError> {
        let Self { tracee, registers, stack, gadget, stepping } = self;
        let (tracee, result) = call_in(tracee, &registers, gadget, stepping, call, arguments)?;
        Ok((Self { tracee, registers, stack, gadget, stepping }, result))
    }

    fn call_and_check(self, call: Syscall, arguments: [u64; 6]) -> Result<Self, InjectError> {
        let (fresh, result) = self.call(call, arguments)?;
        fresh.check(call, result)?;
        Ok(fresh)
    }

    fn check(&self, call: Syscall, result: i64) -> Result<u64, InjectError> {
        u64::try_from(result).map_err(|_| call_error(call, result))
    }
}

/// Waiting for a trap.
pub struct Wait<'a> {
    /// Where the trap arrives.
    pub listener: &'a Listener,
    /// Where other processes' notifications wait meanwhile.
    pub queue: &'a mut VecDeque<Notification>,
    /// What becomes readable when a process stops.
    pub signals: BorrowedFd<'a>,
}

impl Wait<'_> {
    /// Waits for the trap of `running`, which may be stopped on its way there.
    fn for_trap(&mut self, mut running: Running, stepping: Stepping) -> Result<(Running, Notification), InjectError> {
        let waiting = tracing("wait for the trap");
        // On our CPU the program comes to its trap while we let it run, and the trap is there
        // without a timer, which is dear to set on virtual machines.
        thread::yield_now();
        let mut patience = Duration::ZERO;
        // Signals wait for the main loop, so once there is one their descriptor stays readable:
        // every other time we look at the trap alone, and the first time it is there.
        let mut signals = None;
        loop {
            let [trap, stop] = poll::wait([Some(self.listener.as_fd()), signals], Some(patience)).map_err(&waiting)?;
            if trap.readable {
                let Some(notification) = self.listener.receive().map_err(&waiting)? else { continue };
                if notification.tid == running.tid() {
                    return Ok((running, notification));
                }
                self.queue.push_back(notification);
                continue;
            }
            match running.try_wait().map_err(&waiting)? {
                Err(still) if patience.is_zero() => {
                    running = still;
                    patience = GLANCE;
                }
                Err(still) => {
                    running = still;
                    signals = if stop.readable || signals.is_some() { None } else { Some(self.signals) };
                    patience = if signals.is_some() { PATIENCE } else { GLANCE };
                }
                Ok(Outcome::Gone(ending)) => return Err(InjectError::Gone(ending)),
                Ok(Outcome::Stopped(stopped, reason)) => {
                    running = stopped.go_on(stepping, reason).map_err(&waiting)?;
                }
            }
        }
    }
}

/// Limits that keep a program from mapping memory.
const MEMORY_LIMITS: [Resource; 3] = [Resource::LockedMemory, Resource::AddressSpace, Resource::Data];

/// Raises limits of a program for a moment; those that we may not raise stay.
fn raise(pid: i32, resources: &[Resource]) -> Vec<Raised> {
    resources.iter().filter_map(|resource| limit::raise(pid, *resource).ok()).collect()
}

fn restore(raised: Vec<Raised>) {
    for limit in raised {
        // Whoever we could raise it for, we can put it back for, unless it is gone.
        let _ = limit.restore();
    }
}

/// `EEXIST`.
const EEXIST: i32 = 17;
/// `EMFILE`.
const EMFILE: i32 = 24;

/// `EFAULT`.
const EFAULT: i32 = 14;
/// `EPERM`, for an error that has no number.
const EPERM: i32 = 1;

fn call_error(call: Syscall, result: i64) -> InjectError {
    let number = i32::try_from(result.unsigned_abs()).unwrap_or(EPERM);
    InjectError::Call { call, source: io::Error::from_raw_os_error(number) }
}

/// Makes one system call in a stopped program and returns what it returned.
fn call_in(
    tracee: Stopped,
    registers: &Registers,
    gadget: usize,
    stepping: Stepping,
    call: Syscall,
    arguments: [u64; 6],
) -> Result<(Stopped, i64), InjectError> {
    let calling = registers.calling(gadget, call, arguments);
    tracee.set_registers(&calling).map_err(tracing("set the registers"))?;
    let (tracee, after) = settle(step(tracee, stepping)?, stepping)?;
    // Where another instruction was put in the place of the kernel's, only the kernel could
    // say that it was called.
    if !after.has_made(call) {
        return Err(Difference::Faked.into());
    }
    let result = after.result();
    Ok((tracee, result))
}

/// Lets a program make the system call that it is about to make.
pub(crate) fn step(tracee: Stopped, stepping: Stepping) -> Result<Running, InjectError> {
    tracee.step(stepping).map_err(tracing("make a call"))?.map_err(InjectError::Gone)
}

/// Waits for the end of a single step. All signals are blocked, so only `SIGSTOP` can come
/// in between; it takes effect when the program is detached.
fn settle(mut running: Running, stepping: Stepping) -> Result<(Stopped, Registers), InjectError> {
    loop {
        match running.wait().map_err(tracing("wait for a call"))? {
            Outcome::Gone(ending) => return Err(InjectError::Gone(ending)),
            Outcome::Stopped(stopped, Reason::Trap) => {
                let registers = stopped.registers().map_err(tracing("read the registers"))?;
                return Ok((stopped, registers));
            }
            Outcome::Stopped(stopped, reason) => {
                running = stopped.go_on(stepping, reason).map_err(tracing("go on with a call"))?;
            }
        }
    }
}

/// Maps the scratch slots of one size in a program that is about to exec, unless it or its
/// parent has them already. The registers are put back.
///
/// # Errors
/// See [`InjectError`].
pub fn map_scratch(
    tracee: Stopped,
    registers: &Registers,
    stepping: Stepping,
    image: &Image,
    size: SlotSize,
) -> Result<Stopped, InjectError> {
    let address = image.scratch(registers.abi(), size, 0) as u64;
    let flags = number::MAP_PRIVATE | number::MAP_ANONYMOUS | number::MAP_NORESERVE | number::MAP_FIXED_NOREPLACE;
    let length = (SLOTS * size.each) as u64;
    let arguments = [address, length, number::PROT_READ_WRITE, flags, NO_DESCRIPTOR, 0];
    let gadget = registers.last_syscall();
    let (mut tracee, result) = call_in(tracee, registers, gadget, stepping, Syscall::Mmap, arguments)?;
    if result < 0 && result != -i64::from(EEXIST) {
        let raised = raise(tracee.tid(), &MEMORY_LIMITS);
        let again = call_in(tracee, registers, gadget, stepping, Syscall::Mmap, arguments)?;
        restore(raised);
        if again.1 < 0 && again.1 != -i64::from(EEXIST) {
            return Err(call_error(Syscall::Mmap, again.1));
        }
        tracee = again.0;
    }
    tracee.set_registers(registers).map_err(tracing("set the registers"))?;
    Ok(tracee)
}

/// The most that is read of an initial stack: the kernel allows a quarter of the stack limit,
/// usually 2 MiB, for the vectors and their strings.
const MAX_STACK: usize = 6 * 1024 * 1024;

fn read_stack(tid: i32, registers: &Registers) -> Result<InitialStack, InjectError> {
    let start = registers.stack_pointer();
    let size = registers.abi().pointer_size();
    let mut bytes = vec![0; 8192 - start % 4096];
    let mut filled = 0;
    loop {
        let read = remote_memory::read(tid, start + filled, &mut bytes[filled..]).map_err(tracing("read the stack"))?;
        filled += read;
        match InitialStack::parse(&bytes[..filled], start, size) {
            Err(StackError::Incomplete) if read > 0 && filled < MAX_STACK => bytes.resize(filled * 2, 0),
            other => return Ok(other?),
        }
    }
}

/// The most that is searched of a vDSO.
const MAX_VDSO: usize = 4 * 4096;

fn find_gadget(
    tid: i32,
    registers: &Registers,
    stack: &InitialStack,
    gadgets: &mut Gadgets,
) -> Result<usize, InjectError> {
    let base = stack.auxiliary(AT_SYSINFO_EHDR).ok_or(InjectError::NoGadget)? as usize;
    let slot = gadgets.slot(registers.abi());
    let offset = match *slot {
        Some(offset) => offset,
        None => {
            let mut bytes = vec![0; MAX_VDSO];
            let read = remote_memory::read(tid, base, &mut bytes).map_err(tracing("read the vDSO"))?;
            let instruction = registers.abi().syscall_instruction();
            let found = bytes[..read].windows(2).position(|window| window == instruction);
            *slot.insert(found.ok_or(InjectError::NoGadget)?)
        }
    };
    Ok(base + offset)
}
