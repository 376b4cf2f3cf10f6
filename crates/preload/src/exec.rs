//! `exec` with an exact private array when the program passes its `environ`.
//!
//! The kernel reads the array twice, so an array that another thread changes in between makes
//! `execve` fail or pass an entry twice. Everything here may run in a `vfork` child: it uses
//! the stack and system calls only.

use core::ffi::{c_char, c_int, c_long};
use core::ptr;

use crate::environment::{ENVIRONMENT, current_array, errno, is_static, set_errno};
use crate::secrets::{must_hand_on, with_handed_on};
use crate::spawn::is_wrapped;

/// Pointers that are copied to the stack in any case. Few: the children that some libcs make
/// have a stack of a page.
const FEW: usize = 128;
/// Pointers that are copied to the stack in a dynamically linked program, whose libc does not
/// call us in such a child.
const MANY: usize = 1024;
/// The longest path that a search tries.
const PATH_MAX: usize = 4096;

type Vector = *const *const c_char;

/// Mapped room for pointers.
struct Mapped {
    slots: *mut *mut c_char,
    bytes: usize,
}

impl Mapped {
    fn new(slots: usize) -> Option<Self> {
        let bytes = slots * size_of::<usize>();
        // SAFETY: an anonymous private mapping.
        let pages = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        (pages != libc::MAP_FAILED).then_some(Self { slots: pages.cast(), bytes })
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, used by nobody else.
        unsafe { libc::munmap(self.slots.cast(), self.bytes) };
    }
}

/// Calls `with` with `envp`, or with an exact private copy if `envp` is the environment's
/// array now. `None` when there is no memory.
///
/// In a statically linked program whose libc may call us in a child with a small stack, a large
/// environment is passed as it is: the published array is never rewritten in a way that the
/// kernel could trip over.
pub(crate) fn with_exact<T>(envp: Vector, with: impl FnOnce(Vector) -> T) -> Option<T> {
    if must_hand_on() {
        return copied(envp, |exact| with_handed_on(exact, with))?;
    }
    copied(envp, with)
}

fn copied<T>(envp: Vector, with: impl FnOnce(Vector) -> T) -> Option<T> {
    if envp.is_null() || !ptr::eq(envp, current_array().cast()) {
        return Some(with(envp));
    }
    match on_stack::<FEW, T, _>(with) {
        Ok(result) => Some(result),
        Err(with) if is_static() && !is_wrapped() => Some(with(envp)),
        Err(with) => match on_stack::<MANY, T, _>(with) {
            Ok(result) => Some(result),
            Err(with) => mapped(with),
        },
    }
}

#[inline(never)]
fn on_stack<const SLOTS: usize, T, F: FnOnce(Vector) -> T>(with: F) -> Result<T, F> {
    let mut array = [ptr::null_mut(); SLOTS];
    // SAFETY: room for all but the last pointer, which stays null.
    match unsafe { ENVIRONMENT.capture(array.as_mut_ptr(), SLOTS - 1) } {
        Ok(count) => {
            // What an attempt that was given up wrote behind the end.
            array[count] = ptr::null_mut();
            Ok(with(array.as_ptr().cast()))
        }
        Err(_) => Err(with),
    }
}

#[inline(never)]
fn mapped<T>(with: impl FnOnce(Vector) -> T) -> Option<T> {
    let mut capacity = 2 * MANY;
    loop {
        let room = Mapped::new(capacity)?;
        // SAFETY: room for all but the last pointer.
        match unsafe { ENVIRONMENT.capture(room.slots, capacity - 1) } {
            Ok(count) => {
                // SAFETY: below `capacity`.
                unsafe { *room.slots.add(count) = ptr::null_mut() };
                return Some(with(room.slots.cast_const().cast()));
            }
            Err(count) => capacity = count + count / 8 + 2,
        }
    }
}

fn exec_exact(call: impl FnOnce(Vector) -> c_long, envp: Vector) -> c_int {
    if with_exact(envp, call).is_none() {
        set_errno(libc::ENOMEM);
    }
    -1
}

/// execve(2).
pub(crate) unsafe extern "C" fn execve(path: *const c_char, argv: Vector, envp: Vector) -> c_int {
    exec_exact(
        // SAFETY: the kernel checks the pointers.
        |exact| unsafe { libc::syscall(libc::SYS_execve, path, argv, exact) },
        envp,
    )
}

/// execv(3).
pub(crate) unsafe extern "C" fn execv(path: *const c_char, argv: Vector) -> c_int {
    // SAFETY: as the caller's.
    unsafe { execve(path, argv, current_array().cast_const().cast()) }
}

/// fexecve(3).
pub(crate) unsafe extern "C" fn fexecve(fd: c_int, argv: Vector, envp: Vector) -> c_int {
    if fd < 0 || argv.is_null() || envp.is_null() {
        set_errno(libc::EINVAL);
        return -1;
    }
    exec_exact(
        // SAFETY: the kernel checks the pointers.
        |exact| unsafe { libc::syscall(libc::SYS_execveat, fd, c"".as_ptr(), argv, exact, libc::AT_EMPTY_PATH) },
        envp,
    )
}

/// execvp(3).
pub(crate) unsafe extern "C" fn execvp(file: *const c_char, argv: Vector) -> c_int {
    // SAFETY: as the caller's.
    unsafe { execvpe(file, argv, current_array().cast_const().cast()) }
}

/// execvpe(3): the search that POSIX describes for `execvp`.
pub(crate) unsafe extern "C" fn execvpe(file: *const c_char, argv: Vector, envp: Vector) -> c_int {
    // SAFETY: the caller passes a string and two arrays.
    unsafe {
        let length = libc::strlen(file);
        if length == 0 {
            set_errno(libc::ENOENT);
            return -1;
        }
        if !libc::strchr(file, c_int::from(b'/')).is_null() {
            return exec_or_script(file, argv, envp);
        }
        let mut path = ENVIRONMENT.get(c"PATH".as_ptr()).cast_const();
        if path.is_null() {
            path = c"/bin:/usr/bin".as_ptr();
        }
        let mut denied = false;
        loop {
            let end = strchrnul(path, b':');
            let directory = end.offset_from_unsigned(path);
            let mut full = [0 as c_char; PATH_MAX];
            if directory + 1 + length < PATH_MAX {
                let mut at = directory;
                full.as_mut_ptr().copy_from_nonoverlapping(path, directory);
                if directory > 0 {
                    full[at] = b'/'.cast_signed();
                    at += 1;
                }
                full.as_mut_ptr().add(at).copy_from_nonoverlapping(file, length + 1);
                exec_or_script(full.as_ptr(), argv, envp);
                match errno() {
                    libc::EACCES => denied = true,
                    libc::ENOENT | libc::ESTALE | libc::ENOTDIR | libc::ENODEV | libc::ETIMEDOUT => {}
                    _ => return -1,
                }
            }
            if *end == 0 {
                break;
            }
            path = end.add(1);
        }
        set_errno(if denied { libc::EACCES } else { libc::ENOENT });
        -1
    }
}

unsafe fn strchrnul(text: *const c_char, stop: u8) -> *const c_char {
    let mut at = text;
    // SAFETY: the caller passes a string.
    unsafe {
        while *at != 0 && *at != stop.cast_signed() {
            at = at.add(1);
        }
    }
    at
}

/// Executes a file, as a shell script if the kernel does not know its format.
unsafe fn exec_or_script(path: *const c_char, argv: Vector, envp: Vector) -> c_int {
    // SAFETY: the caller passes a string and two arrays.
    unsafe {
        execve(path, argv, envp);
        if errno() != libc::ENOEXEC {
            return -1;
        }
        let mut count = 0;
        while !argv.is_null() && !(*argv.add(count)).is_null() {
            count += 1;
        }
        let Some(room) = Mapped::new(count + 3) else {
            set_errno(libc::ENOMEM);
            return -1;
        };
        let shell = room.slots.cast::<*const c_char>();
        *shell = c"/bin/sh".as_ptr();
        *shell.add(1) = path;
        if count > 1 {
            shell.add(2).copy_from_nonoverlapping(argv.add(1), count - 1);
        }
        *shell.add(1 + count.max(1)) = ptr::null();
        execve(c"/bin/sh".as_ptr(), shell, envp)
    }
}

/// execl(3), the arguments already in an array.
pub(crate) unsafe extern "C" fn execl(path: *const c_char, argv: Vector) -> c_int {
    // SAFETY: as the caller's.
    unsafe { execv(path, argv) }
}

/// execlp(3), the arguments already in an array.
pub(crate) unsafe extern "C" fn execlp(file: *const c_char, argv: Vector) -> c_int {
    // SAFETY: as the caller's.
    unsafe { execvp(file, argv) }
}

/// execle(3), the arguments already in an array, the environment behind their end.
pub(crate) unsafe extern "C" fn execle(path: *const c_char, argv: Vector) -> c_int {
    // SAFETY: the caller passed a null and then the environment.
    unsafe {
        let mut end = argv;
        while !(*end).is_null() {
            end = end.add(1);
        }
        execve(path, argv, (*end.add(1)).cast())
    }
}
