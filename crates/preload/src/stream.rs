//! `popen` and `pclose`. libc's would pass the shell the array that `environ` points to, which
//! is not of one instant, and delivered secrets as strings.

use core::ffi::{c_char, c_int};
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use crate::environment::{current_array, errno, set_errno};

/// An open stream and its shell. The place is taken by the stream's pointer, or by
/// [`reserved`] before there is one. Places are used again and never freed.
struct Open {
    stream: AtomicPtr<libc::FILE>,
    child: AtomicI32,
    descriptor: AtomicI32,
    next: *const Self,
}

static OPEN: AtomicPtr<Open> = AtomicPtr::new(ptr::null_mut());

fn reserved() -> *mut libc::FILE {
    ptr::without_provenance_mut(1)
}

/// All places that there are now.
fn places() -> impl Iterator<Item = &'static Open> {
    let mut at = OPEN.load(Ordering::Acquire).cast_const();
    core::iter::from_fn(move || {
        // SAFETY: places are complete before they are listed, and are never freed.
        let place = unsafe { at.as_ref() }?;
        at = place.next;
        Some(place)
    })
}

/// Takes a place, or makes one.
fn reserve() -> Option<&'static Open> {
    let free = |open: &&Open| {
        open.stream.compare_exchange(ptr::null_mut(), reserved(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    };
    if let Some(place) = places().find(free) {
        return Some(place);
    }
    // SAFETY: no precondition.
    let made = unsafe { libc::malloc(size_of::<Open>()) }.cast::<Open>();
    if made.is_null() {
        return None;
    }
    let mut head = OPEN.load(Ordering::Acquire);
    loop {
        // SAFETY: ours until it is listed, and large enough.
        unsafe {
            made.write(Open {
                stream: AtomicPtr::new(reserved()),
                child: AtomicI32::new(0),
                descriptor: AtomicI32::new(-1),
                next: head,
            });
        }
        match OPEN.compare_exchange(head, made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: complete, and never freed.
            Ok(_) => return Some(unsafe { &*made }),
            Err(now) => head = now,
        }
    }
}

/// popen(3).
///
/// # Safety
/// Both are strings.
pub(crate) unsafe fn open(command: *const c_char, mode: *const c_char) -> *mut libc::FILE {
    // SAFETY: the caller passes strings; descriptors and buffers are our own.
    unsafe {
        let (first, second) = (*mode.cast::<u8>(), *mode.cast::<u8>().add(1));
        let closes = second == b'e';
        let end = if closes { *mode.cast::<u8>().add(2) } else { second };
        if !matches!(first, b'r' | b'w') || end != 0 {
            set_errno(libc::EINVAL);
            return ptr::null_mut();
        }
        let Some(place) = reserve() else {
            set_errno(libc::ENOMEM);
            return ptr::null_mut();
        };
        let stream = open_at(place, command, first == b'r', closes);
        place.stream.store(stream, Ordering::Release);
        if !stream.is_null() {
            // One at this address that was closed by `fclose` is gone.
            for other in places().filter(|other| !ptr::eq(*other, place)) {
                let _ = other.stream.compare_exchange(stream, ptr::null_mut(), Ordering::AcqRel, Ordering::Relaxed);
            }
        }
        stream
    }
}

unsafe fn open_at(place: &Open, command: *const c_char, reads: bool, closes: bool) -> *mut libc::FILE {
    // SAFETY: as `open`.
    unsafe {
        let mut ends = [0; 2];
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return ptr::null_mut();
        }
        let (ours, theirs, standard) = if reads { (ends[0], ends[1], 1) } else { (ends[1], ends[0], 0) };
        let stream = libc::fdopen(ours, if reads { c"r" } else { c"w" }.as_ptr());
        let child = if stream.is_null() { -1 } else { start(command, theirs, standard) };
        let kept = errno();
        if child >= 0 {
            if !closes {
                libc::fcntl(ours, libc::F_SETFD, 0);
            }
            place.child.store(child, Ordering::Relaxed);
            place.descriptor.store(ours, Ordering::Relaxed);
            libc::close(theirs);
            return stream;
        }
        if stream.is_null() {
            libc::close(ours);
        } else {
            libc::fclose(stream);
        }
        libc::close(theirs);
        set_errno(kept);
        ptr::null_mut()
    }
}

/// The shell's process, or a negative number with `errno` set.
unsafe fn start(command: *const c_char, theirs: c_int, standard: c_int) -> c_int {
    // SAFETY: as `open`.
    unsafe {
        let mut actions = MaybeUninit::<libc::posix_spawn_file_actions_t>::uninit();
        libc::posix_spawn_file_actions_init(actions.as_mut_ptr());
        // A shell does not have the streams to the others.
        for other in places() {
            let stream = other.stream.load(Ordering::Acquire);
            let descriptor = other.descriptor.load(Ordering::Relaxed);
            // A stream that the program closed by `fclose` may have left its number to ours.
            if !stream.is_null() && stream != reserved() && descriptor >= 0 && descriptor != theirs {
                libc::posix_spawn_file_actions_addclose(actions.as_mut_ptr(), descriptor);
            }
        }
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
    let open = places().find(|open| ptr::eq(open.stream.load(Ordering::Acquire), stream))?;
    let child = open.child.load(Ordering::Relaxed);
    open.descriptor.store(-1, Ordering::Relaxed);
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
