//! Compiled programs, in every way of linking that lays out the start of a
//! process differently.

use std::fs;
use std::path::Path;

use envward_testkit::{Language, stage, tool};

/// How a program was linked, read from its ELF header.
#[derive(Debug, PartialEq, Eq)]
struct Linking {
    bits: u8,
    position_independent: bool,
    interpreted: bool,
}

/// Proves the check program in `language`, once it is known to be linked as
/// the test's name says.
fn compiled(language: Language, bits: u8, position_independent: bool, interpreted: bool) {
    let stage = stage!();
    let program = stage.program(language, "check");
    let linking = Linking { bits, position_independent, interpreted };
    assert_eq!(read_linking(&program), linking, "{language:?} is linked so");
    super::prove(&stage, [&program], &program);
}

fn unprivileged(language: Language) {
    let stage = stage!();
    let program = stage.program(language, "check");
    super::prove_unprivileged(&stage, [&program], &program);
}

#[test]
fn c_dynamic() {
    compiled(Language::C, 64, true, true);
}

#[test]
fn c_static_pie() {
    compiled(Language::CStaticPie, 64, true, false);
}

#[test]
fn c_static() {
    compiled(Language::CStatic, 64, false, false);
}

#[test]
fn c_musl_static() {
    compiled(Language::Musl, 64, false, false);
}

#[test]
fn c_i386_dynamic() {
    compiled(Language::I386, 32, true, true);
}

#[test]
fn c_i386_static() {
    compiled(Language::I386Static, 32, false, false);
}

#[test]
fn go_static() {
    compiled(Language::Go, 64, false, false);
}

#[test]
fn go_cgo() {
    compiled(Language::GoCgo, 64, false, true);
}

#[test]
fn rust_gnu() {
    compiled(Language::Rust, 64, true, true);
}

#[test]
fn rust_crt_static() {
    compiled(Language::RustStatic, 64, true, false);
}

/// Programs that reserve most of the address space at fixed addresses for
/// themselves. Without randomisation, which the thread sanitizer wants and
/// otherwise arranges for by an exec of itself.
#[test]
fn c_with_sanitizers() {
    let stage = stage!();
    let setarch = tool("setarch", "util-linux");
    for language in [Language::AddressSanitized, Language::ThreadSanitized] {
        let program = stage.program(language, "check");
        super::prove(&stage, [setarch.as_os_str(), "--addr-no-randomize".as_ref(), program.as_os_str()], &program);
    }
    let program = stage.program(Language::AddressSanitized, "check");
    super::prove(&stage, [&program], &program);
}

#[test]
fn c_as_an_unprivileged_user() {
    unprivileged(Language::C);
    unprivileged(Language::Musl);
}

#[test]
fn i386_as_an_unprivileged_user() {
    unprivileged(Language::I386);
    unprivileged(Language::I386Static);
}

#[test]
fn go_as_an_unprivileged_user() {
    unprivileged(Language::Go);
}

#[test]
fn rust_as_an_unprivileged_user() {
    unprivileged(Language::Rust);
}

fn read_linking(program: &Path) -> Linking {
    const ET_DYN: u64 = 3;
    const PT_INTERP: u64 = 3;
    let elf = fs::read(program).expect("a program can be read");
    let number = |at: usize, size: usize| {
        elf[at..at + size].iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte))
    };
    assert_eq!(&elf[..4], b"\x7fELF");
    let wide = elf[4] == 2;
    let (headers, size, count) = if wide {
        (number(0x20, 8), number(0x36, 2), number(0x38, 2))
    } else {
        (number(0x1c, 4), number(0x2a, 2), number(0x2c, 2))
    };
    Linking {
        bits: if wide { 64 } else { 32 },
        position_independent: number(0x10, 2) == ET_DYN,
        interpreted: (0..count).any(|i| number((headers + i * size) as usize, 4) == PT_INTERP),
    }
}
