//! The local time in one thread, changes of the environment in another (CVE-2020-26235).

use std::time::{Duration, Instant};

fn main() {
    let end = Instant::now() + Duration::from_secs(5);
    std::thread::spawn(|| loop {
        let _ = time::UtcOffset::try_current_local_offset();
    });
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
