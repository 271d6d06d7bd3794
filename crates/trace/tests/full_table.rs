//! More waits and names than the table has room for: counted, never a failure, and all room comes back.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod support;

use support::{Limit, wait};
use threefold_trace::read::snapshot;
use threefold_trace::{Reason, Text, begin, intern, object};

#[test]
fn what_finds_no_room_is_counted_and_the_room_comes_back() {
    let _limit = Limit::seconds(120);
    let own = std::process::id();
    let mut rows: Vec<_> = (0..65_536 + 10).map(|_| begin(&wait("crowd", Reason::Semaphore))).collect();
    assert_eq!(rows.iter().filter(|row| !row.is_shown()).count(), 10);
    let full = snapshot(own).unwrap();
    assert_eq!((full.waits.len(), full.not_shown_count), (65_536, 10));
    rows.truncate(65_535);
    let last = begin(&wait("last-1", Reason::Event));
    assert!(last.is_shown());
    assert!(snapshot(own).unwrap().waits.iter().any(|waiting| waiting.waiter.name == "last-1"));
    drop((rows, last));
    assert!(snapshot(own).unwrap().waits.is_empty());

    let objects: Vec<_> = (0..70_000).map(|number| object(16 * (number + 1))).collect();
    drop(objects);

    let long = "x".repeat(200);
    let texts: Vec<Text> = (0..30_000).map(|number| intern(&format!("{long}{number}"))).collect();
    assert_eq!(texts.last(), Some(&Text::NONE));
    assert_ne!(texts[0], Text::NONE);
    assert_eq!(intern(&format!("{long}0")), texts[0]);
    let _row = begin(&wait("crowd", Reason::Event));
    assert_eq!(snapshot(own).unwrap().waits[0].waiter.name, "crowd");
    threefold_trace::remove();
    assert!(!threefold_trace::path_of(own).exists());
}
