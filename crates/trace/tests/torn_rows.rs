//! Rows that change while they are read: the reader shows each as it stood at one moment, never a mixture of two.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use support::{Limit, wait};
use threefold_trace::read::snapshot;
use threefold_trace::{Reason, Wait, begin, intern};

#[test]
fn a_row_is_read_whole_or_not_at_all() {
    let _limit = Limit::seconds(60);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // Everything in a row of the first kind is odd, in one of the second kind even.
                let kinds = [("kind-1", "app.py:1", 0x11), ("kind-2", "app.py:2", 0x22)]
                    .map(|(name, site, object)| Wait { site: intern(site), object, ..wait(name, Reason::Lock) });
                while !is_over.load(Ordering::Relaxed) {
                    for kind in &kinds {
                        drop(begin(kind));
                    }
                }
            });
        }
        let _first = begin(&wait("reader", Reason::Other));
        let mut seen_count = 0;
        for _ in 0..3000 {
            for waiting in snapshot(std::process::id()).unwrap().waits {
                let parts = (waiting.waiter.name.as_str(), waiting.site.as_str(), waiting.object);
                assert!(
                    matches!(
                        parts,
                        ("kind-1", "app.py:1", 0x11) | ("kind-2", "app.py:2", 0x22) | ("reader", "", 0xabc0)
                    ),
                    "{parts:?}"
                );
                seen_count += usize::from(waiting.waiter.name != "reader");
            }
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(seen_count > 0, "no changing row was ever seen");
    });
}
