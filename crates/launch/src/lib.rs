//! Launching a program with secrets in its environment: the initial stack (pure), the
//! injection at the exec boundary, and the supervision of every exec in the tree.
#![forbid(unsafe_code)]

pub mod agent;
pub mod carry;
pub mod companion;
pub mod forwarding;
pub mod group;
pub mod image;
pub mod inject;
pub mod missing;
pub mod mode;
pub mod permit;
pub mod pristine;
pub mod remaining;
pub mod report;
pub mod scratchpad;
pub mod service;
pub mod stack;
pub mod start;
pub mod strings;
pub mod supervise;
pub mod tree;
