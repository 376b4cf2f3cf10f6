//! envward-secret
