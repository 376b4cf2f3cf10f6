//! envward-launch
