//! With memfd_secret, and without: what is promised where the kernel has it, the refusal where
//! it has not, and what is left of the promise by best effort.

use envward_guest::{Fact, Guest};

use super::victim::Attacker::{OtherUser, Root, SameUser};
use super::victim::Verdict::{Denied, Leaked, NotFound};
use super::victim::{Verdict, Victim};
use crate::scope::Compared;
use crate::stage::case::{ALL, Case, FULL_USER, SEALED, SUPERVISED};

const BEST_EFFORT: [&str; 2] = ["--best-effort", "memfd_secret"];

#[test]
fn the_kernel_is_what_the_boot_promises() {
    let guest = Guest::here();
    for fact in Fact::ALL {
        assert_eq!(fact.holds(), guest.offers(fact), "{}", fact.name());
    }
    guest.figure(&format!("{}, memfd_secret: {}", guest.release(), guest.offers(Fact::MemfdSecret)));
}

#[test]
fn without_memfd_secret_nothing_starts_unless_best_effort_is_named() {
    let has_it = Guest::here().offers(Fact::MemfdSecret);
    for case in ALL {
        let compared = Compared::new(&case, &[]);
        match has_it {
            true => compared.expect_delivery(&case),
            false => compared.expect_refusal(&case, &["memfd_secret", "secretmem.enable=1", "--best-effort"]),
        }
    }
}

#[test]
fn best_effort_says_what_it_got() {
    let has_it = Guest::here().offers(Fact::MemfdSecret);
    for case in ALL {
        let compared = Compared::new(&case, &["--best-effort", "memfd_secret", "--verbose"]);
        compared.expect_delivery(&case);
        let said = compared.output.err.join("\n");
        let level = if has_it { "memfd_secret: yes" } else { "memfd_secret: no" };
        assert!(said.contains(level), "{}: {said}", case.name);
        assert_eq!(said.contains("without memfd_secret"), !has_it, "{}: {said}", case.name);
    }
}

/// The verdicts for the same user, another user and root.
fn attacked(case: &Case, route: &str) -> [Verdict; 3] {
    let victim = Victim::launch(case, &[], "hold", |start| BEST_EFFORT.iter().fold(start, |s, word| s.option(*word)));
    [SameUser, OtherUser, Root].map(|attacker| victim.attacked(route, attacker))
}

#[test]
fn environ_is_clean_with_either_memory() {
    for (case, own) in [(SUPERVISED, NotFound), (SEALED, Denied), (FULL_USER, Denied)] {
        assert_eq!(attacked(&case, "environ"), [own, Denied, NotFound], "{}", case.name);
    }
}

#[test]
fn memory_is_closed_to_root_only_by_memfd_secret() {
    let read = if Guest::here().offers(Fact::MemfdSecret) { NotFound } else { Leaked };
    for (case, own) in [(SUPERVISED, read), (SEALED, Denied), (FULL_USER, Denied)] {
        for route in ["memory", "remote-read", "trace-peek"] {
            assert_eq!(attacked(&case, route), [own, Denied, read], "{}: {route}", case.name);
        }
    }
}
