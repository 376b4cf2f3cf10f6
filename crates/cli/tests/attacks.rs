//! Every attack that needs no kernel module of its own, made by the user's other
//! processes, by another user and by root, on a plain process and on one behind
//! envward in each mode. SECURITY.md is the table of what these tests show.
//!
//! A plain process comes first: a route that does not leak there proves nothing.
//! What leaks in spite of envward is asserted to leak, so that the table stays
//! true in that direction too.

#![allow(clippy::expect_used, clippy::panic, reason = "a test says what went wrong by ending")]

mod stage;

mod attacks {
    mod debugger;
    mod exec;
    mod promise;
    mod racer;
    mod routes;
    mod start;
    mod supervisor;
    mod victim;
    mod window;
}
