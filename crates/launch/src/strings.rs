//! Strings of another process, read by the page into protected memory.
//!
//! Reading a string costs the kernel a walk to its page whatever its length, and environment
//! strings lie close together, so every page that holds one is read once.

use envward_kernel::memory::page_size;
use envward_kernel::remote_memory::{self, Range};

/// How many pages are looked at together.
pub const PAGES: usize = 8;

/// A window on the strings of process `tid`: some of its pages, in a buffer of protected
/// memory that is [`PAGES`] pages long.
#[derive(Debug)]
pub struct Window<'a> {
    tid: i32,
    buffer: &'a mut [u8],
    /// Addresses of the pages in the buffer, and whether they could be read.
    pages: Vec<(usize, bool)>,
}

impl<'a> Window<'a> {
    /// A window that shows nothing yet.
    #[must_use]
    pub const fn new(tid: i32, buffer: &'a mut [u8]) -> Self {
        Self { tid, buffer, pages: Vec::new() }
    }

    /// Moves the window to the strings that start at the first of `addresses`, which are
    /// sorted, so that `reach` bytes of each are in it where they can be read. Returns how
    /// many it covers, at least one.
    ///
    /// `reach` is at most a page.
    pub fn move_to(&mut self, addresses: &[usize], reach: usize) -> usize {
        let page = page_size();
        // A later position may use fewer pages of the buffer than this one.
        self.wipe();
        let mut covered = 0;
        for &address in addresses {
            let (first, last) = (address - address % page, address + reach - 1);
            let last = last - last % page;
            let known = |wanted| self.pages.last().is_some_and(|(known, _)| *known >= wanted);
            let more = usize::from(!known(first)) + usize::from(first != last && !known(last));
            if self.pages.len() + more > PAGES {
                break;
            }
            for wanted in [first, last] {
                if self.pages.last().is_none_or(|(known, _)| *known < wanted) {
                    self.pages.push((wanted, false));
                }
            }
            covered += 1;
        }
        self.fill();
        covered
    }

    fn fill(&mut self) {
        let page = page_size();
        let mut next = 0;
        while next < self.pages.len() {
            let ranges: Vec<Range> =
                self.pages[next..].iter().map(|(address, _)| Range { address: *address, length: page }).collect();
            let buffer = &mut self.buffer[next * page..self.pages.len() * page];
            let read = remote_memory::read_ranges(self.tid, &ranges, buffer).unwrap_or(0) / page;
            for (_, readable) in &mut self.pages[next..next + read] {
                *readable = true;
            }
            // The one after those could not be read; go on behind it.
            next += read + 1;
        }
    }

    /// What the window shows from `address` on: up to the end of the string if it is in sight.
    #[must_use]
    pub fn text(&self, address: usize) -> Text<'_> {
        let page = page_size();
        let base = address - address % page;
        let Ok(first) = self.pages.binary_search_by_key(&base, |(address, _)| *address) else {
            return Text { bytes: &[], complete: false };
        };
        let mut end = first;
        while self.pages.get(end).is_some_and(|(at, readable)| *readable && *at == base + (end - first) * page) {
            end += 1;
        }
        let shown = self.buffer.get(first * page + address % page..end * page).unwrap_or(&[]);
        match shown.iter().position(|byte| *byte == 0) {
            Some(length) => Text { bytes: &shown[..length], complete: true },
            None => Text { bytes: shown, complete: false },
        }
    }

    /// Whether the string at `address`, which was not in sight to its end, is `expected`.
    pub fn equals(&mut self, address: usize, expected: &[u8]) -> bool {
        let page = page_size();
        let mut matched = 0;
        self.wipe();
        loop {
            let next = address + matched;
            let length = page - next % page;
            let bytes = &mut self.buffer[..length];
            if !remote_memory::read(self.tid, next, bytes).is_ok_and(|read| read == length) {
                return false;
            }
            let rest = &expected[matched..];
            if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
                return bytes[..end] == *rest;
            }
            if !rest.starts_with(bytes) {
                return false;
            }
            matched += length;
        }
    }

    /// Wipes what the window shows.
    pub fn wipe(&mut self) {
        let shown = self.pages.len().max(1) * page_size();
        self.buffer[..shown].fill(0);
        // The next use reads it, so the compiler keeps this.
        std::hint::black_box(&self.buffer);
        self.pages.clear();
    }
}

/// The beginning of a string, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// Its bytes, without the final NUL.
    pub bytes: &'a [u8],
    /// Whether that is all of it.
    pub complete: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> i32 {
        envward_kernel::process::id()
    }

    /// An arena of `pages` pages and one before that belongs to it as well.
    fn arena(pages: usize) -> Vec<u8> {
        vec![b'x'; (pages + 1) * page_size()]
    }

    fn start_of_page(arena: &[u8]) -> usize {
        let address = arena.as_ptr() as usize;
        address.next_multiple_of(page_size()) - address
    }

    #[test]
    fn strings_are_shown_across_pages_up_to_their_end() {
        let mut arena = arena(4);
        let page = start_of_page(&arena);
        let texts: [(usize, &[u8]); 3] = [
            (page + 10, b"ONE=first\0"),
            (page + page_size() - 5, b"TWO=across pages\0"),
            (page + 2 * page_size(), b"\0"),
        ];
        for (at, text) in texts {
            arena[at..at + text.len()].copy_from_slice(text);
        }
        let mut buffer = vec![0; PAGES * page_size()];
        let mut window = Window::new(here(), &mut buffer);
        let addresses = texts.map(|(at, _)| arena.as_ptr() as usize + at);
        assert_eq!(window.move_to(&addresses, 64), 3);
        for ((_, text), address) in texts.iter().zip(addresses) {
            assert_eq!(window.text(address), Text { bytes: &text[..text.len() - 1], complete: true });
        }
        assert!(window.equals(addresses[1], b"TWO=across pages"));
        assert!(!window.equals(addresses[1], b"TWO=across page"));
        assert!(!window.equals(addresses[1], b"TWO=across pages!"));
        assert!(!window.equals(addresses[1], b"TWO=bcross pages"));
    }

    #[test]
    fn long_strings_are_shown_in_part_and_compared_to_their_end() {
        let mut arena = arena(20);
        let page = start_of_page(&arena);
        let end = page + 15 * page_size() + 77;
        arena[end] = 0;
        let mut buffer = vec![0; PAGES * page_size()];
        let mut window = Window::new(here(), &mut buffer);
        let address = arena.as_ptr() as usize + page + 3;
        assert_eq!(window.move_to(&[address], 64), 1);
        let text = window.text(address);
        assert!(!text.complete && text.bytes.len() == page_size() - 3);
        assert!(window.equals(address, &arena[page + 3..end]));
        let mut other = arena[page + 3..end].to_vec();
        other[9 * page_size()] = b'y';
        assert!(!window.equals(address, &other));
        assert!(!window.equals(address, &arena[page + 3..end - 1]));
    }

    #[test]
    fn the_window_moves_on_when_it_is_full_and_unreadable_pages_show_nothing() {
        let mut arena = arena(40);
        let page = start_of_page(&arena);
        let base = arena.as_ptr() as usize + page;
        for number in 0..20 {
            arena[page + 2 * number * page_size() + 5] = 0;
        }
        let mut addresses: Vec<usize> = (0..20).map(|number| base + 2 * number * page_size()).collect();
        addresses.insert(0, 4096);
        let mut buffer = vec![0; PAGES * page_size()];
        let mut window = Window::new(here(), &mut buffer);
        let (mut done, mut seen) = (0, 0);
        while done < addresses.len() {
            let covered = window.move_to(&addresses[done..], 64);
            assert!((1..=PAGES).contains(&covered));
            for address in &addresses[done..done + covered] {
                let text = window.text(*address);
                assert_eq!(text.complete, *address != 4096);
                seen += usize::from(text.bytes == b"xxxxx");
            }
            done += covered;
        }
        assert_eq!(seen, 20);
    }
}
