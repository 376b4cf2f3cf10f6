//! The one environment of the process.

use std::ffi::{c_char, c_void};
use std::sync::OnceLock;

use envward_table::Environment;

unsafe extern "C" {
    // environ(7).
    static environ: *mut *mut c_char;
}

// SAFETY: `environ` lives as long as the process and is what `Environment` asks for.
static OWN: Environment = unsafe { Environment::new(&raw const environ) };

/// The environment of the process: the one of `libenvward.so` if that is in the process, so
/// that there is one writer's lock and one notion of what was published.
pub(crate) fn environment() -> &'static Environment {
    static CHOSEN: OnceLock<&'static Environment> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        // The name changes with the layout of the table: libraries of another version are not
        // found by it.
        // SAFETY: a terminated name.
        let function = unsafe { libc::dlsym(libc::RTLD_DEFAULT, envward_table::SHARED.as_ptr()) };
        if function.is_null() {
            OWN.prepare();
            return &OWN;
        }
        // SAFETY: the function of this name has this type and returns a static.
        unsafe {
            let shared = std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> *const Environment>(function);
            &*shared()
        }
    })
}
