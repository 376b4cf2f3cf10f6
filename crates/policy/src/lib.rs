//! envward-policy
