//! With memfd_secret, and without: what is promised where the kernel has it, the refusal where
//! it has not, and what is left of the promise by best effort.

use envward_guest::{Fact, Guest};

use super::victim::Attacker::{OtherUser, Root, SameUser};
use super::victim::Verdict::{Denied, Leaked, NotFound};
use super::victim::Victim;
use crate::scope::Compared;
use crate::stage::case::{ALL, FULL_USER, SEALED, SUPERVISED};
use crate::stage::job::Start;

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

#[test]
fn environ_is_clean_with_either_memory_and_memory_is_closed_by_memfd_secret() {
    // Without it, the strings lie in locked memory, which whoever may read the program reads.
    let read = if Guest::here().offers(Fact::MemfdSecret) { NotFound } else { Leaked };
    let routes = ["environ", "memory", "remote-read", "trace-peek"];
    for (case, own) in [(SUPERVISED, [NotFound, read, read, read]), (SEALED, [Denied; 4]), (FULL_USER, [Denied; 4])] {
        let options = |start| ["--best-effort", "memfd_secret"].into_iter().fold(start, Start::option);
        let victim = Victim::launch(&case, &[], "hold", options);
        assert_eq!(victim.attacked_by_each(&routes, SameUser), own, "{}", case.name);
        assert_eq!(victim.attacked_by_each(&routes, OtherUser), [Denied; 4], "{}", case.name);
        assert_eq!(victim.attacked_by_each(&routes, Root), [NotFound, read, read, read], "{}", case.name);
    }
}
