//! The agent: BPF programs that deny and report who reads another process's environment or
//! memory, and what loads them and listens to them.
//!
//! * [`layout`]: what the programs and the loader both know
//! * [`config`]: the configuration file
//! * [`event`]: what the programs tell
//! * [`flood`]: what is told of what happens again and again
//! * [`guard`]: the programs, loaded
//! * [`matrix`]: ids of MITRE ATT&CK
//! * [`output`]: where events go
//! * [`pins`]: what outlives the agent
//! * [`process`]: processes and files in the kernel's terms
//! * [`prove`]: attacks on ourselves
//! * [`recipe`]: what events mean
//! * [`report`]: events as others read them
//! * [`socket`]: where `envward run` registers
//! * [`teller`]: from the ring to the outputs
#![forbid(unsafe_code)]

pub mod config;
pub mod event;
pub mod flood;
pub mod guard;
pub mod layout;
pub mod matrix;
pub mod output;
pub mod pins;
pub mod process;
pub mod prove;
pub mod recipe;
pub mod report;
pub mod socket;
pub mod teller;
