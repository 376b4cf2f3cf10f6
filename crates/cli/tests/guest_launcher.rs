//! `envward run` on the kernels of Debian, under every setting of Yama.

#![allow(clippy::expect_used, clippy::panic, reason = "a test says what went wrong by ending")]

use envward_guest::{Fact, Guest};

#[test]
fn the_kernel_is_what_the_boot_promises() {
    let guest = Guest::here();
    for fact in Fact::ALL {
        assert_eq!(fact.holds(), guest.offers(fact), "{}", fact.name());
    }
    guest.figure(&guest.release());
}
