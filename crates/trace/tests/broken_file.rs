//! Files that are cut, scribbled over, of another version or no table at all: a sentence, never a panic.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod support;

use std::sync::OnceLock;

use proptest::prelude::*;
use support::{Limit, nowhere, own_bytes, set_word, wait};
use threefold_sys::clock::Instant;
use threefold_trace::read::{ReadError, Snapshot, from_bytes};
use threefold_trace::{Owner, Reason, Wait, begin, intern, object, report};

/// The first word of a row and what is used of the file, in words; see `docs/reference/wait-table.md`.
const FIRST_WAIT: usize = 512;
const FIRST_OBJECT: usize = FIRST_WAIT + 65_536 * 8;
const FIRST_THREAD: usize = FIRST_OBJECT + 65_536 * 4;
const FIRST_TEXT: usize = FIRST_THREAD + 65_536 * 4;

/// A table with a few waits in it.
fn sample() -> &'static [u8] {
    static SAMPLE: OnceLock<Vec<u8>> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let lock = object(0xabc0);
        lock.set_holder(Owner::thread());
        let behind =
            Wait { object_row: Some(&lock), site: intern("app.py:31"), ..wait("Thread-5 (work)", Reason::Lock) };
        let rows =
            [begin(&behind), begin(&wait("MainThread", Reason::Event)), begin(&wait("Task-6", Reason::Shutdown))];
        let bytes = own_bytes().0;
        drop(rows);
        bytes
    })
}

fn read(bytes: &[u8]) -> Result<Snapshot, ReadError> {
    from_bytes(bytes, nowhere(), Instant::now())
}

fn sentence(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

#[test]
fn the_whole_file_reads() {
    let _limit = Limit::seconds(20);
    assert_eq!(read(sample()).unwrap().waits.len(), 3);
}

#[test]
fn a_file_cut_anywhere_says_so() {
    let _limit = Limit::seconds(60);
    for length in (0..8 * FIRST_WAIT + 8 * 64).chain((0..sample().len()).step_by(4093)) {
        let told = sentence(&sample()[..length]);
        let expected = match length {
            1..8 => "/somewhere/7.waits is not a threefold wait table".to_owned(),
            _ => format!("/somewhere/7.waits is cut short at byte {length}"),
        };
        assert_eq!(told, expected);
    }
}

#[test]
fn a_foreign_file_and_another_version_are_named() {
    let _limit = Limit::seconds(20);
    assert_eq!(sentence(&vec![7; sample().len()]), "/somewhere/7.waits is not a threefold wait table");
    let mut bytes = sample().to_vec();
    set_word(&mut bytes, 1, 2);
    let told = "/somewhere/7.waits was written by version 2 of the format; this threefold reads version 1";
    assert_eq!(sentence(&bytes), told);
}

#[test]
fn counts_that_cannot_be_are_damage() {
    let _limit = Limit::seconds(20);
    for word in 8..12 {
        let mut bytes = sample().to_vec();
        set_word(&mut bytes, word, u64::MAX);
        assert!(sentence(&bytes).starts_with("/somewhere/7.waits is damaged: it says that 18446744073709551615 "));
    }
}

#[test]
fn a_row_left_half_written_by_a_killed_writer_is_counted_and_not_shown() {
    let _limit = Limit::seconds(20);
    let mut bytes = sample().to_vec();
    set_word(&mut bytes, FIRST_WAIT, 7);
    let seen = read(&bytes).unwrap();
    assert_eq!((seen.waits.len(), seen.unreadable_count), (2, 1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bits_never_break_the_reader_or_the_reports(
        flips in prop::collection::vec((prop::sample::select(vec![0, FIRST_WAIT, FIRST_OBJECT, FIRST_THREAD, FIRST_TEXT]), 0..64_usize, 0..64_u32), 1..40)
    ) {
        let mut bytes = sample().to_vec();
        for (region, word, bit) in flips {
            bytes[(region + word) * 8 + bit as usize / 8] ^= 1 << (bit % 8);
        }
        if let Ok(seen) = read(&bytes) {
            let _text = report::text(std::slice::from_ref(&seen));
            let _json = report::json(&[seen]);
        }
    }

    #[test]
    fn any_words_in_the_rows_never_break_the_reader(words in prop::collection::vec(any::<u64>(), 64), threads in prop::collection::vec(any::<u64>(), 64), texts in prop::collection::vec(any::<u64>(), 64)) {
        let mut bytes = sample().to_vec();
        for used in [8, 9, 10, 11] {
            set_word(&mut bytes, used, 64);
        }
        for (first, values) in [(FIRST_WAIT, &words), (FIRST_THREAD, &threads), (FIRST_TEXT, &texts)] {
            for (place, &value) in values.iter().enumerate() {
                set_word(&mut bytes, first + place, value);
            }
        }
        let seen = read(&bytes).unwrap();
        let _text = report::text(std::slice::from_ref(&seen));
        let _json = report::json(&[seen]);
    }

    #[test]
    fn any_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..6000)) {
        prop_assert!(read(&bytes).is_err());
    }
}
