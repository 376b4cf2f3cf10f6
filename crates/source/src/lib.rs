//! envward-source
