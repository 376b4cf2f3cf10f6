//! The envward command.
fn main() {}
