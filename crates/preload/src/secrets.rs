//! The preload tier: secrets that `envward run --tier preload` hands over in an inherited
//! descriptor, for where the launcher may not trace.
//!
//! The environment that the kernel is given, and `/proc/PID/environ` shows, names the
//! descriptor only. Before the program's first instruction the library maps it, closes it and
//! puts pointers into it into `environ`. When the program executes another one, what is secret
//! in the environment that it passes is taken out and handed on in the same way.

use core::ffi::{CStr, c_char, c_int};
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::environment::{ENVIRONMENT, is_secure};

/// The variable that says where the secrets are: `FD:LENGTH`.
const VARIABLE: &CStr = c"ENVWARD_SECRETS";
/// Handed-on descriptors are put out of the way of those that shells use.
const LEAST_DESCRIPTOR: c_int = 300;
/// Entries of an environment that are looked at on the stack.
const ON_STACK: usize = 1024;

type Vector = *const *const c_char;

/// Whether secrets came by this tier: then nobody else keeps them out of `/proc`. Injected ones
/// are the supervisor's business, which knows them by their pointers.
static RECEIVED: AtomicBool = AtomicBool::new(false);

/// Whether what is executed must be given its secrets by us.
pub(crate) fn must_hand_on() -> bool {
    RECEIVED.load(Ordering::Relaxed)
}

/// Takes secrets over that were handed to this program.
pub(crate) fn receive() {
    if is_secure() {
        return;
    }
    // SAFETY: a terminated name; the value is a string.
    let Some((descriptor, length)) = (unsafe { parse(ENVIRONMENT.get(VARIABLE.as_ptr())) }) else {
        return;
    };
    // SAFETY: maps a descriptor that the launcher opened for us; what is not one fails.
    unsafe {
        // Before a secret can be read from our memory.
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        let pages =
            libc::mmap(ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, descriptor, 0);
        // An open descriptor can be stolen, a mapping of secret memory cannot.
        libc::close(descriptor);
        if pages == libc::MAP_FAILED || *pages.cast::<u8>().add(length - 1) != 0 {
            refuse();
        }
        if ENVIRONMENT.deliver(pages.cast(), length).is_err() || ENVIRONMENT.remove(VARIABLE.as_ptr()).is_err() {
            refuse();
        }
        RECEIVED.store(true, Ordering::Relaxed);
    }
}

/// Recognises secrets that the launcher injected: entries that lie in a mapping of secret memory.
pub(crate) fn recognise() {
    let entry = ENVIRONMENT.unusual_entry();
    if entry.is_null() || is_secure() {
        return;
    }
    let Some((low, mut high)) = secret_mapping(entry.addr()) else {
        return;
    };
    let start = entry.with_addr(low);
    // SAFETY: the mapping is readable and stays; its last byte is zero, as the launcher fills
    // whole pages.
    unsafe {
        while high > low + 1 && *start.with_addr(high - 1) == 0 && *start.with_addr(high - 2) == 0 {
            high -= 1;
        }
        if *start.with_addr(high - 1) == 0 {
            ENVIRONMENT.recognise(start, high - low);
        }
    }
}

/// The mapping of secret memory that an address lies in, from `/proc/self/maps`.
fn secret_mapping(address: usize) -> Option<(usize, usize)> {
    let mut buffer = [0_u8; 4096];
    let mut held = 0;
    // SAFETY: reads a file of our own into a buffer of our own.
    unsafe {
        let file = libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if file < 0 {
            return None;
        }
        let mut found = None;
        loop {
            let count = libc::read(file, buffer.as_mut_ptr().add(held).cast(), buffer.len() - held);
            let Ok(count @ 1..) = usize::try_from(count) else { break };
            held += count;
            let mut done = 0;
            while let Some(end) = buffer[done..held].iter().position(|byte| *byte == b'\n') {
                found = found.or_else(|| secret_range(&buffer[done..done + end], address));
                done += end + 1;
            }
            buffer.copy_within(done..held, 0);
            held -= done;
            if found.is_some() || held == buffer.len() {
                break;
            }
        }
        libc::close(file);
        found
    }
}

/// The range of a line of `maps`, if it is of secret memory and holds the address.
fn secret_range(line: &[u8], address: usize) -> Option<(usize, usize)> {
    let has = |text: &[u8]| line.windows(text.len()).any(|window| window == text);
    if !has(b"/secretmem") && !has(b"/memfd:envward") {
        return None;
    }
    let mut bounds = [0_usize; 2];
    let mut which = 0;
    for byte in line {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'-' if which == 0 => {
                which = 1;
                continue;
            }
            _ => break,
        };
        bounds[which] = bounds[which].checked_mul(16)?.checked_add(digit.into())?;
    }
    (bounds[0]..bounds[1]).contains(&address).then_some((bounds[0], bounds[1]))
}

/// A program that lacks its secrets does not start.
fn refuse() -> ! {
    const MESSAGE: &[u8] = b"envward: the secrets could not be taken over from the launcher\n";
    // SAFETY: writes a static message and ends the process.
    unsafe {
        libc::write(2, MESSAGE.as_ptr().cast(), MESSAGE.len());
        libc::_exit(125)
    }
}

/// `FD:LENGTH`.
unsafe fn parse(text: *const c_char) -> Option<(c_int, usize)> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller passes a string.
    let (first, second) = unsafe {
        let bytes = core::slice::from_raw_parts(text.cast::<u8>(), libc::strlen(text));
        let colon = bytes.iter().position(|byte| *byte == b':')?;
        (&bytes[..colon], &bytes[colon + 1..])
    };
    let number = |bytes: &[u8]| {
        bytes.iter().try_fold(0_usize, |sum, byte| {
            let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
            sum.checked_mul(10)?.checked_add(digit.into())
        })
    };
    let length = number(second).filter(|length| *length > 0)?;
    Some((c_int::try_from(number(first)?).ok()?, length))
}

/// Calls `with` with an environment in which no secret stands, and which says where they are
/// if the next program loads this library. Of the secrets in `envp` only those that stand
/// there are handed on.
pub(crate) fn with_handed_on<T>(envp: Vector, with: impl FnOnce(Vector) -> T) -> Option<T> {
    if envp.is_null() || !RECEIVED.load(Ordering::Relaxed) {
        return Some(with(envp));
    }
    let mut kept = [ptr::null::<c_char>(); ON_STACK];
    let mut secrets = [ptr::null::<c_char>(); ON_STACK];
    let (mut kept_count, mut secret_count, mut bytes) = (0, 0, 0);
    let mut loads_us = false;
    // SAFETY: the caller passes a null-terminated array of strings.
    unsafe {
        let mut at = envp;
        while !(*at).is_null() {
            let entry = *at;
            at = at.add(1);
            if kept_count + 2 >= ON_STACK || secret_count + 1 >= ON_STACK {
                // E2BIG is what the kernel says to environments that are too large.
                return None;
            }
            if ENVIRONMENT.is_secret(entry) {
                secrets[secret_count] = entry;
                secret_count += 1;
                bytes += libc::strlen(entry) + 1;
            } else if !begins(entry, VARIABLE) {
                loads_us |= begins(entry, c"LD_PRELOAD") && !libc::strstr(entry, c"libenvward".as_ptr()).is_null();
                kept[kept_count] = entry;
                kept_count += 1;
            }
        }
        if secret_count == 0 || !loads_us {
            return Some(with(kept.as_ptr()));
        }
        let descriptor = pack(&secrets[..secret_count], bytes)?;
        let mut variable = [0_u8; 64];
        write_variable(&mut variable, descriptor, bytes);
        kept[kept_count] = variable.as_ptr().cast();
        let result = with(kept.as_ptr());
        libc::close(descriptor);
        Some(result)
    }
}

/// Whether an entry is one of this variable.
unsafe fn begins(entry: *const c_char, name: &CStr) -> bool {
    let length = name.to_bytes().len();
    // SAFETY: the caller passes a string; the second read follows an equal prefix.
    unsafe { libc::strncmp(entry, name.as_ptr(), length) == 0 && *entry.add(length) == b'='.cast_signed() }
}

/// Copies strings into new secret memory behind an inheritable descriptor.
unsafe fn pack(entries: &[*const c_char], bytes: usize) -> Option<c_int> {
    // SAFETY: system calls on a descriptor and a mapping of our own; the copies stay within
    // `bytes`, the sum of the entries' lengths.
    unsafe {
        let mut made = libc::syscall(libc::SYS_memfd_secret, 0) as c_int;
        if made < 0 {
            made = libc::memfd_create(c"envward".as_ptr(), 0);
        }
        let descriptor = libc::fcntl(made, libc::F_DUPFD, LEAST_DESCRIPTOR);
        libc::close(made);
        if descriptor < 0 {
            return None;
        }
        let size = i64::try_from(bytes).ok()?;
        if libc::ftruncate(descriptor, size) != 0 {
            libc::close(descriptor);
            return None;
        }
        let pages =
            libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, descriptor, 0);
        if pages == libc::MAP_FAILED {
            libc::close(descriptor);
            return None;
        }
        let mut at = pages.cast::<c_char>();
        for entry in entries {
            let length = libc::strlen(*entry) + 1;
            at.copy_from_nonoverlapping(*entry, length);
            at = at.add(length);
        }
        libc::munmap(pages, bytes);
        Some(descriptor)
    }
}

/// Writes `ENVWARD_SECRETS=FD:LENGTH`, terminated.
fn write_variable(into: &mut [u8; 64], descriptor: c_int, bytes: usize) {
    let mut at = 0;
    let mut put = |byte: u8| {
        if let Some(place) = into.get_mut(at) {
            *place = byte;
        }
        at += 1;
    };
    VARIABLE.to_bytes().iter().copied().for_each(&mut put);
    put(b'=');
    for (number, end) in [(descriptor.cast_unsigned() as usize, b':'), (bytes, 0)] {
        let mut divisor = 1;
        while number / divisor >= 10 {
            divisor *= 10;
        }
        while divisor > 0 {
            put(b'0' + (number / divisor % 10) as u8);
            divisor /= 10;
        }
        put(end);
    }
}
