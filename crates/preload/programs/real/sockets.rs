//! Safe code of the 2021 edition: name resolution in one thread, changes of the environment in
//! another.

use std::net::ToSocketAddrs;
use std::time::{Duration, Instant};

fn main() {
    let end = Instant::now() + Duration::from_secs(5);
    for _ in 0..3 {
        std::thread::spawn(|| {
            loop {
                let _ = ("localhost", 80).to_socket_addrs();
            }
        });
    }
    while Instant::now() < end {
        for at in 0..1000 {
            std::env::set_var(format!("GROW_{at}"), "value");
            if at % 50 == 0 {
                // Memory that was used and given back: the array of libc grows into it.
                drop((0..4).map(|_| vec![0xfb_u8; 20000]).collect::<Vec<_>>());
            }
        }
        for at in 0..1000 {
            std::env::remove_var(format!("GROW_{at}"));
        }
    }
}
