//! `popen` and `pclose` for programs with delivered secrets: libc's would pass them to the
//! shell as strings.

use core::ffi::{c_char, c_int};
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use crate::environment::{current_array, errno, set_errno};

/// Streams that may be open at a time.
const STREAMS: usize = 64;

/// An open stream and its shell. The place is taken by the stream's pointer.
struct Open {
    stream: AtomicPtr<libc::FILE>,
    child: AtomicI32,
}

static OPEN: [Open; STREAMS] =
    [const { Open { stream: AtomicPtr::new(ptr::null_mut()), child: AtomicI32::new(0) } }; STREAMS];

/// popen(3); the descriptor is closed in other programs, whatever `mode` says about it.
///
/// # Safety
/// Both are strings.
pub(crate) unsafe fn open(command: *const c_char, mode: *const c_char) -> *mut libc::FILE {
    // SAFETY: the caller passes strings; descriptors and buffers are our own.
    unsafe {
        let reads = *mode == b'r'.cast_signed();
        if !reads && *mode != b'w'.cast_signed() {
            set_errno(libc::EINVAL);
            return ptr::null_mut();
        }
        let mut ends = [0; 2];
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return ptr::null_mut();
        }
        let (ours, theirs, standard) = if reads { (ends[0], ends[1], 1) } else { (ends[1], ends[0], 0) };
        let child = start(command, theirs, standard);
        libc::close(theirs);
        let stream =
            if child > 0 { libc::fdopen(ours, if reads { c"r" } else { c"w" }.as_ptr()) } else { ptr::null_mut() };
        let place = if stream.is_null() {
            None
        } else {
            OPEN.iter().find(|open| {
                open.stream.compare_exchange(ptr::null_mut(), stream, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            })
        };
        match place {
            Some(open) => {
                open.child.store(child, Ordering::Release);
                stream
            }
            None => {
                let kept = if stream.is_null() { errno() } else { libc::EMFILE };
                if stream.is_null() {
                    libc::close(ours);
                } else {
                    libc::fclose(stream);
                }
                if child > 0 {
                    wait(child);
                }
                set_errno(kept);
                ptr::null_mut()
            }
        }
    }
}

/// The shell's process, or a negative number with `errno` set.
unsafe fn start(command: *const c_char, theirs: c_int, standard: c_int) -> c_int {
    // SAFETY: as `open`.
    unsafe {
        let mut actions = MaybeUninit::<libc::posix_spawn_file_actions_t>::uninit();
        libc::posix_spawn_file_actions_init(actions.as_mut_ptr());
        libc::posix_spawn_file_actions_adddup2(actions.as_mut_ptr(), theirs, standard);
        let argv = [c"sh".as_ptr(), c"-c".as_ptr(), c"--".as_ptr(), command, ptr::null()];
        let mut child = 0;
        let failed = crate::spawn::envward_posix_spawn(
            &raw mut child,
            c"/bin/sh".as_ptr(),
            actions.as_ptr(),
            ptr::null(),
            argv.as_ptr(),
            current_array().cast_const().cast(),
        );
        libc::posix_spawn_file_actions_destroy(actions.as_mut_ptr());
        if failed != 0 {
            set_errno(failed);
            return -1;
        }
        child
    }
}

/// pclose(3) of a stream of [`open`]; `None` for any other.
///
/// # Safety
/// The stream is open.
pub(crate) unsafe fn close(stream: *mut libc::FILE) -> Option<c_int> {
    let open = OPEN.iter().find(|open| ptr::eq(open.stream.load(Ordering::Acquire), stream))?;
    let child = open.child.load(Ordering::Acquire);
    open.stream.store(ptr::null_mut(), Ordering::Release);
    // SAFETY: the caller's stream, closed once.
    unsafe { libc::fclose(stream) };
    Some(wait(child))
}

/// Waits for a child of ours.
fn wait(child: c_int) -> c_int {
    let mut status = 0;
    loop {
        // SAFETY: a buffer of the right type.
        if unsafe { libc::waitpid(child, &raw mut status, 0) } >= 0 {
            return status;
        }
        if errno() != libc::EINTR {
            return -1;
        }
    }
}
