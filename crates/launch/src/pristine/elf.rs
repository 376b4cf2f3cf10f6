//! What the kernel makes of an ELF file: which of its bytes are mapped where
//! ([elf(5)](https://man7.org/linux/man-pages/man5/elf.5.html)).

use std::ops::Range;

/// The bytes at the start of a file that tell where its program headers are.
pub(super) const HEADER_SIZE: usize = 64;

const PT_LOAD: u64 = 1;
const PT_INTERP: u64 = 3;

/// Where the program headers of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    wide: bool,
    entry: u64,
    /// Offset of the program headers.
    pub(super) offset: u64,
    /// Their length together.
    pub(super) length: usize,
}

impl Header {
    /// Reads the start of a file; `None` when it is no ELF file for x86.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(b"\x7fELF") {
            return None;
        }
        let wide = match bytes.get(4)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let count = number(bytes, if wide { 56 } else { 44 }, 2)? as usize;
        let size = if wide { 8 } else { 4 };
        Some(Self {
            wide,
            entry: number(bytes, 24, size)?,
            offset: number(bytes, 24 + size, size)?,
            length: count * if wide { 56 } else { 32 },
        })
    }
}

/// A part of a file that is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Load {
    offset: u64,
    address: u64,
    in_file: u64,
    in_memory: u64,
}

/// How a file is mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Where the program starts, before it is moved.
    pub(super) entry: u64,
    loads: Vec<Load>,
    /// Where the path of the interpreter is in the file.
    pub(super) interpreter: Option<Range<u64>>,
    /// Addresses wrap around at the end of the address space.
    mask: u64,
}

impl Layout {
    /// Reads program headers.
    pub(super) fn parse(header: &Header, programs: &[u8]) -> Option<Self> {
        let (each, size) = if header.wide { (56, 8) } else { (32, 4) };
        let mask = if header.wide { u64::MAX } else { u64::from(u32::MAX) };
        let mut layout = Self { entry: header.entry, loads: Vec::new(), interpreter: None, mask };
        for program in programs.get(..header.length)?.chunks_exact(each) {
            let field = |wide: usize, narrow: usize| number(program, if header.wide { wide } else { narrow }, size);
            let (offset, address) = (field(8, 4)?, field(16, 8)?);
            let (in_file, in_memory) = (field(32, 16)?, field(40, 20)?);
            match number(program, 0, 4)? {
                PT_LOAD => layout.loads.push(Load { offset, address, in_file, in_memory }),
                PT_INTERP => layout.interpreter = Some(offset..offset.checked_add(in_file)?),
                _ => {}
            }
        }
        Some(layout)
    }

    /// Whether the page at `address` is this file's page at `offset`, when the file is moved by
    /// `bias`; if so, from which byte on the kernel has cleared it (the page size for none):
    /// where the data of the file end within a page, empty data begin.
    pub(super) fn cleared_from(&self, bias: u64, address: u64, offset: u64, page_size: usize) -> Option<usize> {
        let page = page_size as u64;
        let within = |load: &Load| {
            let start = bias.wrapping_add(load.address) & self.mask;
            let (first, end) = (start & !(page - 1), start.checked_add(load.in_file)?);
            let first_offset = load.offset & !(page - 1);
            let covers = (first..end).contains(&address) && offset == first_offset + (address - first);
            covers.then(|| if load.in_memory > load.in_file { (end - address).min(page) as usize } else { page_size })
        };
        // The last one was mapped over the others.
        self.loads.iter().rev().find_map(within)
    }

    /// The addresses of the pages in which data of the file end and empty data begin, when the
    /// file is moved by `bias`.
    pub(super) fn last_pages(&self, bias: u64, page_size: usize) -> impl Iterator<Item = u64> {
        let page = page_size as u64;
        let partly_empty = self.loads.iter().filter(|load| load.in_memory > load.in_file && load.in_file > 0);
        partly_empty.map(move |load| {
            let last = bias.wrapping_add(load.address).wrapping_add(load.in_file - 1) & self.mask;
            last & !(page - 1)
        })
    }
}

fn number(bytes: &[u8], start: usize, size: usize) -> Option<u64> {
    let mut word = [0; 8];
    word[..size].copy_from_slice(bytes.get(start..start.checked_add(size)?)?);
    Some(u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 4096;

    fn file(wide: bool, programs: &[[u64; 5]]) -> (Vec<u8>, Vec<u8>) {
        let (size, each) = if wide { (8, 56) } else { (4, 32) };
        let put = |bytes: &mut [u8], at: usize, value: u64, size: usize| {
            bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        };
        let mut header = vec![0; HEADER_SIZE];
        header[..4].copy_from_slice(b"\x7fELF");
        header[4] = if wide { 2 } else { 1 };
        put(&mut header, 24, 0x1040, size);
        put(&mut header, 24 + size, 64, size);
        put(&mut header, if wide { 56 } else { 44 }, programs.len() as u64, 2);
        let mut table = vec![0; programs.len() * each];
        for (chunk, &[kind, offset, address, in_file, in_memory]) in table.chunks_mut(each).zip(programs) {
            put(chunk, 0, kind, 4);
            for (value, (wide_at, narrow_at)) in
                [offset, address, in_file, in_memory].into_iter().zip([(8, 4), (16, 8), (32, 16), (40, 20)])
            {
                put(chunk, if wide { wide_at } else { narrow_at }, value, size);
            }
        }
        (header, table)
    }

    #[test]
    fn the_page_where_empty_data_begin_is_found() {
        let programs = [
            [PT_INTERP, 0x318, 0x318, 28, 28],
            [PT_LOAD, 0, 0, 0x2100, 0x2100],
            [PT_LOAD, 0x2d90, 0x3d90, 0x280, 0x9000],
        ];
        for (wide, bias) in [(true, 0x5555_5555_4000), (false, 0x5655_5000)] {
            let (header, table) = file(wide, &programs);
            let header = Header::parse(&header).unwrap();
            assert_eq!((header.offset, header.length), (64, table.len()));
            let layout = Layout::parse(&header, &table).unwrap();
            assert_eq!((layout.entry, layout.interpreter.clone()), (0x1040, Some(0x318..0x318 + 28)));
            let at = |address: u64, offset| layout.cleared_from(bias, bias + address, offset, PAGE);
            assert_eq!(at(0, 0), Some(PAGE));
            assert_eq!(at(0x2000, 0x2000), Some(PAGE), "no empty data in this part");
            assert_eq!(at(0x3000, 0x2000), Some(PAGE));
            assert_eq!(at(0x4000, 0x3000), Some(0x10));
            assert_eq!(at(0x4000, 0x2000), None, "another page of the file");
            assert_eq!(at(0x5000, 0x4000), None, "behind the file");
            assert_eq!(layout.cleared_from(bias + 0x10_0000, bias, 0, PAGE), None);
            assert_eq!(layout.last_pages(bias, PAGE).collect::<Vec<_>>(), [bias + 0x4000]);
        }
    }

    #[test]
    fn narrow_addresses_wrap() {
        let (header, table) = file(false, &[[PT_LOAD, 0, 0xf000_0000, 0x1000, 0x1000]]);
        let layout = Layout::parse(&Header::parse(&header).unwrap(), &table).unwrap();
        let bias = 0x5000_0000_u64.wrapping_sub(0xf000_0000);
        assert_eq!(layout.cleared_from(bias, 0x5000_0000, 0, PAGE), Some(PAGE));
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert_eq!(Header::parse(b"#!/bin/sh\n"), None);
        assert_eq!(Header::parse(b"\x7fELF\x02"), None);
        let (header, table) = file(true, &[[PT_LOAD, 0, 0, 1, 1]]);
        assert_eq!(Layout::parse(&Header::parse(&header).unwrap(), &table[..55]), None);
        assert_eq!(Header::parse(&header[..40]), None);
    }
}
