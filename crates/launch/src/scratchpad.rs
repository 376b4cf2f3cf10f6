//! Room for the environment array of a program's next exec, on its own stack.
//!
//! An exec that carries secrets is made with another array of environment pointers, which must
//! stand somewhere in the calling process: not below its stack pointer, which may be the end of
//! a small stack, and not in the program's own array, which a `vfork` child shares with its
//! parent. So every program that secrets are put into is left some bytes above the vectors of
//! its initial stack, of which nobody tells it. They are marked, so that we can tell whether a
//! process still has them: a forked child has its parent's, at the same place. A program that
//! forges a mark gets an array of its own pointers written into its own memory.

use std::collections::VecDeque;

use envward_kernel::arch::Abi;
use envward_kernel::remote_memory;

/// Words of a mark: a random number, the address, the room.
const MARK: usize = 3 * size_of::<u64>();
/// The array is behind the mark, on a boundary that suits it.
const HEADER: usize = MARK.next_multiple_of(ALIGNMENT);
const ALIGNMENT: usize = 16;
/// Variables that a program may add before the array is too long for its scratchpad.
const GROWTH: usize = 16;
/// Programs with more entries get none: the kernel has mapped no more of the stack below their
/// vectors than 128 KiB, and only they themselves can make it grow.
const LARGEST: usize = 512;
/// How many programs' scratchpads are remembered.
const KNOWN: usize = 32;
/// How many are looked for in a process.
const TRIES: usize = 4;

/// The scratchpad of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scratchpad {
    address: usize,
    /// Bytes for the array.
    room: usize,
}

/// The scratchpads of a tree.
#[derive(Debug)]
pub struct Scratchpads {
    random: u64,
    /// With the process that it was given to, the last used first.
    known: VecDeque<(i32, Scratchpad)>,
}

impl Scratchpad {
    /// The bytes to be left above the vectors of a program with so many environment entries.
    #[must_use]
    pub const fn space(entries: usize) -> usize {
        // What aligning the start may cost included.
        if entries > LARGEST { 0 } else { HEADER + (entries + GROWTH) * size_of::<u64>() + ALIGNMENT }
    }

    /// The scratchpad that has the bytes above `end`, which are the [`space`](Self::space) for
    /// `entries`; `None` where that is none.
    #[must_use]
    pub const fn above(end: usize, entries: usize) -> Option<Self> {
        if entries > LARGEST {
            return None;
        }
        Some(Self { address: end.next_multiple_of(ALIGNMENT), room: (entries + GROWTH) * size_of::<u64>() })
    }

    /// Where its mark stands.
    #[must_use]
    pub const fn address(&self) -> usize {
        self.address
    }

    /// Where its array stands.
    #[must_use]
    pub const fn array(&self) -> usize {
        self.address + HEADER
    }
}

impl Scratchpads {
    /// None yet. `random` is what others cannot guess.
    #[must_use]
    pub const fn new(random: u64) -> Self {
        Self { random, known: VecDeque::new() }
    }

    /// The bytes that mark a scratchpad.
    #[must_use]
    pub fn mark(&self, pad: &Scratchpad) -> [u8; MARK] {
        let mut mark = [0; MARK];
        let words = [self.random, pad.address as u64, pad.room as u64];
        for (bytes, word) in mark.chunks_exact_mut(size_of::<u64>()).zip(words) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        mark
    }

    /// Remembers that process `pid` has been given a scratchpad.
    pub fn remember(&mut self, pid: i32, pad: Scratchpad) {
        self.known.truncate(KNOWN - 1);
        // Behind the one that was used last: a process that starts many has used its own.
        self.known.insert(self.known.len().min(1), (pid, pad));
    }

    /// A scratchpad that `process` has, by itself or from its parent, for an array of `length`
    /// bytes that is not among the `busy` ones.
    pub fn find(&mut self, process: i32, abi: Abi, length: usize, busy: impl Fn(usize) -> bool) -> Option<Scratchpad> {
        let usable = |pad: &Scratchpad| {
            length <= pad.room
                && !busy(pad.array())
                && (abi == Abi::Native || u32::try_from(pad.array() + pad.room).is_ok())
        };
        let own = self.known.iter().position(|(pid, _)| *pid == process);
        let others = (0..self.known.len()).filter(|index| Some(*index) != own).take(TRIES);
        let found = own.into_iter().chain(others).find(|index| {
            let pad = &self.known[*index].1;
            let mut bytes = [0; MARK];
            usable(pad)
                && remote_memory::read(process, pad.address, &mut bytes).is_ok_and(|read| read == MARK)
                && bytes == self.mark(pad)
        })?;
        let (pid, pad) = self.known.remove(found)?;
        self.known.push_front((pid, pad));
        Some(pad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory with a mark where the pad says.
    fn marked(pads: &Scratchpads, memory: &mut [u64; 64]) -> Scratchpad {
        let pad = Scratchpad::above(memory.as_ptr() as usize + 1, 10).unwrap();
        let offset = pad.address - memory.as_ptr() as usize;
        for (word, bytes) in memory[offset / 8..].iter_mut().zip(pads.mark(&pad).chunks_exact(8)) {
            *word = u64::from_ne_bytes(bytes.try_into().unwrap());
        }
        pad
    }

    #[test]
    fn is_found_where_its_mark_stands() {
        let me = std::process::id() as i32;
        let mut pads = Scratchpads::new(7);
        let mut memory = Box::new([0; 64]);
        let pad = marked(&pads, &mut memory);
        assert_eq!(pads.find(me, Abi::Native, 8, |_| false), None);
        pads.remember(1, pad);
        assert_eq!(pads.find(me, Abi::Native, 8, |_| false), Some(pad));
        assert_eq!(pads.find(me, Abi::Native, pad.room, |_| false), Some(pad));
        assert_eq!(pads.find(me, Abi::Native, pad.room + 1, |_| false), None);
        assert_eq!(pads.find(me, Abi::Native, 8, |array| array == pad.array()), None);
        assert_eq!(pads.find(me, Abi::Compat, 8, |_| false), None, "its address has more than 32 bits");
        memory.fill(0);
        assert_eq!(pads.find(me, Abi::Native, 8, |_| false), None);
    }

    #[test]
    fn a_programs_own_and_the_last_used_come_first() {
        let me = std::process::id() as i32;
        let mut pads = Scratchpads::new(7);
        let mut memories = [(); 2 * KNOWN].map(|()| Box::new([0; 64]));
        let all: Vec<_> = memories.iter_mut().map(|memory| marked(&pads, memory)).collect();
        for (pid, pad) in (1000..).zip(&all[..KNOWN]) {
            pads.remember(pid, *pad);
        }
        pads.remember(me, all[KNOWN]);
        for (pid, pad) in (2000..).zip(&all[KNOWN + 1..KNOWN + 10]) {
            pads.remember(pid, *pad);
        }
        assert_eq!(pads.find(me, Abi::Native, 8, |_| false), Some(all[KNOWN]));
        for (pid, pad) in (3000..).zip(&all[KNOWN + 10..]) {
            pads.remember(pid, *pad);
            memories[KNOWN + 10 + pid as usize - 3000].fill(0);
        }
        assert_eq!(pads.find(4000, Abi::Native, 8, |_| false), None, "no such process");
        assert_eq!(pads.find(me, Abi::Native, 8, |_| false), Some(all[KNOWN]));
        assert!(pads.known.len() <= KNOWN);
    }

    #[test]
    fn there_is_room_for_what_was_asked_for() {
        for end in 4096..4096 + 32 {
            let pad = Scratchpad::above(end, 3).unwrap();
            assert!(pad.address >= end && pad.array() + pad.room <= end + Scratchpad::space(3));
            assert_eq!(pad.array() % 16, 0);
        }
        assert_eq!((Scratchpad::above(4096, LARGEST + 1), Scratchpad::space(LARGEST + 1)), (None, 0));
    }
}
