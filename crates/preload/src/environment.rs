//! The environment of the process, and what is learned when the library is loaded.

use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use envward_table::{Environment, Error};

unsafe extern "C" {
    // environ(7). Not defined here: a definition would part the program's variable from libc's
    // where there is no copy relocation.
    pub(crate) static environ: *mut *mut c_char;
}

/// The one environment.
// SAFETY: `environ` lives as long as the process and is what `Environment` asks for.
pub(crate) static ENVIRONMENT: Environment = unsafe { Environment::new(&raw const environ) };

/// Whether the program runs with privileges that its caller lacks (`AT_SECURE`): 1 if not, 2
/// if so, 0 as long as nobody has asked. Other libraries' constructors may ask before ours runs.
static SECURE: AtomicU8 = AtomicU8::new(0);

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = loaded;

extern "C" fn loaded() {
    crate::secrets::recognise();
    ENVIRONMENT.prepare();
    crate::secrets::receive();
}

/// Whether `secure_getenv` must find nothing.
pub(crate) fn is_secure() -> bool {
    let mut known = SECURE.load(Ordering::Relaxed);
    if known == 0 {
        // SAFETY: no precondition.
        known = 1 + u8::from(unsafe { libc::getauxval(libc::AT_SECURE) } != 0);
        SECURE.store(known, Ordering::Relaxed);
    }
    known == 2
}

/// What `environ` points to.
pub(crate) fn current_array() -> *mut *mut c_char {
    // SAFETY: `environ` is a mapped, aligned pointer, which other threads write atomically.
    unsafe { AtomicPtr::from_ptr((&raw const environ).cast_mut()) }.load(Ordering::Acquire)
}

/// Sets the calling thread's `errno`.
pub(crate) fn set_errno(value: c_int) {
    // SAFETY: both libcs export the address of the thread's `errno` under this name.
    unsafe { *libc::__errno_location() = value };
}

/// The calling thread's `errno`.
pub(crate) fn errno() -> c_int {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() }
}

/// 0, or -1 with `errno` set.
pub(crate) fn status(result: Result<(), Error>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => {
            set_errno(match error {
                Error::Invalid => libc::EINVAL,
                _ => libc::ENOMEM,
            });
            -1
        }
    }
}

/// The process's definition of a function behind this library's, or null: in a static program
/// `dlsym` may be absent, hence the weak reference.
pub(crate) fn next_definition(name: &core::ffi::CStr) -> *mut c_void {
    let Some(dlsym) = weak_dlsym() else {
        return core::ptr::null_mut();
    };
    // SAFETY: `dlsym` of the process's libc, a terminated name.
    unsafe { dlsym(libc::RTLD_NEXT, name.as_ptr()) }
}

/// Whether the program is linked statically, as far as it has no `dlsym`.
pub(crate) fn is_static() -> bool {
    weak_dlsym().is_none()
}

type Dlsym = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;

#[cfg(target_arch = "x86_64")]
fn weak_dlsym() -> Option<Dlsym> {
    let address: *mut c_void;
    // SAFETY: loads an entry of the global offset table: an address, or zero for the weak
    // symbol that nobody defines.
    unsafe {
        core::arch::asm!(
            ".weak dlsym",
            "mov {}, qword ptr [rip + dlsym@GOTPCREL]",
            out(reg) address,
            options(pure, readonly, nostack, preserves_flags)
        );
        core::mem::transmute::<*mut c_void, Option<Dlsym>>(address)
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn weak_dlsym() -> Option<Dlsym> {
    Some(libc::dlsym)
}
