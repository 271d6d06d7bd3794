//! Whatever is done to a queue by one process, it answers as a plain list of messages would.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[path = "../../wait/tests/support/limit.rs"]
#[allow(unreachable_pub, reason = "the same file serves the other test programs")]
mod limit;

use std::collections::VecDeque;

use limit::Limit;
use proptest::prelude::*;
use threefold_shared_memory::queue::{Message, Options, Outcome, Queue, QueueError, Received, Source, Stop};
use threefold_shared_memory::{Instant, Plain};

const MEBIBYTE: u64 = 1 << 20;

#[derive(Clone, Debug)]
enum Action {
    Put(usize),
    PutWithBuffers(usize, Vec<usize>),
    PutMany(Vec<usize>),
    Get,
    GetMany(usize),
    GetAndKeep,
    DropKept,
    Done,
    Tidy,
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..200_usize, 3 => 200..17_000_usize, 2 => 16_380..70_000_usize, 1 => 100_000..600_000_usize]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => size().prop_map(Action::Put),
        2 => (size(), prop::collection::vec(size(), 0..4)).prop_map(|(stream, buffers)| Action::PutWithBuffers(stream, buffers)),
        2 => prop::collection::vec(size(), 0..80).prop_map(Action::PutMany),
        6 => Just(Action::Get),
        2 => (0..90_usize).prop_map(Action::GetMany),
        1 => Just(Action::GetAndKeep),
        1 => Just(Action::DropKept),
        1 => Just(Action::Done),
        1 => Just(Action::Tidy),
    ]
}

/// What a message of the model is: its stream and its buffers.
type Parts = Vec<Vec<u8>>;

#[derive(Default)]
struct Model {
    waiting: VecDeque<Parts>,
    kept: Vec<(Received, Parts)>,
    put: u64,
    done: u64,
    next: u8,
}

fn sources(parts: &[Vec<u8>]) -> Vec<Source<'_>> {
    parts.iter().map(|part| Source::from(&part[..])).collect()
}

impl Model {
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        self.next = self.next.wrapping_add(1);
        (0..len).map(|index| self.next.wrapping_add(u8::try_from(index % 253).unwrap())).collect()
    }

    fn put(&mut self, queue: &Queue, all: Vec<Parts>) {
        let buffers: Vec<_> = all.iter().map(|parts| sources(&parts[1..])).collect();
        let messages: Vec<_> =
            all.iter().zip(&buffers).map(|(parts, buffers)| Message::with_buffers(&parts[0], buffers)).collect();
        let batch = queue.put_many(&messages, Some(Instant::from_nanos(0)), &mut Plain);
        let done = batch.put_count;
        match batch.end {
            Ok(_) | Err(Stop::Queue(QueueError::OutOfMemory { .. })) => {}
            Err(error) => panic!("{error}"),
        }
        let is_full = queue.message_cap().is_some_and(|cap| self.waiting.len() as u64 + done as u64 >= cap);
        assert!(done == all.len() || is_full || queue.resident_bytes().unwrap() as u64 > 3 * MEBIBYTE);
        self.put += done as u64;
        self.waiting.extend(all.into_iter().take(done));
    }

    fn check(received: &Received, parts: &Parts) {
        assert_eq!(received.buffer_count() + 1, parts.len());
        for (number, part) in parts.iter().enumerate() {
            let mut bytes = vec![0; received.part_bytes(number).unwrap()];
            received.read(number, 0, &mut bytes).unwrap();
            assert!(bytes == *part, "part {number} of {} bytes differs", part.len());
            if let Some((place, len)) = received.place(number) {
                assert_eq!((place % 64, len), (0, part.len()));
            }
        }
        assert_eq!(received.part_bytes(parts.len().max(1)), None);
    }

    fn get(&mut self, queue: &Queue) -> Option<(Received, Parts)> {
        let received = queue.try_get().unwrap();
        assert_eq!(received.is_some(), !self.waiting.is_empty());
        let (received, parts) = (received?, self.waiting.pop_front()?);
        Self::check(&received, &parts);
        Some((received, parts))
    }

    fn act(&mut self, queue: &Queue, action: Action) {
        match action {
            Action::Put(len) => {
                let stream = self.bytes(len);
                self.put(queue, vec![vec![stream]]);
            }
            Action::PutWithBuffers(stream, buffers) => {
                let parts = std::iter::once(stream).chain(buffers).map(|len| self.bytes(len)).collect();
                self.put(queue, vec![parts]);
            }
            Action::PutMany(lens) => {
                let all = lens.into_iter().map(|len| vec![self.bytes(len)]).collect();
                self.put(queue, all);
            }
            Action::Get => drop(self.get(queue)),
            Action::GetMany(most) => {
                let past = Some(Instant::from_nanos(0));
                let all = queue.get_many(most, past, &mut Plain).unwrap();
                assert!(all.len() <= most.max(1) && all.is_empty() == self.waiting.is_empty());
                for received in all {
                    Self::check(&received, &self.waiting.pop_front().unwrap());
                }
            }
            Action::GetAndKeep => {
                let got = self.get(queue);
                self.kept.extend(got);
            }
            Action::DropKept => self.kept.clear(),
            Action::Done => {
                let is_counted = queue.task_done().is_ok();
                assert_eq!(is_counted, self.done < self.put);
                self.done += u64::from(is_counted);
            }
            Action::Tidy => queue.tidy().unwrap(),
        }
        assert_eq!(queue.len(), self.waiting.len() as u64);
        assert_eq!(queue.unfinished_count(), self.put - self.done);
        for (received, parts) in &self.kept {
            Self::check(received, parts);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_is_a_list_of_messages(
        actions in prop::collection::vec(action(), 1..120),
        message_cap in prop::option::of(1..40_u64),
    ) {
        let _limit = Limit::seconds(120);
        let queue = Queue::create(&Options { message_cap, byte_cap: 6 * MEBIBYTE }).unwrap();
        let mut model = Model::default();
        for action in actions {
            model.act(&queue, action);
        }
        model.kept.clear();
        while model.get(&queue).is_some() {}
        queue.tidy().unwrap();
        prop_assert!(queue.resident_bytes().unwrap() <= 64 * 1024);
    }
}

#[test]
fn a_full_queue_refuses_until_something_was_taken() {
    let _limit = Limit::seconds(20);
    let queue = Queue::create(&Options { message_cap: Some(2), byte_cap: MEBIBYTE }).unwrap();
    for _ in 0..2 {
        assert_eq!(queue.try_put(Message::new(b"x")).unwrap(), Outcome::Ready(()));
    }
    assert_eq!(queue.try_put(Message::new(b"x")).unwrap(), Outcome::TimedOut);
    assert_eq!(queue.try_put(Message::new(&vec![0; 50_000])).unwrap(), Outcome::TimedOut);
    drop(queue.try_get().unwrap());
    assert_eq!(queue.try_put(Message::new(b"x")).unwrap(), Outcome::Ready(()));
}

#[test]
fn a_message_beyond_the_byte_cap_is_refused_and_nothing_is_lost() {
    let _limit = Limit::seconds(20);
    let queue = Queue::create(&Options { message_cap: None, byte_cap: 4 * MEBIBYTE }).unwrap();
    let body = vec![1; 1 << 20];
    let mut count = 0;
    let error = loop {
        match queue.try_put(Message::new(&body)) {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, QueueError::OutOfMemory { cap_bytes, .. } if cap_bytes == 4 * MEBIBYTE), "{error}");
    assert_eq!((count, queue.len()), (3, 3));
    assert!(matches!(queue.try_put(Message::new(&vec![0; 5 << 20])), Err(QueueError::OutOfMemory { .. })));
    drop(queue.try_get().unwrap());
    queue.try_put(Message::new(&body)).unwrap();
    // Short messages fill what is left, and are refused as well.
    while queue.try_put(Message::new(&[5; 1000])).is_ok() {}
    let mut bytes = 0;
    while let Some(received) = queue.try_get().unwrap() {
        bytes += received.part_bytes(0).unwrap();
    }
    assert!(bytes > 3 << 20);
    assert!(queue.resident_bytes().unwrap() <= 64 * 1024 || queue.tidy().is_ok());
}
