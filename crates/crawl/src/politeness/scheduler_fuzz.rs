//! Any order of events, on a virtual clock: nothing is lost, nothing starts twice, no limit is broken.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Event {
    Push(u8),
    PushUrgent(u8),
    Pause(u8),
    Resume(u8),
    Delay(u8, u16),
    Drain(u8),
    Pass(u16),
    Next,
    Finish(usize, u8),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let host = || 0_u8..4;
    let event = prop_oneof![
        6 => host().prop_map(Event::Push),
        1 => host().prop_map(Event::PushUrgent),
        1 => host().prop_map(Event::Pause),
        1 => host().prop_map(Event::Resume),
        1 => (host(), 0_u16..500).prop_map(|(host, delay)| Event::Delay(host, delay)),
        1 => host().prop_map(Event::Drain),
        3 => (0_u16..2_000).prop_map(Event::Pass),
        8 => Just(Event::Next),
        6 => (any::<usize>(), 0_u8..6).prop_map(|(index, kind)| Event::Finish(index, kind)),
    ];
    proptest::collection::vec(event, 0..200)
}

fn outcome(kind: u8) -> Outcome {
    let latency = Duration::from_millis(300);
    match kind {
        0 => Outcome::failed(),
        1 => Outcome::dropped(),
        2 => Outcome::of_status(429, latency, None),
        3 => Outcome::of_status(503, latency, Some(Duration::from_secs(7))),
        4 => Outcome::of_status(500, latency, None),
        _ => Outcome::of_status(200, latency, None),
    }
}

/// The scheduler with what is known of it from outside.
struct Rig {
    politeness: Politeness<(u8, u32)>,
    now: Instant,
    in_flight: Vec<(u8, Ticket)>,
    per_host: HashMap<u8, usize>,
    pushed: u32,
    seen: HashSet<u32>,
}

impl Rig {
    fn next(&mut self) -> Option<Instant> {
        match self.politeness.next(self.now) {
            Next::Start(ticket, (host, payload)) => {
                assert!(self.seen.insert(payload), "started twice");
                self.in_flight.push((host, ticket));
                let count = self.per_host.entry(host).or_default();
                *count += 1;
                assert!(*count <= 3 && self.in_flight.len() <= 6);
                Some(self.now)
            }
            Next::WaitUntil(time) => {
                assert!(time > self.now);
                Some(time)
            }
            Next::Idle => None,
        }
    }

    fn finish(&mut self, index: usize, kind: u8) {
        if self.in_flight.is_empty() {
            return;
        }
        let (host, ticket) = self.in_flight.swap_remove(index % self.in_flight.len());
        *self.per_host.entry(host).or_default() -= 1;
        self.politeness.finished(ticket, outcome(kind), self.now);
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Push(host) | Event::PushUrgent(host) => {
                let payload = (host, self.pushed);
                self.pushed += 1;
                if matches!(event, Event::PushUrgent(_)) {
                    self.politeness.push_urgent(&host.to_string(), payload);
                } else {
                    self.politeness.push(&host.to_string(), payload);
                }
            }
            Event::Pause(host) => self.politeness.pause(&host.to_string()),
            Event::Resume(host) => self.politeness.resume(&host.to_string()),
            Event::Delay(host, delay) => {
                self.politeness.set_delay(&host.to_string(), Duration::from_millis(delay.into()));
            }
            Event::Drain(host) => {
                let drained = self.politeness.drain(&host.to_string());
                assert!(drained.into_iter().all(|(_, payload)| self.seen.insert(payload)));
            }
            Event::Pass(time) => self.now += Duration::from_millis(time.into()),
            Event::Next => drop(self.next()),
            Event::Finish(index, kind) => self.finish(index, kind),
        }
    }

    /// Lets everything that is left come to its end.
    fn settle(&mut self) {
        (0..4).for_each(|host: u8| self.politeness.resume(&host.to_string()));
        while self.politeness.waiting() + self.politeness.in_flight() > 0 {
            if let Some(time) = self.next() {
                self.now = time;
            } else {
                assert!(!self.in_flight.is_empty(), "something waits, nothing runs, and nothing wakes it");
                self.finish(0, 5);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_everything_starts_once(events in events()) {
        let options = PolitenessOptions { per_host: 3, concurrency: 6, ..PolitenessOptions::default() };
        let mut rig = Rig {
            politeness: Politeness::new(options),
            now: Instant::now(),
            in_flight: Vec::new(),
            per_host: HashMap::new(),
            pushed: 0,
            seen: HashSet::new(),
        };
        for event in events {
            rig.apply(event);
        }
        rig.settle();
        prop_assert_eq!(rig.seen.len(), rig.pushed as usize);
    }
}
