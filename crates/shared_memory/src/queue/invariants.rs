//! What must be true of a queue's region whenever nobody is in its section; for tests.

use std::collections::BTreeSet;

use super::blocks::{Blocks, Kind};
use super::journal::Transaction;
use super::layout::{
    FREE_LISTS, GOT_COUNT, HEADER_WORDS, HELD_LIST, JOURNAL_LENGTH, ORDERS, PUT_COUNT, RECORD_WORDS, TOP, USED_BYTES,
    WARM_BYTES, WARM_LISTS,
};
use super::log::walking::walk;
use super::section::Shared;

/// Panics unless every block is exactly one thing, every count is right, and every list holds what it should.
pub(super) fn check(shared: &Shared) {
    let section = shared.enter().unwrap();
    let mut change = section.change();
    assert_eq!(change.read(JOURNAL_LENGTH), 0);
    let (mut queued, mut held) = (BTreeSet::new(), BTreeSet::new());
    let mut lists = vec![BTreeSet::new(); 2 * ORDERS];
    let (mut used, mut warm, mut granule) = (0, 0, 0);
    while granule < change.read_index(TOP) {
        let state = change.read(HEADER_WORDS + granule * RECORD_WORDS);
        let resident = change.read(HEADER_WORDS + granule * RECORD_WORDS + 3);
        let order = (state & 0xff) as usize;
        used += resident;
        match state >> 8 {
            kind if kind == Kind::Free as u64 => {
                assert_eq!(resident, 0);
                lists[order].insert(granule);
            }
            kind if kind == Kind::Warm as u64 => {
                warm += resident;
                lists[ORDERS + order].insert(granule);
            }
            kind if kind == Kind::Held as u64 => assert!(held.insert(granule)),
            kind if kind == Kind::Queued as u64 => assert!(queued.insert(granule)),
            kind => panic!("block {granule} is of kind {kind}"),
        }
        assert_eq!(granule % (1 << order), 0);
        granule += 1 << order;
    }
    assert_eq!(granule as u64, change.read(TOP));
    assert_eq!((change.read(USED_BYTES), change.read(WARM_BYTES)), (used, warm));
    for order in 0..ORDERS {
        assert_eq!(list(&mut change, FREE_LISTS + order), lists[order], "free blocks of order {order}");
        assert_eq!(list(&mut change, WARM_LISTS + order), lists[ORDERS + order], "warm blocks of order {order}");
    }
    assert_eq!(list(&mut change, HELD_LIST), held);
    let (named, count) = walk(&mut change, shared.layout);
    let named_once: BTreeSet<_> = named.iter().copied().collect();
    assert_eq!(named_once.len(), named.len(), "a block is named twice by the log");
    assert_eq!(named_once, queued);
    assert_eq!(count, change.read(PUT_COUNT) - change.read(GOT_COUNT));
    change.check().unwrap();
}

fn list(change: &mut Transaction<'_>, head: usize) -> BTreeSet<usize> {
    let (mut blocks, mut previous, mut next) = (BTreeSet::new(), 0, change.read_index(head));
    while next != 0 {
        let block = next - 1;
        let links = change.read_index(HEADER_WORDS + block * RECORD_WORDS + 2);
        assert_eq!(links >> 32, previous, "a block's link back");
        assert!(blocks.insert(block), "a list with a circle");
        (previous, next) = (next, links & 0xffff_ffff);
    }
    blocks
}

/// Makes whoever holds blocks a process that is long dead.
pub(super) fn kill_holders(shared: &Shared) {
    const DEAD: u64 = 4_194_303 << 32 | 2;
    let section = shared.enter().unwrap();
    let mut change = section.change();
    let mut block = Blocks::new(&mut change, shared.layout).first_held();
    while let Some(held) = block {
        change.write(HEADER_WORDS + held * RECORD_WORDS + 1, DEAD);
        block = Blocks::new(&mut change, shared.layout).next_if_held(held);
    }
    change.commit().unwrap();
}
