//! A time limit for a test.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use threefold_sys::clock::Instant;
use threefold_sys::futex;

/// Ends the whole test program when it is not dropped in time.
pub struct Limit(Arc<AtomicU32>);

impl Limit {
    pub fn seconds(seconds: u64) -> Self {
        let over = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&over);
        let deadline = Instant::now().after(Duration::from_secs(seconds));
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        std::thread::spawn(move || {
            while seen.load(Ordering::Acquire) == 0 {
                if futex::wait(&seen, 0, Some(deadline)) == futex::Woke::TimedOut {
                    let _unseen = writeln!(std::io::stderr(), "{name} took longer than {seconds} s");
                    std::process::abort();
                }
            }
        });
        Self(over)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        self.0.store(1, Ordering::Release);
        futex::wake(&self.0);
    }
}
