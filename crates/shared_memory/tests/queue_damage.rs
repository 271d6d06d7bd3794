//! A region that is not what it should be is refused or reported, and never brings a process down.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[path = "../../wait/tests/support/limit.rs"]
#[allow(unreachable_pub, reason = "the same file serves the other test programs")]
mod limit;

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use limit::Limit;
use proptest::prelude::*;
use threefold_shared_memory::Region;
use threefold_shared_memory::queue::{Message, Options, Queue, QueueError};

const OPTIONS: Options = Options { message_cap: None, byte_cap: 8 << 20 };
const CAPACITY: usize = 64 << 20;

fn descriptor(queue: &Queue) -> OwnedFd {
    queue.descriptor().try_clone_to_owned().unwrap()
}

/// The words of a queue's region, for somebody who writes over them.
fn vandal(queue: &Queue) -> Region {
    Region::attach(descriptor(queue), CAPACITY).unwrap()
}

#[test]
fn what_is_not_a_queue_is_refused() {
    let _limit = Limit::seconds(20);
    let program = std::fs::File::open("/proc/self/exe").unwrap();
    assert!(matches!(Queue::attach(program.into()), Err(QueueError::NotAQueue)));
    let (socket, _other_end) = std::os::unix::net::UnixStream::pair().unwrap();
    assert!(matches!(Queue::attach(socket.into()), Err(QueueError::NotAQueue)));
    let empty = Region::create("test", 4096, 4096).unwrap();
    assert!(matches!(Queue::attach(empty.descriptor().try_clone_to_owned().unwrap()), Err(QueueError::NotAQueue)));
}

#[test]
fn another_version_is_named() {
    let _limit = Limit::seconds(20);
    let queue = Queue::create(&OPTIONS).unwrap();
    vandal(&queue).words()[0].fetch_add(1, Ordering::SeqCst);
    let error = Queue::attach(descriptor(&queue)).unwrap_err();
    assert!(matches!(error, QueueError::OtherVersion { found: 3, known: 2 }), "{error}");
}

#[test]
fn a_region_shorter_than_its_header_says_is_refused() {
    let _limit = Limit::seconds(20);
    let queue = Queue::create(&OPTIONS).unwrap();
    let short = Region::create("test", CAPACITY, 4096).unwrap();
    for (from, to) in vandal(&queue).words().iter().zip(short.words()) {
        to.store(from.load(Ordering::SeqCst), Ordering::SeqCst);
    }
    let error = Queue::attach(short.descriptor().try_clone_to_owned().unwrap()).unwrap_err();
    assert!(matches!(error, QueueError::Damaged(_)), "{error}");
}

/// Uses everything; errors are welcome, and a list that grows for ever is not.
fn use_it(queue: &Queue) {
    for bytes in [3, 40_000, 900, 70_000] {
        let _result = queue.try_put(Message::new(&vec![1; bytes]));
    }
    for _ in 0..12 {
        let Ok(Some(mut received)) = queue.try_get() else { break };
        for part in 0..=received.buffer_count().min(5) {
            let _result = received.take_part(part);
        }
    }
    let _result = queue.tidy();
    let _result = queue.task_done();
    let _count = queue.len();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_region_that_was_written_over_gives_errors_only(
        // Not the guard and the bells: whoever holds those words decides how long others wait.
        wounds in prop::collection::vec((prop_oneof![16..32_usize, 64..600_usize, 512..1024_usize, 1040..6000_usize],
            prop_oneof![any::<u64>(), 0..5000_u64, (0..8_u64).prop_map(|shift| 0xa1a2_a3a4_0000_0000 << shift)]), 1..5),
    ) {
        let _limit = Limit::seconds(60);
        let queue = Queue::create(&OPTIONS).unwrap();
        queue.try_put(Message::new(b"one")).unwrap();
        queue.try_put(Message::with_buffers(&vec![2; 50_000], &[[3; 100][..].into(), [4; 9][..].into()])).unwrap();
        queue.try_put(Message::new(&[5; 4000])).unwrap();
        let vandal = vandal(&queue);
        for (word, value) in wounds {
            if let Some(word) = vandal.words().get(word) {
                word.store(value, Ordering::SeqCst);
            }
        }
        use_it(&queue);
        if let Ok(again) = Queue::attach(descriptor(&queue)) {
            use_it(&again);
        }
    }
}
