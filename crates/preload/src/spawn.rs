//! `posix_spawn`, `posix_spawnp`, `pidfd_spawn`, `pidfd_spawnp`, `system`, `popen` and `wordexp`, in the shared library only.

use core::ffi::{c_char, c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::environment::{ENVIRONMENT, errno, next_definition, set_errno};
use crate::exec::with_exact;

type Vector = *const *const c_char;
/// The first argument is where the child's number goes: its PID, or a descriptor of it.
type Spawn = unsafe extern "C" fn(
    *mut c_int,
    *const c_char,
    *const libc::posix_spawn_file_actions_t,
    *const libc::posix_spawnattr_t,
    Vector,
    Vector,
) -> c_int;
type Pclose = unsafe extern "C" fn(*mut libc::FILE) -> c_int;
type Wordexp = unsafe extern "C" fn(*const c_char, *mut c_void, c_int) -> c_int;

/// libc's definition of a function.
struct Next {
    name: &'static core::ffi::CStr,
    /// In a static program that was linked with `ld --wrap`.
    wrapped: fn() -> *mut c_void,
    address: AtomicPtr<c_void>,
}

/// The address of a symbol that `ld --wrap` makes, or null without it.
#[cfg(target_arch = "x86_64")]
macro_rules! wrapped {
    ($name:literal) => {
        || {
            let address: *mut c_void;
            // SAFETY: loads an entry of the global offset table: an address, or zero for the
            // weak symbol that nobody defines.
            unsafe {
                core::arch::asm!(
                    concat!(".weak ", $name),
                    concat!(".hidden ", $name),
                    concat!("mov {}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                    out(reg) address,
                    options(pure, readonly, nostack, preserves_flags)
                );
            }
            address
        }
    };
}
#[cfg(not(target_arch = "x86_64"))]
macro_rules! wrapped {
    ($name:literal) => {
        ptr::null_mut
    };
}

impl Next {
    const fn new(name: &'static core::ffi::CStr, wrapped: fn() -> *mut c_void) -> Self {
        Self { name, wrapped, address: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The address, looked up at the first call: most programs make none.
    fn get(&self) -> Option<ptr::NonNull<c_void>> {
        let mut address = self.address.load(Ordering::Relaxed);
        if address.is_null() {
            address = (self.wrapped)();
            if address.is_null() {
                address = next_definition(self.name);
            }
            self.address.store(address, Ordering::Relaxed);
        }
        ptr::NonNull::new(address)
    }
}

static SPAWN: Next = Next::new(c"posix_spawn", wrapped!("__real_posix_spawn"));
static SPAWNP: Next = Next::new(c"posix_spawnp", wrapped!("__real_posix_spawnp"));
// glibc has these from 2.39, musl not. What `ld --wrap` is told must be in every libc.
static PIDFD_SPAWN: Next = Next::new(c"pidfd_spawn", ptr::null_mut);
static PIDFD_SPAWNP: Next = Next::new(c"pidfd_spawnp", ptr::null_mut);
static PCLOSE: Next = Next::new(c"pclose", wrapped!("__real_pclose"));
static WORDEXP: Next = Next::new(c"wordexp", wrapped!("__real_wordexp"));

/// Whether this is a static program that was linked with `ld --wrap`: then libc's `posix_spawn`
/// is only called by us, with an array that needs no copy.
pub(crate) fn is_wrapped() -> bool {
    !(SPAWN.wrapped)().is_null()
}

unsafe fn spawn_with(
    next: &Next,
    child: *mut c_int,
    path: *const c_char,
    actions: *const libc::posix_spawn_file_actions_t,
    attributes: *const libc::posix_spawnattr_t,
    argv: Vector,
    envp: Vector,
) -> c_int {
    let Some(address) = next.get() else {
        return libc::ENOSYS;
    };
    // SAFETY: libc's function of this name has this type.
    let spawn = unsafe { core::mem::transmute::<ptr::NonNull<c_void>, Spawn>(address) };
    // The child searches PATH in our memory before it executes: nothing is used again until
    // that is over.
    ENVIRONMENT.pin();
    let result = with_exact(envp, |exact| {
        // SAFETY: as the caller's.
        unsafe { spawn(child, path, actions, attributes, argv, exact) }
    });
    ENVIRONMENT.unpin();
    result.unwrap_or(libc::ENOMEM)
}

/// Functions of the type [`Spawn`] in front of libc's.
macro_rules! spawns {
    ($($(#[$doc:meta])* $name:ident => $next:ident;)*) => {$(
        $(#[$doc])*
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name(
            child: *mut c_int,
            path: *const c_char,
            actions: *const libc::posix_spawn_file_actions_t,
            attributes: *const libc::posix_spawnattr_t,
            argv: Vector,
            envp: Vector,
        ) -> c_int {
            // SAFETY: as the caller's.
            unsafe { spawn_with(&$next, child, path, actions, attributes, argv, envp) }
        }
    )*};
}

spawns! {
    /// posix_spawn(3).
    envward_posix_spawn => SPAWN;
    /// posix_spawnp(3).
    envward_posix_spawnp => SPAWNP;
    /// pidfd_spawn(3).
    envward_pidfd_spawn => PIDFD_SPAWN;
    /// pidfd_spawnp(3).
    envward_pidfd_spawnp => PIDFD_SPAWNP;
}

/// popen(3).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envward_popen(command: *const c_char, mode: *const c_char) -> *mut libc::FILE {
    // SAFETY: as the caller's.
    unsafe { crate::stream::open(command, mode) }
}

/// pclose(3).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envward_pclose(stream: *mut libc::FILE) -> c_int {
    // SAFETY: as the caller's.
    if let Some(status) = unsafe { crate::stream::close(stream) } {
        return status;
    }
    let Some(address) = PCLOSE.get() else {
        set_errno(libc::ENOSYS);
        return -1;
    };
    // SAFETY: libc's function of this name has this type; as the caller's.
    unsafe { core::mem::transmute::<ptr::NonNull<c_void>, Pclose>(address)(stream) }
}

/// wordexp(3). glibc's assigns variables (`${X:=word}`) behind our back, into an array that it
/// reallocates the next time: take its array over before that.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envward_wordexp(words: *const c_char, result: *mut c_void, flags: c_int) -> c_int {
    let Some(address) = WORDEXP.get() else {
        return libc::ENOSYS;
    };
    // libc would pass the secrets as strings to the shell of a command substitution.
    let flags = if crate::secrets::must_hand_on() { flags | WRDE_NOCMD } else { flags };
    // SAFETY: libc's function of this name has this type; as the caller's.
    let status = unsafe { core::mem::transmute::<ptr::NonNull<c_void>, Wordexp>(address)(words, result, flags) };
    let kept = errno();
    ENVIRONMENT.take_over();
    set_errno(kept);
    status
}

unsafe extern "C" {
    // pthread_setcancelstate(3).
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

/// `PTHREAD_CANCEL_DISABLE`, the same in both libcs.
const CANCEL_DISABLE: c_int = 1;

/// `wordexp` without command substitution, the same in both libcs.
const WRDE_NOCMD: c_int = 4;

/// Calls of `system` under way; the first one ignores the terminal's signals, the last one
/// restores them.
struct Terminal {
    lock: AtomicU32,
    calls: AtomicU32,
    saved: core::cell::UnsafeCell<MaybeUninit<[libc::sigaction; 2]>>,
}

// SAFETY: `saved` is accessed under `lock` only.
unsafe impl Sync for Terminal {}

static TERMINAL: Terminal = Terminal {
    lock: AtomicU32::new(0),
    calls: AtomicU32::new(0),
    saved: core::cell::UnsafeCell::new(MaybeUninit::zeroed()),
};

const TERMINAL_SIGNALS: [c_int; 2] = [libc::SIGINT, libc::SIGQUIT];

impl Terminal {
    /// Runs `change` with the dispositions that were found by the first call. All signals are
    /// blocked by the caller, so a handler cannot wait for its own thread here.
    fn locked(&self, change: impl FnOnce(&mut [libc::sigaction; 2])) {
        while self.lock.compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            // SAFETY: no precondition.
            unsafe { libc::sched_yield() };
        }
        // SAFETY: under the lock; all-zero bytes are a `sigaction`.
        change(unsafe { (*self.saved.get()).assume_init_mut() });
        self.lock.store(0, Ordering::Release);
    }
}

/// system(3), with an exact environment. Not a point of cancellation.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envward_system(command: *const c_char) -> c_int {
    if command.is_null() {
        // SAFETY: a terminated string.
        return c_int::from(unsafe { run_shell(c"exit 0".as_ptr()) } == 0);
    }
    // SAFETY: as the caller's.
    unsafe { run_shell(command) }
}

unsafe fn run_shell(command: *const c_char) -> c_int {
    // SAFETY: the caller passes a string; all buffers are our own and initialised by the
    // functions that take them.
    unsafe {
        // Cancellation would unwind through frames that cannot be unwound.
        let mut cancel = 0;
        pthread_setcancelstate(CANCEL_DISABLE, &raw mut cancel);
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        let mut defaults = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(defaults.as_mut_ptr());
        TERMINAL.locked(|saved| {
            if TERMINAL.calls.fetch_add(1, Ordering::Relaxed) == 0 {
                let mut ignore: libc::sigaction = core::mem::zeroed();
                ignore.sa_sigaction = libc::SIG_IGN;
                for (signal, old) in TERMINAL_SIGNALS.iter().zip(saved.iter_mut()) {
                    libc::sigaction(*signal, &raw const ignore, old);
                }
            }
            for (signal, old) in TERMINAL_SIGNALS.iter().zip(saved.iter()) {
                if old.sa_sigaction != libc::SIG_IGN {
                    libc::sigaddset(defaults.as_mut_ptr(), *signal);
                }
            }
        });
        // From here on only SIGCHLD is held back, as POSIX says.
        let mut waiting = before.assume_init();
        libc::sigaddset(&raw mut waiting, libc::SIGCHLD);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const waiting, ptr::null_mut());
        let status = spawn_and_wait(command, &before.assume_init(), &defaults.assume_init());
        let kept = errno();
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
        TERMINAL.locked(|saved| {
            if TERMINAL.calls.fetch_sub(1, Ordering::Relaxed) == 1 {
                for (signal, old) in TERMINAL_SIGNALS.iter().zip(saved.iter()) {
                    libc::sigaction(*signal, old, ptr::null_mut());
                }
            }
        });
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
        pthread_setcancelstate(cancel, ptr::null_mut());
        set_errno(kept);
        status
    }
}

unsafe fn spawn_and_wait(command: *const c_char, mask: &libc::sigset_t, defaults: &libc::sigset_t) -> c_int {
    // SAFETY: as `run_shell`.
    unsafe {
        let mut attributes = MaybeUninit::<libc::posix_spawnattr_t>::uninit();
        libc::posix_spawnattr_init(attributes.as_mut_ptr());
        libc::posix_spawnattr_setsigmask(attributes.as_mut_ptr(), mask);
        libc::posix_spawnattr_setsigdefault(attributes.as_mut_ptr(), defaults);
        let flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
        libc::posix_spawnattr_setflags(attributes.as_mut_ptr(), flags as _);
        let argv = [c"sh".as_ptr(), c"-c".as_ptr(), c"--".as_ptr(), command, ptr::null()];
        let mut child = 0;
        let failed = envward_posix_spawn(
            &raw mut child,
            c"/bin/sh".as_ptr(),
            ptr::null(),
            attributes.as_ptr(),
            argv.as_ptr(),
            crate::environment::current_array().cast_const().cast(),
        );
        libc::posix_spawnattr_destroy(attributes.as_mut_ptr());
        if failed != 0 {
            set_errno(failed);
            // As if the shell had ended with status 127; without a process, an error.
            return if failed == libc::EAGAIN || failed == libc::ENOMEM { -1 } else { 127 << 8 };
        }
        let mut status = 0;
        while libc::waitpid(child, &raw mut status, 0) < 0 {
            if errno() != libc::EINTR {
                return -1;
            }
        }
        status
    }
}
