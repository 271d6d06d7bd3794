//! The scheduler on a virtual clock.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn polite(options: PolitenessOptions) -> (Politeness<u32>, Instant) {
    (Politeness::new(options), Instant::now())
}

fn started(next: Next<u32>) -> (Ticket, u32) {
    match next {
        Next::Start(ticket, payload) => (ticket, payload),
        other => panic!("nothing starts: {other:?}"),
    }
}

fn waits_until(next: &Next<u32>, time: Instant) -> bool {
    matches!(next, Next::WaitUntil(until) if *until == time)
}

fn ok() -> Outcome {
    Outcome::of_status(200, MILLISECOND, None)
}

fn pushed_back(seconds: Option<u64>) -> Outcome {
    Outcome::of_status(429, MILLISECOND, seconds.map(Duration::from_secs))
}

#[test]
fn a_host_has_no_more_in_flight_than_it_may() {
    let (mut politeness, now) = polite(PolitenessOptions { per_host: 2, ..Default::default() });
    (0..3).for_each(|payload| politeness.push("a", payload));
    let (first, _) = started(politeness.next(now));
    let (_second, _) = started(politeness.next(now));
    assert!(matches!(politeness.next(now), Next::Idle));
    politeness.finished(first, ok(), now);
    assert_eq!(started(politeness.next(now)).1, 2);
}

#[test]
fn hosts_take_turns() {
    let (mut politeness, now) = polite(PolitenessOptions::default());
    for payload in 0..3 {
        politeness.push("a", payload);
    }
    politeness.push("b", 10);
    politeness.push("c", 20);
    let order: Vec<u32> = (0..5).map(|_| started(politeness.next(now)).1).collect();
    assert_eq!(order, [0, 10, 20, 1, 2]);
}

#[test]
fn with_a_delay_the_next_starts_that_long_after_the_last_has_ended() {
    let (mut politeness, now) = polite(PolitenessOptions { delay: SECOND, ..Default::default() });
    politeness.push("a", 1);
    politeness.push("a", 2);
    let (ticket, _) = started(politeness.next(now));
    assert!(matches!(politeness.next(now + 5 * SECOND), Next::Idle));
    politeness.finished(ticket, ok(), now + 5 * SECOND);
    assert!(waits_until(&politeness.next(now + 5 * SECOND), now + 6 * SECOND));
    assert_eq!(started(politeness.next(now + 6 * SECOND)).1, 2);
}

#[test]
fn the_greater_of_two_delays_counts() {
    for (own, robots, expected) in [(1, 3, 3), (3, 1, 3)] {
        let (mut politeness, now) = polite(PolitenessOptions { delay: own * SECOND, ..Default::default() });
        politeness.set_delay("a", robots * SECOND);
        (0..2).for_each(|payload| politeness.push("a", payload));
        let (ticket, _) = started(politeness.next(now));
        politeness.finished(ticket, ok(), now);
        assert!(waits_until(&politeness.next(now), now + expected * SECOND));
    }
}

#[test]
fn a_paused_host_starts_only_what_is_urgent() {
    let (mut politeness, now) = polite(PolitenessOptions::default());
    politeness.push("a", 1);
    politeness.pause("a");
    assert!(matches!(politeness.next(now), Next::Idle));
    politeness.push_urgent("a", 2);
    assert_eq!(started(politeness.next(now)).1, 2);
    assert!(matches!(politeness.next(now), Next::Idle));
    politeness.resume("a");
    assert_eq!(started(politeness.next(now)).1, 1);
}

#[test]
fn a_host_that_pushes_back_is_left_alone_longer_each_time() {
    let (mut politeness, mut now) = polite(PolitenessOptions::default());
    (0..10).for_each(|payload| politeness.push("a", payload));
    for seconds in [1, 2, 4, 8, 16, 32, 64, 120, 120] {
        let (ticket, _) = started(politeness.next(now));
        politeness.finished(ticket, pushed_back(None), now);
        assert!(waits_until(&politeness.next(now), now + seconds * SECOND), "{seconds}");
        now += seconds * SECOND;
    }
}

#[test]
fn a_retry_after_is_obeyed() {
    let (mut politeness, now) = polite(PolitenessOptions::default());
    (0..2).for_each(|payload| politeness.push("a", payload));
    let (ticket, _) = started(politeness.next(now));
    politeness.finished(ticket, pushed_back(Some(1_800)), now);
    assert!(waits_until(&politeness.next(now), now + 1_800 * SECOND));
}

#[test]
fn what_was_in_flight_together_is_pushed_back_once() {
    let (mut politeness, now) = polite(PolitenessOptions { per_host: 8, ..Default::default() });
    (0..20).for_each(|payload| politeness.push("a", payload));
    let tickets: Vec<Ticket> = (0..8).map(|_| started(politeness.next(now)).0).collect();
    let later = now + MILLISECOND;
    for ticket in tickets {
        politeness.finished(ticket, pushed_back(None), later);
    }
    assert!(waits_until(&politeness.next(later), later + SECOND));
    let again = later + SECOND;
    let in_flight: Vec<Ticket> = (0..4).map(|_| started(politeness.next(again)).0).collect();
    assert!(matches!(politeness.next(again), Next::Idle), "half of eight");
    for ticket in in_flight {
        politeness.finished(ticket, ok(), again);
    }
    let more = std::iter::from_fn(|| matches!(politeness.next(again), Next::Start(..)).then_some(())).count();
    assert_eq!(more, 5, "one more after a full round of good answers");
}

#[test]
fn a_host_that_is_held_meanwhile_does_not_start_at_its_old_time() {
    let (mut politeness, now) = polite(PolitenessOptions { per_host: 4, ..Default::default() });
    (0..4).for_each(|payload| politeness.push("a", payload));
    let (first, _) = started(politeness.next(now));
    let (second, _) = started(politeness.next(now));
    politeness.finished(first, pushed_back(None), now);
    assert!(waits_until(&politeness.next(now), now + SECOND));
    politeness.finished(second, pushed_back(Some(60)), now);
    assert!(waits_until(&politeness.next(now + SECOND), now + 60 * SECOND));
}

#[test]
fn the_rate_of_all_hosts_together_is_kept() {
    let (mut politeness, begin) =
        polite(PolitenessOptions { rate: Some(100.0), concurrency: 10_000, ..Default::default() });
    for payload in 0..400 {
        politeness.push(&format!("host{payload}"), payload);
    }
    let mut now = begin;
    let mut starts = Vec::new();
    while starts.len() < 400 {
        match politeness.next(now) {
            Next::Start(ticket, _) => {
                starts.push(now);
                politeness.finished(ticket, ok(), now);
            }
            // A clock of coarse grain.
            Next::WaitUntil(time) => now = time + 3 * MILLISECOND,
            Next::Idle => panic!("something waits"),
        }
    }
    let last = *starts.last().unwrap();
    assert!((3_980..4_050).contains(&(last - begin).as_millis()), "{:?}", last - begin);
    for (index, start) in starts.iter().enumerate() {
        assert!(starts[index..].iter().take_while(|&other| *other < *start + SECOND).count() <= 102);
    }
}

#[test]
fn all_in_flight_together_are_no_more_than_they_may() {
    let (mut politeness, now) = polite(PolitenessOptions { concurrency: 3, ..Default::default() });
    (0..9).for_each(|payload| politeness.push(&format!("host{payload}"), payload));
    let mut tickets: Vec<Ticket> = (0..3).map(|_| started(politeness.next(now)).0).collect();
    assert!(matches!(politeness.next(now), Next::Idle));
    politeness.finished(tickets.pop().unwrap(), ok(), now);
    assert_eq!(started(politeness.next(now)).1, 3);
}

#[test]
fn a_dead_host_gives_back_what_waits_for_it() {
    let (mut politeness, now) = polite(PolitenessOptions { per_host: 1, ..Default::default() });
    (0..5).for_each(|payload| politeness.push("a", payload));
    for failures in 1..=3 {
        let (ticket, _) = started(politeness.next(now));
        politeness.finished(ticket, Outcome::failed(), now);
        assert_eq!(politeness.failures_in_a_row("a"), failures);
    }
    assert_eq!(politeness.drain("a"), [3, 4]);
    assert_eq!((politeness.waiting(), politeness.drain("b")), (0, Vec::new()));
    assert!(matches!(politeness.next(now), Next::Idle));
}

#[test]
fn a_request_that_was_not_made_costs_no_delay() {
    let (mut politeness, now) = polite(PolitenessOptions { delay: SECOND, ..Default::default() });
    (0..2).for_each(|payload| politeness.push("a", payload));
    let (ticket, _) = started(politeness.next(now));
    politeness.finished(ticket, Outcome::dropped(), now);
    assert_eq!(started(politeness.next(now)).1, 1);
}

#[test]
fn hosts_of_which_nothing_is_known_are_forgotten() {
    let (mut politeness, now) = polite(PolitenessOptions::default());
    politeness.set_delay("kept", SECOND);
    for number in 0..20_000 {
        politeness.push(&number.to_string(), number);
        let (ticket, payload) = started(politeness.next(now));
        assert_eq!(payload, number);
        politeness.finished(ticket, ok(), now);
    }
    assert!(politeness.hosts.len() <= FEW_HOSTS + 2);
    assert!(politeness.numbers.contains_key("kept"));
}

/// What a virtual server does with the requests: `latency` and `status` for each in turn.
#[derive(Debug, Clone)]
struct Load {
    hosts: Vec<u8>,
    answers: Vec<(u16, u16)>,
    per_host: usize,
    concurrency: usize,
    delay: u64,
}

fn loads() -> impl Strategy<Value = Load> {
    let status = prop_oneof![6 => Just(200_u16), 1 => Just(404), 1 => Just(500), 1 => Just(429), 1 => Just(0)];
    let answers = proptest::collection::vec((0_u16..900, status), 1..30);
    (proptest::collection::vec(0_u8..5, 1..80), answers, 1_usize..5, 1_usize..12, prop_oneof![Just(0_u64), 1_u64..300])
        .prop_map(|(hosts, answers, per_host, concurrency, delay)| Load {
            hosts,
            answers,
            per_host,
            concurrency,
            delay,
        })
}

/// One request on the virtual server.
#[derive(Debug, Clone, Copy)]
struct Served {
    host: u8,
    start: Instant,
    end: Instant,
    payload: usize,
}

/// Runs a load to its end on a virtual clock.
fn serve(load: &Load) -> Vec<Served> {
    let options = PolitenessOptions {
        per_host: load.per_host,
        concurrency: load.concurrency,
        delay: Duration::from_millis(load.delay),
        ..Default::default()
    };
    let mut politeness = Politeness::new(options);
    let mut now = Instant::now();
    for (payload, host) in load.hosts.iter().enumerate() {
        politeness.push(&host.to_string(), payload);
    }
    let mut served: Vec<Served> = Vec::new();
    let mut in_flight: Vec<(Instant, Ticket, Outcome)> = Vec::new();
    loop {
        let wake = match politeness.next(now) {
            Next::Start(ticket, payload) => {
                let (latency, status) = load.answers[served.len() % load.answers.len()];
                let latency = Duration::from_millis(u64::from(latency));
                served.push(Served { host: load.hosts[payload], start: now, end: now + latency, payload });
                let outcome = if status == 0 { Outcome::failed() } else { Outcome::of_status(status, latency, None) };
                in_flight.push((now + latency, ticket, outcome));
                continue;
            }
            Next::WaitUntil(time) => Some(time),
            Next::Idle => None,
        };
        let first = in_flight.iter().map(|(end, ..)| *end).min();
        let Some(time) = wake.into_iter().chain(first).min() else { break };
        assert!(time >= now, "the clock goes on");
        now = time;
        let done: Vec<usize> = (0..in_flight.len()).rev().filter(|&index| in_flight[index].0 <= now).collect();
        for index in done {
            let (_, ticket, outcome) = in_flight.swap_remove(index);
            politeness.finished(ticket, outcome, now);
        }
    }
    assert_eq!((politeness.waiting(), politeness.in_flight()), (0, 0));
    served
}

proptest! {
    #[test]
    fn every_payload_starts_once_and_the_limits_hold(load in loads()) {
        let served = serve(&load);
        let distinct: HashSet<usize> = served.iter().map(|request| request.payload).collect();
        prop_assert_eq!((served.len(), distinct.len()), (load.hosts.len(), load.hosts.len()));
        for request in &served {
            let at_once = |same_host: bool| served.iter().filter(|other| {
                (!same_host || other.host == request.host) && other.start <= request.start && other.end > request.start
            }).count();
            prop_assert!(at_once(true) <= load.per_host, "in flight at one host");
            prop_assert!(at_once(false) <= load.concurrency, "in flight");
        }
    }

    #[test]
    fn no_two_starts_at_a_host_are_closer_than_the_delay(load in loads()) {
        let served = serve(&load);
        let delay = Duration::from_millis(load.delay);
        for (index, request) in served.iter().enumerate() {
            if let Some(next) = served[index + 1..].iter().find(|other| other.host == request.host) {
                prop_assert!(delay.is_zero() || next.start >= request.end + delay);
            }
        }
    }

    #[test]
    fn payloads_of_a_host_start_in_order(load in loads()) {
        let served = serve(&load);
        for host in 0..5 {
            let order: Vec<usize> = served.iter().filter(|request| request.host == host).map(|request| request.payload).collect();
            prop_assert!(order.is_sorted());
        }
    }

    #[test]
    fn no_host_is_passed_over(hosts in proptest::collection::vec(0_u8..5, 1..80)) {
        // With one in flight at a time, a host that has something waits for no more starts than there are other hosts.
        let load = Load { hosts: hosts.clone(), answers: vec![(1, 200)], per_host: 1, concurrency: 1, delay: 0 };
        let served = serve(&load);
        for host in 0..5 {
            let turns: Vec<usize> = (0..served.len()).filter(|&index| served[index].host == host).collect();
            prop_assert!(turns.windows(2).all(|pair| pair[1] - pair[0] <= 5));
            prop_assert!(turns.first().is_none_or(|&first| first < 5));
        }
    }
}
