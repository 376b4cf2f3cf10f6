//! The names under which C finds what is not exported by its Rust name.
//!
//! Two reasons for jumps in assembly. The names with a symbol version must not be in the list
//! of exports that rustc writes. And the `exec` functions are weak, so that they do not clash
//! with a static libc's member that comes in for another of its symbols.

use crate::{exec, extended, spawn};

/// Another name for a function, which must be in the same object file: so it is in a release
/// build, which is one unit.
#[cfg(not(debug_assertions))]
macro_rules! same {
    ($name:literal, $target:path) => {
        core::arch::global_asm!(
            concat!(".globl ", $name),
            concat!(".type ", $name, ", STT_FUNC"),
            concat!(".set ", $name, ", {target}"),
            target = sym $target,
        );
    };
}
#[cfg(debug_assertions)]
macro_rules! same {
    ($name:literal, $target:path) => {
        jump!("globl", $name, $target);
    };
}

macro_rules! jump {
    ($binding:literal, $name:literal, $target:path) => {
        #[cfg(target_arch = "x86_64")]
        core::arch::global_asm!(
            ".text",
            concat!(".", $binding, " ", $name),
            concat!(".type ", $name, ", @function"),
            concat!($name, ":"),
            "endbr64",
            "jmp {target}",
            concat!(".size ", $name, ", . - ", $name),
            target = sym $target,
        );
        #[cfg(target_arch = "aarch64")]
        core::arch::global_asm!(
            ".text",
            concat!(".", $binding, " ", $name),
            concat!(".type ", $name, ", %function"),
            concat!($name, ":"),
            "b {target}",
            concat!(".size ", $name, ", . - ", $name),
            target = sym $target,
        );
    };
}

same!("env_lookup", extended::env_lookup);
same!("env_release", extended::env_release);
jump!("globl", "env_replace_all", extended::env_replace_all);
jump!("globl", "env_iter", extended::env_iter);
same!("env_next", extended::env_next);
jump!("globl", "env_iter_close", extended::env_iter_close);
jump!("globl", "getenv_r", extended::getenv_r);
jump!("globl", "envward_environment_0_1_0", extended::shared_environment);
jump!("weak", "execve", exec::execve);
jump!("weak", "execv", exec::execv);
jump!("weak", "execvp", exec::execvp);
jump!("weak", "execvpe", exec::execvpe);
jump!("weak", "fexecve", exec::fexecve);

/// A function with a variable number of pointers, which becomes one with an array: the
/// registers' arguments are put in front of those on the stack, where they make one array.
macro_rules! gather {
    ($name:literal, $target:path) => {
        #[cfg(target_arch = "x86_64")]
        core::arch::global_asm!(
            ".text",
            concat!(".weak ", $name),
            concat!(".type ", $name, ", @function"),
            concat!($name, ":"),
            ".cfi_startproc",
            "endbr64",
            // The return address makes room for the array: it moves into a saved register.
            "pop rax",
            ".cfi_adjust_cfa_offset -8",
            "push r9",
            "push r8",
            "push rcx",
            "push rdx",
            "push rsi",
            "mov rsi, rsp",
            // Aligned: five pushes and this one, after the return address was taken off.
            "push rax",
            ".cfi_adjust_cfa_offset 48",
            "call {target}",
            "pop rdx",
            "add rsp, 40",
            ".cfi_adjust_cfa_offset -48",
            "push rdx",
            "ret",
            ".cfi_endproc",
            concat!(".size ", $name, ", . - ", $name),
            target = sym $target,
        );
        #[cfg(target_arch = "aarch64")]
        core::arch::global_asm!(
            ".text",
            concat!(".weak ", $name),
            concat!(".type ", $name, ", %function"),
            concat!($name, ":"),
            "sub sp, sp, #80",
            "str x30, [sp]",
            "str x1, [sp, #24]",
            "stp x2, x3, [sp, #32]",
            "stp x4, x5, [sp, #48]",
            "stp x6, x7, [sp, #64]",
            "add x1, sp, #24",
            "bl {target}",
            "ldr x30, [sp]",
            "add sp, sp, #80",
            "ret",
            concat!(".size ", $name, ", . - ", $name),
            target = sym $target,
        );
    };
}

// For `ld --wrap`, with which a static program has these before libc's (see envward.pc).
jump!("globl", "__wrap_posix_spawn", spawn::envward_posix_spawn);
jump!("globl", "__wrap_posix_spawnp", spawn::envward_posix_spawnp);
jump!("globl", "__wrap_system", spawn::envward_system);
jump!("globl", "__wrap_popen", spawn::envward_popen);
jump!("globl", "__wrap_pclose", spawn::envward_pclose);
jump!("globl", "__wrap_wordexp", spawn::envward_wordexp);

gather!("execl", exec::execl);
gather!("execlp", exec::execlp);
gather!("execle", exec::execle);

// A build without optimization refers to the personality of unwinding, which a program that
// aborts never calls. Weak and hidden: a program with the real one uses that.
core::arch::global_asm!(
    ".text",
    ".weak rust_eh_personality",
    ".hidden rust_eh_personality",
    "rust_eh_personality:",
    "ret",
);
