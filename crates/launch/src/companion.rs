//! Keeping the supervisor and the program that it works on together on one CPU.
//!
//! An exec with secrets costs about nine hand-overs between the two. On one CPU a hand-over
//! is a context switch; between two it is an interrupt to a sleeping CPU, several times as
//! dear. So both are bound to one CPU for as long as it takes, which is less than the
//! scheduler's smallest slice, and released before the program runs.

use envward_kernel::sched::{self, CpuSet};

/// Where the supervisor may run when it works with nobody.
#[derive(Debug)]
pub struct Home {
    ours: CpuSet,
    /// All CPUs of our cpuset.
    all: CpuSet,
}

impl Home {
    /// Finds out where we may run.
    #[must_use]
    pub fn new() -> Self {
        let ours = sched::affinity(0).unwrap_or(CpuSet::ALL);
        // Only the kernel knows how much of our restriction is the cpuset's.
        let all = match sched::set_affinity(0, &CpuSet::ALL) {
            Ok(()) => sched::affinity(0).unwrap_or(CpuSet::ALL),
            Err(_) => ours,
        };
        let home = Self { ours, all };
        if home.all != home.ours {
            home.come_back(true);
        }
        home
    }

    /// Binds us to the CPU that we run on, so that a program which is started now is bound to
    /// it as well.
    pub fn settle_here(&self) -> Companion {
        let Some(cpu) = sched::current_cpu() else { return Companion(None) };
        if self.ours.count() < 2 || sched::set_affinity(0, &CpuSet::only(cpu)).is_err() {
            return Companion(None);
        }
        Companion(Some(self.ours))
    }

    /// Lets us run anywhere again, when nobody is bound to us any more.
    pub fn come_back(&self, alone: bool) {
        if alone {
            // Failure leaves us where we are, which is slower and nothing else.
            let _ = sched::set_affinity(0, &self.unbound(self.ours));
        }
    }

    /// A task that was allowed every CPU of the cpuset is given every CPU there is, as it was
    /// before: if the cpuset grows, so will the task's mask.
    fn unbound(&self, set: CpuSet) -> CpuSet {
        if set == self.all { CpuSet::ALL } else { set }
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

/// A program that is bound to our CPU for the moment.
#[derive(Debug)]
#[must_use = "release it"]
pub struct Companion(Option<CpuSet>);

impl Companion {
    /// Binds program `tid`, which does not run, and ourselves to the CPU that we run on. Where
    /// that is not allowed, nothing is bound and all is slower.
    pub fn pin(tid: i32) -> Self {
        let (Some(cpu), Ok(program)) = (sched::current_cpu(), sched::affinity(tid)) else { return Self(None) };
        let here = CpuSet::only(cpu);
        if program.count() < 2 || sched::set_affinity(tid, &here).is_err() {
            return Self(None);
        }
        let _ = sched::set_affinity(0, &here);
        Self(Some(program))
    }

    /// Lets the program run where it might before.
    pub fn release(self, tid: i32, home: &Home) {
        if let Some(program) = self.0 {
            let _ = sched::set_affinity(tid, &home.unbound(program));
        }
    }
}
