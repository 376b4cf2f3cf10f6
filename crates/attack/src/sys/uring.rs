//! Opening and reading a file without the system calls that are watched for it:
//! [io_uring(7)](https://man7.org/linux/man-pages/man7/io_uring.7.html), Linux 5.6 for
//! `openat` and `read`.
#![expect(unsafe_code, reason = "io_uring shares memory with the kernel")]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Needle, Outcome, needle::Search};

const OP_OPENAT: u8 = 18;
const OP_READ: u8 = 22;
const ENTER_GETEVENTS: u32 = 1;
const OFFSET_SQES: libc::off_t = 0x1000_0000;
const RING_BYTES: usize = 4096;
const SQE_BYTES: usize = 64;

/// `struct io_uring_params`.
#[repr(C)]
#[derive(Default)]
struct Parameters {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    sq: Offsets,
    cq: Offsets,
}

/// `struct io_sqring_offsets` and `struct io_cqring_offsets`, which differ in the sixth field.
#[repr(C)]
#[derive(Default)]
struct Offsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    fifth: u32,
    /// The array of the submission ring is the seventh; the completions are the sixth.
    sixth: u32,
    seventh: u32,
    reserved: u32,
    user_addr: u64,
}

/// `struct io_uring_sqe`, as far as it is used.
#[repr(C)]
#[derive(Clone, Copy)]
struct Submission {
    opcode: u8,
    flags: u8,
    ioprio: u16,
    fd: i32,
    offset: u64,
    address: u64,
    length: u32,
    open_flags: u32,
    rest: [u64; 4],
}

/// A ring with one request at a time.
struct Ring {
    file: File,
    ring: *mut u8,
    entries: *mut Submission,
    parameters: Parameters,
}

/// Opens `path` and reads it, with io_uring doing both.
pub(crate) fn by_path(path: &str, needle: &Needle) -> io::Result<Outcome> {
    let ring = Ring::new()?;
    let path = CString::new(path)?;
    let open = Submission {
        opcode: OP_OPENAT,
        fd: libc::AT_FDCWD,
        address: path.as_ptr() as u64,
        open_flags: (libc::O_RDONLY | libc::O_CLOEXEC) as u32,
        ..Submission::ZERO
    };
    let file = match ring.carry_out(open) {
        // SAFETY: the kernel has just given us this descriptor.
        Ok(fd) => unsafe { OwnedFd::from_raw_fd(fd as i32) },
        Err(error) => return Outcome::from_error(error),
    };
    let mut buffer = vec![0_u8; 1 << 16];
    let mut search = Search::new(needle);
    let mut offset = 0;
    loop {
        let read = Submission {
            opcode: OP_READ,
            fd: file.as_raw_fd(),
            offset,
            address: buffer.as_mut_ptr() as u64,
            length: buffer.len() as u32,
            ..Submission::ZERO
        };
        match ring.carry_out(read)? {
            0 => return Ok(Outcome::NotFound),
            n if search.feed(&buffer[..n]) => return Ok(Outcome::Leaked),
            n => offset += n as u64,
        }
    }
}

impl Submission {
    const ZERO: Self =
        Self { opcode: 0, flags: 0, ioprio: 0, fd: 0, offset: 0, address: 0, length: 0, open_flags: 0, rest: [0; 4] };
}

impl Ring {
    fn new() -> io::Result<Self> {
        const { assert!(size_of::<Submission>() == SQE_BYTES && size_of::<Parameters>() == 120) }
        let mut parameters = Parameters::default();
        // SAFETY: the kernel fills a struct of the size that it expects.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, &raw mut parameters) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else owns.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(fd as i32) });
        let ring = shared(&file, RING_BYTES, 0)?;
        let entries = shared(&file, 4 * SQE_BYTES, OFFSET_SQES)?;
        Ok(Self { file, ring, entries: entries.cast(), parameters })
    }

    /// Submits one request and waits for its result.
    fn carry_out(&self, request: Submission) -> io::Result<usize> {
        let (sq, cq) = (&self.parameters.sq, &self.parameters.cq);
        let tail = self.counter(sq.tail).load(Ordering::Relaxed);
        let slot = (tail & self.counter(sq.ring_mask).load(Ordering::Relaxed)) as usize;
        // SAFETY: `slot` is below the number of entries, which is four, as many as are mapped;
        // the kernel does not look at an entry before the tail has passed it.
        unsafe { self.entries.add(slot).write(request) };
        // SAFETY: the kernel says where the array of slot numbers lies in its mapping.
        unsafe { self.ring.add(sq.seventh as usize).cast::<u32>().add(slot).write(slot as u32) };
        self.counter(sq.tail).store(tail.wrapping_add(1), Ordering::Release);
        let null = std::ptr::null::<u8>();
        let fd = self.file.as_raw_fd();
        // SAFETY: no signal mask is passed.
        let entered = unsafe { libc::syscall(libc::SYS_io_uring_enter, fd, 1, 1, ENTER_GETEVENTS, null, 0) };
        if entered < 0 {
            return Err(io::Error::last_os_error());
        }
        let head = self.counter(cq.head).load(Ordering::Relaxed);
        let slot = (head & self.counter(cq.ring_mask).load(Ordering::Relaxed)) as usize;
        // SAFETY: one completion has arrived; each is 16 bytes with the result in the third
        // word, at the place in the mapping that the kernel has named.
        let result = unsafe { self.ring.add(cq.sixth as usize + 16 * slot + 8).cast::<i32>().read() };
        self.counter(cq.head).store(head.wrapping_add(1), Ordering::Release);
        usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
    }

    fn counter(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: the kernel gives offsets of aligned 32-bit counters within the mapping,
        // which is never unmapped.
        unsafe { &*self.ring.add(offset as usize).cast() }
    }
}

fn shared(file: &File, length: usize, offset: libc::off_t) -> io::Result<*mut u8> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses disturbs no other.
    let base =
        unsafe { libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_SHARED, file.as_raw_fd(), offset) };
    if base == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(base.cast()) }
}
