//! Several processes put to one queue and get from it, and some of them are killed: every message arrives once.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod support;

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use support::limit::Limit;
use support::{Death, Moment, Other, Stage, until, what};
use threefold_shared_memory::queue::{Message, Options, Outcome, Queue, QueueError, Stop};
use threefold_shared_memory::{Instant, Plain};

/// The ledger: words of the region that all share. Whether to stop putting, whether to stop getting, all deliveries.
const STOP: usize = 8;
const FINISH: usize = 9;
const DELIVERED: usize = 10;
/// How many messages each producer has put, and how often each message arrived.
const COMPLETED: usize = 512;
const PRODUCERS: usize = 64;
const ARRIVALS: usize = 1024;
const MESSAGES_EACH: usize = 20_000;

fn word(stage: &Stage, index: usize) -> &AtomicU64 {
    &stage.0.words()[index]
}

fn arrivals(stage: &Stage, producer: usize, number: usize) -> &AtomicU64 {
    word(stage, ARRIVALS + producer * MESSAGES_EACH + number)
}

fn start(stage: &Stage, queue: &Queue, role: &str, producer: usize) -> Other {
    stage.start(&format!("{role} {} {producer}", queue.descriptor().as_raw_fd()), Moment::Waiting)
}

/// The body of a message: who put it, its number, and bytes that tell of mixtures.
fn body(producer: usize, number: usize) -> Vec<u8> {
    let fill = match number % 16 {
        15 => 300_000,
        7 => 20_000,
        3 => 5_000,
        other => other * 9,
    };
    let mut bytes = vec![u8::try_from(number % 251).unwrap(); 16 + fill];
    bytes[..8].copy_from_slice(&(producer as u64).to_ne_bytes());
    bytes[8..16].copy_from_slice(&(number as u64).to_ne_bytes());
    bytes
}

fn receive(stage: &Stage, bytes: &[u8]) {
    let field = |at: usize| usize::try_from(u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap();
    let (producer, number) = (field(0), field(8));
    assert!(bytes == body(producer, number), "message {number} of {producer} is torn");
    arrivals(stage, producer, number).fetch_add(1, Ordering::SeqCst);
    word(stage, DELIVERED).fetch_add(1, Ordering::SeqCst);
}

fn put_until_told(stage: &Stage, queue: &Queue, producer: usize, count: usize) {
    for number in 0..count {
        if word(stage, STOP).load(Ordering::SeqCst) != 0 {
            return;
        }
        put_patiently(queue, &body(producer, number));
        word(stage, COMPLETED + producer).store(number as u64 + 1, Ordering::SeqCst);
    }
}

/// Puts, also when the getters are so slow that the byte cap is reached.
fn put_patiently(queue: &Queue, body: &[u8]) {
    loop {
        match queue.put(Message::new(body), None, &mut Plain) {
            Ok(_) => return,
            Err(Stop::Queue(QueueError::OutOfMemory { .. })) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

fn get_until_told(stage: &Stage, queue: &Queue) {
    loop {
        let deadline = Instant::now().after(Duration::from_millis(100));
        match queue.get(Some(deadline), &mut Plain).unwrap() {
            Outcome::Ready(mut received) => receive(stage, &received.take_part(0).unwrap()),
            Outcome::TimedOut if word(stage, FINISH).load(Ordering::SeqCst) != 0 => return,
            Outcome::TimedOut => {}
        }
    }
}

/// Takes a message and keeps it until it is killed.
fn hold_for_ever(stage: &Stage, queue: &Queue) {
    let _held = queue.get(None, &mut Plain).unwrap();
    word(stage, DELIVERED).fetch_add(1, Ordering::SeqCst);
    support::stay_for_ever();
}

#[test]
#[ignore = "the other process of the tests below"]
fn child() {
    let _limit = Limit::seconds(240);
    let (what, stage) = (what(), Stage::of_parent());
    let mut words = what.split(' ');
    let role = words.next().unwrap();
    let mut number = || words.next().unwrap().parse::<usize>().unwrap();
    let descriptor = i32::try_from(number()).unwrap();
    let queue = Queue::reopen(std::os::unix::process::parent_id(), descriptor).unwrap();
    match role {
        "put-all" => put_until_told(&stage, &queue, number(), 2000),
        "hold" => hold_for_ever(&stage, &queue),
        "put" => put_until_told(&stage, &queue, number(), MESSAGES_EACH),
        _ => get_until_told(&stage, &queue),
    }
}

/// Waits until the child has ended by itself, well.
fn ended(mut other: Other) {
    assert!(other.0.wait().unwrap().success());
}

fn is_clean(queue: &Queue) {
    queue.tidy().unwrap();
    assert_eq!(queue.len(), 0);
    assert!(queue.resident_bytes().unwrap() <= 64 * 1024, "{} bytes stay", queue.resident_bytes().unwrap());
}

#[test]
fn every_message_of_several_processes_arrives_once() {
    let _limit = Limit::seconds(200);
    for (producers, consumers, message_cap) in [(1, 1, None), (3, 2, None), (2, 3, Some(7))] {
        let stage = Stage::new();
        let queue = Queue::create(&Options { message_cap, byte_cap: 256 << 20 }).unwrap();
        let getting: Vec<_> = (0..consumers).map(|_| start(&stage, &queue, "get", 0)).collect();
        let putting: Vec<_> = (0..producers).map(|number| start(&stage, &queue, "put-all", number)).collect();
        putting.into_iter().for_each(ended);
        word(&stage, FINISH).store(1, Ordering::SeqCst);
        getting.into_iter().for_each(ended);
        for producer in 0..producers {
            let all_once = (0..2000).all(|number| arrivals(&stage, producer, number).load(Ordering::SeqCst) == 1);
            assert!(all_once, "a message of producer {producer} did not arrive once");
        }
        is_clean(&queue);
    }
}

/// A random number of microseconds, the same in every run.
struct Moments(u64);

impl Moments {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

struct Scene {
    stage: Stage,
    queue: Queue,
    others: Vec<(bool, Other)>,
    producers: usize,
    killed_consumers: u64,
    pauses: Vec<Duration>,
}

impl Scene {
    fn new(message_cap: Option<u64>) -> Self {
        let queue = Queue::create(&Options { message_cap, byte_cap: 64 << 20 }).unwrap();
        let (stage, others) = (Stage::new(), Vec::new());
        let mut scene = Self { stage, queue, others, producers: 0, killed_consumers: 0, pauses: Vec::new() };
        for is_producer in [true, false, true, false] {
            scene.add(is_producer);
        }
        scene
    }

    fn add(&mut self, is_producer: bool) {
        let role = if is_producer { "put" } else { "get" };
        self.others.push((is_producer, start(&self.stage, &self.queue, role, self.producers)));
        self.producers += usize::from(is_producer);
    }

    fn delivered(&self) -> u64 {
        word(&self.stage, DELIVERED).load(Ordering::SeqCst)
    }

    /// Kills one at some moment and lets another take its place; the survivors go on before that one is there.
    fn kill_one(&mut self, moments: &mut Moments) {
        let before = self.delivered();
        until(|| self.delivered() > before);
        let moment = Instant::now().after(Duration::from_micros(moments.next(3000)));
        until(|| Instant::now() >= moment);
        let victim = usize::try_from(moments.next(4)).unwrap();
        let (is_producer, other) = self.others.swap_remove(victim);
        let death = Death::ALL[usize::try_from(moments.next(5)).unwrap()];
        let begin = other.die(death);
        let then = self.delivered();
        until(|| self.delivered() > then + 2);
        self.pauses.push(Instant::now().since(begin));
        self.killed_consumers += u64::from(!is_producer);
        drop(other);
        self.add(is_producer);
    }

    /// Lets all end by themselves, and counts.
    fn finish(mut self) {
        word(&self.stage, STOP).store(1, Ordering::SeqCst);
        let (putting, getting): (Vec<_>, Vec<_>) = self.others.drain(..).partition(|(is_producer, _)| *is_producer);
        for (_, other) in putting {
            ended(other);
        }
        word(&self.stage, FINISH).store(1, Ordering::SeqCst);
        for (_, other) in getting {
            ended(other);
        }
        let mut missing = 0;
        for producer in 0..self.producers {
            let completed = usize::try_from(word(&self.stage, COMPLETED + producer).load(Ordering::SeqCst)).unwrap();
            for number in 0..MESSAGES_EACH {
                let count = arrivals(&self.stage, producer, number).load(Ordering::SeqCst);
                assert!(count <= 1, "message {number} of {producer} arrived {count} times");
                assert!(number <= completed || count == 0, "message {number} of {producer} was never put");
                missing += u64::from(number < completed && count == 0);
            }
        }
        assert!(missing <= self.killed_consumers, "{missing} lost, {} consumers killed", self.killed_consumers);
        is_clean(&self.queue);
        self.pauses.sort();
        let median = self.pauses[self.pauses.len() / 2];
        assert!(median < Duration::from_secs(1), "survivors paused for {median:?}");
    }
}

#[test]
fn killed_at_any_moment_a_process_costs_at_most_the_message_it_had_taken() {
    let _limit = Limit::seconds(200);
    let mut moments = Moments(7);
    for message_cap in [None, Some(5)] {
        let mut scene = Scene::new(message_cap);
        for _ in 0..20 {
            scene.kill_one(&mut moments);
        }
        assert!(scene.producers < PRODUCERS);
        scene.finish();
    }
}

#[test]
fn what_the_dead_held_comes_back_and_what_the_living_hold_does_not() {
    let _limit = Limit::seconds(60);
    let stage = Stage::new();
    let queue = Queue::create(&Options { message_cap: None, byte_cap: 64 << 20 }).unwrap();
    for round in 1..5 {
        queue.try_put(Message::new(&body(0, 15))).unwrap();
        let other = start(&stage, &queue, "hold", 0);
        until(|| word(&stage, DELIVERED).load(Ordering::SeqCst) == round);
        queue.tidy().unwrap();
        assert!(queue.resident_bytes().unwrap() > 300_000, "a living process's message was taken away");
        other.die(Death::ALL[usize::try_from(round).unwrap()]);
        is_clean(&queue);
    }
}

#[test]
fn who_is_killed_while_it_waits_costs_nothing() {
    let _limit = Limit::seconds(60);
    let stage = Stage::new();
    let queue = Queue::create(&Options { message_cap: None, byte_cap: 64 << 20 }).unwrap();
    for round in 0..5 {
        let idle = [start(&stage, &queue, "get", 0), start(&stage, &queue, "get", 0)];
        until(|| queue.filled_bell().sleeper_count() >= 2);
        let begin = idle[0].die(Death::ALL[round % 5]);
        queue.try_put(Message::new(&body(0, round))).unwrap();
        until(|| arrivals(&stage, 0, round).load(Ordering::SeqCst) == 1);
        support::within_a_second(begin, "a message past a dead waiter");
        drop(idle);
        // What the dead announced is forgotten by a ring.
        queue.filled_bell().ring_all();
    }
    is_clean(&queue);
}
