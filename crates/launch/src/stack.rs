//! The initial stack of a program: `argc`, `argv`, `envp` and the auxiliary vector, as the
//! kernel lays them out for `execve` (System V ABI, "Process Initialization").
//!
//! Pure functions on bytes. The strings themselves are further up the stack and are not
//! looked at; they are what `/proc/PID/environ` and `/proc/PID/cmdline` show.

/// `AT_SECURE`: the program runs with more privileges than its caller.
pub const AT_SECURE: u64 = 23;
/// `AT_SYSINFO_EHDR`: where the vDSO is.
pub const AT_SYSINFO_EHDR: u64 = 33;
const AT_NULL: u64 = 0;

/// A parsed initial stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialStack {
    pointer_size: usize,
    argv: Vec<u64>,
    envp: Vec<u64>,
    auxv: Vec<(u64, u64)>,
    /// Address of the first byte after the auxiliary vector.
    end: usize,
}

/// Why bytes are not an initial stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StackError {
    /// The vectors do not end within the bytes: read more.
    #[error("the vectors on the stack do not end")]
    Incomplete,
    /// `argv` does not have `argc` entries followed by a null pointer.
    #[error("argv on the stack does not have argc entries")]
    Malformed,
}

/// A new stack: where it starts, which is the new stack pointer, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Address of `argc`.
    pub stack_pointer: usize,
    /// Everything from `argc` to the end of the auxiliary vector.
    pub bytes: Vec<u8>,
}

impl InitialStack {
    /// Reads the stack that starts at `stack_pointer`, of which `bytes` are the first ones.
    ///
    /// # Errors
    /// [`StackError::Incomplete`] when more bytes are needed, [`StackError::Malformed`] when
    /// no number of them would do.
    pub fn parse(bytes: &[u8], stack_pointer: usize, pointer_size: usize) -> Result<Self, StackError> {
        let words = Words { bytes, pointer_size };
        let argc = usize::try_from(words.get(0)?).map_err(|_| StackError::Malformed)?;
        let argv_end = argc.checked_add(1).ok_or(StackError::Malformed)?;
        if argv_end > (usize::MAX >> 4) {
            return Err(StackError::Malformed);
        }
        let argv = (1..argv_end).map(|index| words.get(index)).collect::<Result<Vec<_>, _>>()?;
        if words.get(argv_end)? != 0 || argv.contains(&0) {
            return Err(StackError::Malformed);
        }
        let mut next = argv_end + 1;
        let mut envp = Vec::new();
        loop {
            let pointer = words.get(next)?;
            next += 1;
            if pointer == 0 {
                break;
            }
            envp.push(pointer);
        }
        let mut auxv = Vec::new();
        loop {
            let pair = (words.get(next)?, words.get(next + 1)?);
            next += 2;
            auxv.push(pair);
            if pair.0 == AT_NULL {
                break;
            }
        }
        Ok(Self { pointer_size, argv, envp, auxv, end: stack_pointer + next * pointer_size })
    }

    /// The argument pointers.
    #[must_use]
    pub fn argv(&self) -> &[u64] {
        &self.argv
    }

    /// The environment pointers.
    #[must_use]
    pub fn envp(&self) -> &[u64] {
        &self.envp
    }

    /// The auxiliary vector with its final null entry.
    #[must_use]
    pub fn auxv(&self) -> &[(u64, u64)] {
        &self.auxv
    }

    /// The value of an entry of the auxiliary vector.
    #[must_use]
    pub fn auxiliary(&self, key: u64) -> Option<u64> {
        self.auxv.iter().find(|(candidate, _)| *candidate == key).map(|(_, value)| *value)
    }

    /// The same stack with other environment pointers. It grows downwards, starts on a 16-byte
    /// boundary as the ABI demands, and leaves at least `room` bytes free between its end and
    /// the end of this one.
    #[must_use]
    pub fn render(&self, envp: &[u64], room: usize) -> Rendered {
        let words = 1 + self.argv.len() + 1 + envp.len() + 1 + 2 * self.auxv.len();
        let stack_pointer = (self.end - room - words * self.pointer_size) & !15;
        let mut bytes = Vec::with_capacity(words * self.pointer_size);
        let mut push = |word: u64| bytes.extend_from_slice(&word.to_le_bytes()[..self.pointer_size]);
        push(self.argv.len() as u64);
        for &pointer in self.argv.iter().chain([&0]).chain(envp).chain([&0]) {
            push(pointer);
        }
        for &(key, value) in &self.auxv {
            push(key);
            push(value);
        }
        Rendered { stack_pointer, bytes }
    }
}

/// Bytes of a null-terminated array of `pointers`.
#[must_use]
pub fn pointer_array(pointers: &[u64], pointer_size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity((pointers.len() + 1) * pointer_size);
    for pointer in pointers.iter().chain([&0]) {
        bytes.extend_from_slice(&pointer.to_le_bytes()[..pointer_size]);
    }
    bytes
}

/// The pointers in `bytes` up to the first null one, and whether there was one.
#[must_use]
pub fn pointers(bytes: &[u8], pointer_size: usize) -> (Vec<u64>, bool) {
    let words = Words { bytes, pointer_size };
    let mut found = Vec::new();
    for index in 0..bytes.len() / pointer_size {
        match words.get(index) {
            Ok(0) => return (found, true),
            Ok(pointer) => found.push(pointer),
            Err(_) => break,
        }
    }
    (found, false)
}

struct Words<'a> {
    bytes: &'a [u8],
    pointer_size: usize,
}

impl Words<'_> {
    fn get(&self, index: usize) -> Result<u64, StackError> {
        let start = index.checked_mul(self.pointer_size).ok_or(StackError::Malformed)?;
        let bytes = self.bytes.get(start..start + self.pointer_size).ok_or(StackError::Incomplete)?;
        let mut word = [0; 8];
        word[..self.pointer_size].copy_from_slice(bytes);
        Ok(u64::from_le_bytes(word))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stack(pointer_size: usize) -> impl Strategy<Value = InitialStack> {
        let pointer = 1..=(u64::MAX >> (64 - 8 * pointer_size as u32));
        (
            prop::collection::vec(pointer.clone(), 0..20),
            prop::collection::vec(pointer.clone(), 0..60),
            prop::collection::vec((1_u64..60, pointer), 0..25),
        )
            .prop_map(move |(argv, envp, mut auxv)| {
                auxv.push((AT_NULL, 0));
                InitialStack { pointer_size, argv, envp, auxv, end: 0x7fff_0000 }
            })
    }

    proptest! {
        #[test]
        fn what_was_rendered_parses_to_itself(
            stack in prop_oneof![stack(4), stack(8)],
            extra in prop::collection::vec(1_u64..0xffff_ffff, 0..5),
            room in 0_usize..500,
        ) {
            let envp: Vec<u64> = stack.envp.iter().copied().chain(extra).collect();
            let rendered = stack.render(&envp, room);
            prop_assert_eq!(rendered.stack_pointer % 16, 0);
            prop_assert!(rendered.stack_pointer + rendered.bytes.len() + room <= stack.end);
            let parsed = InitialStack::parse(&rendered.bytes, rendered.stack_pointer, stack.pointer_size);
            let end = rendered.stack_pointer + rendered.bytes.len();
            prop_assert_eq!(parsed, Ok(InitialStack { envp, end, ..stack.clone() }));
            for cut in 0..rendered.bytes.len() {
                prop_assert_eq!(
                    InitialStack::parse(&rendered.bytes[..cut], rendered.stack_pointer, stack.pointer_size),
                    Err(StackError::Incomplete)
                );
            }
        }

        #[test]
        fn any_bytes_are_answered_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = InitialStack::parse(&bytes, 0x7fff_0000, 8);
            let _ = InitialStack::parse(&bytes, 0x7fff_0000, 4);
        }

        #[test]
        fn arrays_round_trip(list in prop::collection::vec(1_u64..0xffff_ffff, 0..40)) {
            for size in [4, 8] {
                let bytes = pointer_array(&list, size);
                prop_assert_eq!(pointers(&bytes, size), (list.clone(), true));
                prop_assert_eq!(pointers(&bytes[..bytes.len() - size], size), (list.clone(), false));
            }
        }
    }

    #[test]
    fn the_auxiliary_vector_is_searched_by_key() {
        let stack = InitialStack {
            pointer_size: 8,
            argv: vec![],
            envp: vec![],
            auxv: vec![(AT_SECURE, 1), (AT_SYSINFO_EHDR, 0x7fff_1000), (AT_NULL, 0)],
            end: 0x8000,
        };
        assert_eq!(stack.auxiliary(AT_SECURE), Some(1));
        assert_eq!(stack.auxiliary(AT_SYSINFO_EHDR), Some(0x7fff_1000));
        assert_eq!(stack.auxiliary(7), None);
    }
}
