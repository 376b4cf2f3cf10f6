//! A child process on a stack of its own that may compute, read and write, and little else.
#![expect(unsafe_code, reason = "clone(2) with a stack and seccomp(2) take pointers")]

use std::ffi::{c_int, c_void};
use std::io;
use std::ptr::NonNull;

use crate::errno::check;
use crate::process;
use crate::seccomp::{Instruction, Verdict};

/// `SECCOMP_SET_MODE_FILTER`.
const SET_MODE_FILTER: libc::c_long = 1;

/// What a confined process may not do: run programs, start processes and threads, look into
/// other processes, speak to a network, change what it sees of the system.
const DENIED: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
];

/// x32's calls have the processor's own `AUDIT_ARCH_*` value, this bit in their numbers, and some
/// numbers that are nobody else's.
const X32: u32 = 0x4000_0000;

/// The system calls of [`DENIED`] fail with `EPERM`, and so does everything through another
/// system call interface than the processor's own. Short: when a filter is installed, the kernel
/// tries it with every system call there is.
fn filter() -> Vec<Instruction> {
    // Two instructions follow the list: the call is allowed, or it is refused.
    let count = DENIED.len();
    let mut program = vec![
        Instruction::load_arch(),
        Instruction::skip_unless_equal(crate::arch::AUDIT_ARCH, count + 3),
        Instruction::load_number(),
        Instruction::skip_if_at_least(X32, count + 1),
    ];
    let denied = DENIED.iter().enumerate();
    program.extend(denied.map(|(at, number)| Instruction::skip_if_equal(*number as u32, count - at)));
    program.push(Instruction::ret(Verdict::Allow));
    program.push(Instruction::ret(Verdict::Errno(libc::EPERM)));
    program
}

/// Takes from the calling process, for good, what it does not need to compute on what it has
/// and to read and write files: it can neither exec nor trace, start nothing and connect to
/// nothing; such calls fail with `EPERM`. Sets `no_new_privs`.
///
/// # Errors
/// Those of [seccomp(2)](https://man7.org/linux/man-pages/man2/seccomp.2.html); Linux 3.17.
pub fn confine() -> io::Result<()> {
    let program = filter();
    // SAFETY: takes no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64) })?;
    let program = libc::sock_fprog { len: program.len() as libc::c_ushort, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: `Instruction` has the layout of `sock_filter`; the kernel copies the program.
    check(unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, 0, &raw const program) }).map(drop)
}

/// Duplicates the process as [fork(2)](https://man7.org/linux/man-pages/man2/fork.2.html) does;
/// the child runs `body` on the stack that ends at `stack_end`, and ends at once with what that
/// returns: no destructors and no `atexit` handlers.
///
/// # Safety
/// The memory before `stack_end`, as much as `body` needs and guarded behind that, is mapped
/// writable in the child too (not `MADV_DONTFORK`), aligned to 16, and neither process refers
/// to it until the child has ended.
///
/// # Errors
/// `EBUSY` when the caller has more threads than one; `EAGAIN`, `ENOMEM`.
pub unsafe fn fork_onto(stack_end: NonNull<u8>, body: &mut dyn FnMut() -> u8) -> io::Result<i32> {
    if !process::has_one_thread()? {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    let mut body = body;
    let argument = (&raw mut body).cast::<c_void>();
    // SAFETY: without CLONE_VM the child has its own copy of everything that `argument` leads
    // to; the stack is the caller's promise; there is one thread, so no lock is held.
    check(unsafe { libc::clone(child, stack_end.as_ptr().cast(), libc::SIGCHLD, argument) })
}

extern "C" fn child(body: *mut c_void) -> c_int {
    // SAFETY: `fork_onto` passes a pointer to this type, and the child's copy is its own.
    let body = unsafe { &mut *body.cast::<&mut dyn FnMut() -> u8>() };
    process::exit_now(body())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::{Data, run};

    fn verdict(arch: u32, number: libc::c_long) -> Verdict {
        run(&filter(), &Data { number: number as u32, arch, arguments: [0; 6] })
    }

    #[test]
    fn what_is_denied_is_denied_under_every_number() {
        let x32 = libc::c_long::from(X32);
        let x32_execve = 520;
        let refused = DENIED.iter().flat_map(|number| [*number, *number | x32]).chain([x32_execve | x32]);
        for number in refused {
            assert_eq!(verdict(crate::arch::AUDIT_ARCH, number), Verdict::Errno(libc::EPERM), "{number}");
        }
        for number in [libc::SYS_read, libc::SYS_write, libc::SYS_mmap, libc::SYS_rename] {
            assert_eq!(verdict(crate::arch::AUDIT_ARCH, number), Verdict::Allow, "{number}");
            assert_eq!(verdict(0x4000_0003, number), Verdict::Errno(libc::EPERM), "{number}");
        }
    }
}
