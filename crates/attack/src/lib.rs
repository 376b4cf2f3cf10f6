//! envward-attack
