//! Protected memory: regions that nobody else can read, and the vault that
//! holds the `NAME=value` entries of a program's environment in one.
//!
//! * [`Backing`] says which memory protects the bytes, and whether this
//!   machine offers it.
//! * [`Region`] is a piece of it between two guard pages, wiped on drop;
//!   [`Delivery`] is one that another process is to map.
//! * [`SecretBuf`] reads a file or pipe straight into protected memory.
//! * [`confined`] runs a task in a short-lived process whose stack and heap
//!   ([`Heap`]) are protected memory.
//! * [`Vault`] holds the entries, [`EntryWriter`] builds one piece by piece.
//!
//! Bytes enter through `read(2)`, through [`EntryWriter::push`] or through a
//! mutable slice, and leave only as borrowed slices or as the descriptor of a
//! delivery. No type here can be cloned, `Debug` shows sizes, and no error
//! holds a byte of a value. Names of variables and descriptions of where they
//! come from are not secret and live in ordinary memory.
//!
//! **Fork.** A forked child does not have the regions: touching or dropping
//! one there is a fault. A child that is to run a program goes straight to
//! `execve`.

mod backing;
mod buffer;
pub mod confined;
mod error;
mod heap;
mod region;
mod vault;

pub use backing::Backing;
pub use buffer::{ReadError, SecretBuf};
pub use error::{RegionError, Step};
pub use heap::Heap;
pub use region::{Delivery, Parcel, Region};
pub use vault::{
    Arena, Entries, Entry, EntryWriter, MAX_ENTRY, NameProblem, PackedVault, ROOM_BEHIND, Vault, VaultError,
};
