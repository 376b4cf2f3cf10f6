//! What a region keeps out, tried on the kernel of this machine.
//!
//! Every attack is first shown to work on ordinary memory. What ends a process
//! runs in a forked child.

#![expect(unsafe_code, reason = "the tests attack memory and fork")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are not recognised as tests")]

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use envward_kernel::memory::{Mapping, page_size};
use envward_secret::{Backing, Region, Step};

const MARK: &[u8] = b"not a secret, but treated as one";
const BOTH: [Backing; 2] = [Backing::MemfdSecret, Backing::Locked];

/// Runs `body` in a forked child and returns its wait status. A child that
/// comes back exits with what `body` returns.
fn in_child(body: impl FnOnce() -> i32) -> libc::c_int {
    // SAFETY: the child calls only `body` and `_exit`; the C library makes its
    // allocator usable after fork.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0, "fork failed");
        if child == 0 {
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
            libc::_exit(body());
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        status
    }
}

fn exited_with(status: libc::c_int, code: i32) -> bool {
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == code
}

fn died_of(status: libc::c_int, signal: i32) -> bool {
    libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == signal
}

fn marked(len: usize, backing: Backing) -> Region {
    let mut region = Region::new(len, backing).unwrap();
    region.as_mut_slice()[..MARK.len()].copy_from_slice(MARK);
    region
}

fn read_by_proc_mem(address: *const u8) -> io::Result<[u8; MARK.len()]> {
    let mut bytes = [0; MARK.len()];
    File::open("/proc/self/mem")?.read_exact_at(&mut bytes, address as u64)?;
    Ok(bytes)
}

fn read_by_process_vm(address: *const u8) -> io::Result<[u8; MARK.len()]> {
    let mut bytes = [0; MARK.len()];
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address.cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: the kernel writes into `bytes` only, which outlives the call.
    let count = unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
    match usize::try_from(count) {
        Ok(count) if count == bytes.len() => Ok(bytes),
        Ok(_) => Err(ErrorKind::UnexpectedEof.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

#[test]
fn proc_mem_cannot_read_secret_memory() {
    let plain = MARK.to_vec();
    assert_eq!(read_by_proc_mem(plain.as_ptr()).unwrap(), MARK);
    let region = marked(100, Backing::MemfdSecret);
    let error = read_by_proc_mem(region.as_slice().as_ptr()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    assert_eq!(&region.as_slice()[..MARK.len()], MARK);
}

#[test]
fn process_vm_readv_cannot_read_secret_memory() {
    let plain = MARK.to_vec();
    assert_eq!(read_by_process_vm(plain.as_ptr()).unwrap(), MARK);
    let region = marked(100, Backing::MemfdSecret);
    let error = read_by_process_vm(region.as_slice().as_ptr()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EFAULT));
}

#[test]
fn locked_memory_is_best_effort_only() {
    // Stated in the documentation; if this ever fails, so does the statement.
    let region = marked(100, Backing::Locked);
    assert_eq!(read_by_proc_mem(region.as_slice().as_ptr()).unwrap(), MARK);
}

#[test]
fn a_forked_child_does_not_have_it() {
    let plain = Box::new(*MARK.first().unwrap());
    // SAFETY: reads mapped memory, or memory whose absence is the point.
    let touch = |address: *const u8| in_child(|| i32::from(unsafe { address.read_volatile() }));
    assert!(exited_with(touch(&raw const *plain), i32::from(MARK[0])));
    for backing in BOTH {
        let region = marked(100, backing);
        let status = touch(region.as_slice().as_ptr());
        assert!(died_of(status, libc::SIGSEGV), "{backing}: {status:#x}");
    }
}

#[test]
fn guard_pages_fault_on_both_sides() {
    for backing in BOTH {
        // The child must make its own, as it does not inherit one.
        let touch = |beyond: fn(&Region) -> *const u8| {
            in_child(|| match Region::new(page_size(), backing) {
                // SAFETY: the address is mapped inaccessible; the fault is the
                // point.
                Ok(region) => i32::from(unsafe { beyond(&region).read_volatile() }),
                Err(_) => 99,
            })
        };
        let inside = touch(|region| region.as_slice().as_ptr());
        assert!(exited_with(inside, 0), "{backing}: {inside:#x}");
        let last = touch(|region| region.as_slice().as_ptr_range().end.wrapping_sub(1));
        assert!(exited_with(last, 0), "{backing}: {last:#x}");
        let before = touch(|region| region.as_slice().as_ptr().wrapping_sub(1));
        assert!(died_of(before, libc::SIGSEGV), "{backing}: {before:#x}");
        let after = touch(|region| region.as_slice().as_ptr_range().end);
        assert!(died_of(after, libc::SIGSEGV), "{backing}: {after:#x}");
    }
}

/// Drops, or delivers, a region after writing `distance` bytes behind its end.
fn overflow(backing: Backing, distance: usize) -> libc::c_int {
    in_child(|| {
        let Ok(mut region) = Region::new(100, backing) else {
            return 99;
        };
        let start = region.as_mut_slice().as_mut_ptr();
        for at in 0..distance {
            // SAFETY: still inside the page; that it is behind the slice is
            // what the canary must notice.
            unsafe { start.add(100 + at).write_volatile(0) };
        }
        drop(region);
        0
    })
}

#[test]
fn writing_behind_the_end_aborts() {
    for backing in BOTH {
        let intact = overflow(backing, 0);
        assert!(exited_with(intact, 0), "{backing}: {intact:#x}");
        let one = overflow(backing, 1);
        assert!(died_of(one, libc::SIGABRT), "{backing}: {one:#x}");
        let many = overflow(backing, 500);
        assert!(died_of(many, libc::SIGABRT), "{backing}: {many:#x}");
    }
}

/// The page behind a delivery, seen through a second mapping of its file.
fn view_of(fd: impl AsFd) -> (Mapping, Vec<u8>) {
    let view = Mapping::shared(fd.as_fd(), page_size()).unwrap();
    // SAFETY: the view is one readable page.
    let bytes = unsafe { std::slice::from_raw_parts(view.base().as_ptr(), view.size()) }.to_vec();
    (view, bytes)
}

#[test]
fn a_dropped_region_is_wiped() {
    for backing in BOTH {
        let mut delivery = Region::for_delivery(100, backing).unwrap();
        delivery.as_mut_slice()[..MARK.len()].copy_from_slice(MARK);
        let (view, before) = view_of(&delivery);
        assert_eq!(&before[..MARK.len()], MARK);
        drop(delivery);
        // SAFETY: the view is one readable page and keeps the file alive.
        let after = unsafe { std::slice::from_raw_parts(view.base().as_ptr(), view.size()) };
        assert!(after.iter().all(|byte| *byte == 0), "{backing}");
    }
}

#[test]
fn a_delivered_region_keeps_its_bytes_and_nothing_else() {
    for backing in BOTH {
        let mut delivery = Region::for_delivery(MARK.len(), backing).unwrap();
        assert_eq!(delivery.mapped_len(), page_size());
        delivery.as_mut_slice().copy_from_slice(MARK);
        let fd = delivery.deliver();
        let (_view, bytes) = view_of(&fd);
        assert_eq!(&bytes[..MARK.len()], MARK);
        assert!(bytes[MARK.len()..].iter().all(|byte| *byte == 0), "the canary is gone");
    }
}

#[test]
fn an_unpacked_region_has_the_bytes_and_all_protection() {
    for backing in BOTH {
        let mut delivery = Region::for_delivery(MARK.len(), backing).unwrap();
        delivery.as_mut_slice().copy_from_slice(MARK);
        let again = delivery.as_fd().try_clone_to_owned().unwrap();
        let region = Region::unpack(delivery.pack()).unwrap();
        assert!(region.as_slice() == MARK);
        let flags = vm_flags(region.as_slice().as_ptr());
        assert!(["lo", "dd", "dc"].iter().all(|flag| flags.iter().any(|have| have == flag)), "{flags:?}");
        drop(region);
        assert!(view_of(&again).1.iter().all(|byte| *byte == 0), "wiped for everyone");
    }
}

#[test]
fn a_delivered_region_is_no_longer_mapped_here() {
    for backing in BOTH {
        let status = in_child(|| {
            let Ok(delivery) = Region::for_delivery(1, backing) else {
                return 99;
            };
            let address = delivery.as_slice().as_ptr();
            // SAFETY: reads mapped memory first, and then memory whose absence
            // is the point.
            unsafe {
                let before = address.read_volatile();
                let fd = delivery.deliver();
                let after = address.read_volatile();
                drop(fd);
                i32::from(before) + i32::from(after)
            }
        });
        assert!(died_of(status, libc::SIGSEGV), "{backing}: {status:#x}");
    }
}

#[test]
fn the_kernel_knows_that_it_is_locked_and_not_for_dumps_or_children() {
    for backing in BOTH {
        let region = marked(3 * page_size(), backing);
        let flags = vm_flags(region.as_slice().as_ptr());
        for flag in ["lo", "dd", "dc"] {
            assert!(flags.iter().any(|have| have == flag), "{backing}: {flags:?}");
        }
    }
}

fn vm_flags(address: *const u8) -> Vec<String> {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let start = format!("{:x}-", address as usize);
    smaps
        .lines()
        .skip_while(|line| !line.starts_with(&start))
        .find_map(|line| line.strip_prefix("VmFlags:"))
        .unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

#[test]
fn regions_are_zero_filled_and_of_the_length_asked_for() {
    for backing in BOTH {
        for len in [0, 1, 4095, 4096, 4097, 20_000] {
            let region = Region::new(len, backing).unwrap();
            assert_eq!(region.len(), len);
            assert_eq!(region.is_empty(), len == 0);
            assert_eq!(region.as_slice().len(), len);
            assert!(region.as_slice().iter().all(|byte| *byte == 0));
        }
    }
}

#[test]
fn debug_is_redacted() {
    let region = marked(100, Backing::MemfdSecret);
    let text = format!("{region:?} {:?}", Region::for_delivery(1, Backing::Locked));
    assert!(text.contains("redacted"));
    assert!(!text.contains("treated"));
}

/// Makes a region in a child that was prepared; 0 if that worked, else the
/// step in the upper and the error number in the lower bits of the exit code.
fn attempt_after(prepare: impl FnOnce() -> bool, backing: Backing) -> (bool, u8, u8) {
    let (reader, writer) = io::pipe().unwrap();
    let status = in_child(|| {
        if !prepare() {
            return 99;
        }
        let (step, errno) = match backing.probe() {
            Ok(()) => (0, 0),
            Err(error) => (1 + error.step() as u8, u8::try_from(error.errno().unwrap_or(0)).unwrap_or(0)),
        };
        let report = [step, errno];
        i32::from(io::Write::write_all(&mut &writer, &report).is_err())
    });
    drop(writer);
    let mut report = [0; 2];
    io::Read::read_exact(&mut &reader, &mut report).unwrap();
    (exited_with(status, 0), report[0], report[1])
}

/// Gives up root, which is above the limit, and sets the limit.
fn limit_locked_memory(bytes: u64) -> bool {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: both calls touch only the credentials and limits of the child.
    unsafe {
        libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) == 0
            && (libc::geteuid() != 0 || libc::setresuid(65534, 65534, 65534) == 0)
    }
}

#[test]
fn too_small_a_memory_lock_limit_is_told_precisely() {
    let page = page_size() as u64;
    let step = |step: Step| 1 + step as u8;
    for (backing, limit, expected) in [
        (Backing::MemfdSecret, page, (true, 0, 0)),
        (Backing::Locked, page, (true, 0, 0)),
        (Backing::MemfdSecret, 0, (true, step(Step::Map), libc::EAGAIN as u8)),
        (Backing::Locked, 0, (true, step(Step::Lock), libc::EPERM as u8)),
        (Backing::Locked, page / 2, (true, step(Step::Lock), libc::ENOMEM as u8)),
    ] {
        let outcome = attempt_after(|| limit_locked_memory(limit), backing);
        assert_eq!(outcome, expected, "{backing} with {limit} bytes");
    }
}

/// Has a seccomp filter answer `memfd_secret` with an error number, as old
/// kernels and containers do.
fn refuse_memfd_secret(errno: i32) -> bool {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut jump = statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_memfd_secret as u32);
    jump.jf = 1;
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        jump,
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program is copied by the kernel and outlives the call.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    }
}

#[test]
fn a_kernel_without_memfd_secret_is_told_precisely() {
    let create = 1 + Step::Create as u8;
    for errno in [libc::ENOSYS, libc::EPERM] {
        let outcome = attempt_after(|| refuse_memfd_secret(errno), Backing::MemfdSecret);
        assert_eq!(outcome, (true, create, errno as u8));
        let fallback = attempt_after(|| refuse_memfd_secret(errno), Backing::Locked);
        assert_eq!(fallback, (true, 0, 0));
    }
}
