//! Iteration over one instant.

use std::fmt;
use std::iter::FusedIterator;

use crate::process::environment;
use crate::variable::Variable;

/// An iteration over the variables as they were when it began. While it is open the table
/// recycles no memory, so do not keep one for ever.
pub struct Iter(*mut envward_table::Iter);

// SAFETY: an iteration may be used by any thread, one at a time.
unsafe impl Send for Iter {}

impl Iter {
    pub(crate) fn new() -> Self {
        let iter = environment().iterate();
        if iter.is_null() {
            // As the standard collections do when there is no memory.
            std::alloc::handle_alloc_error(std::alloc::Layout::new::<envward_table::Iter>());
        }
        Self(iter)
    }
}

impl Iterator for Iter {
    type Item = Variable;

    fn next(&mut self) -> Option<Variable> {
        // SAFETY: open until it is dropped; `&mut` excludes other threads.
        let entry = unsafe { environment().next_entry(self.0) };
        // SAFETY: not null means an entry with `=`, held for us.
        (!entry.is_null()).then(|| unsafe { Variable::new(entry) })
    }
}

impl FusedIterator for Iter {}

impl Drop for Iter {
    fn drop(&mut self) {
        // SAFETY: opened in `new`, closed once.
        unsafe { environment().close(self.0) };
    }
}

impl fmt::Debug for Iter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Iter(..)")
    }
}
