//! Which request may start now: hosts in turn, each by its own limits, all within the limits of the crawl.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::host::{Host, Place, When};
use super::{Outcome, PolitenessOptions};

/// Starts that the clock's grain made late may be caught up with, as far as this.
const CATCH_UP: Duration = Duration::from_millis(10);

/// Below this number of hosts none is forgotten.
const FEW_HOSTS: usize = 4_096;

/// What to do next.
#[derive(Debug)]
pub enum Next<T> {
    /// Start this request; give the ticket to [`Politeness::finished`] when it ends.
    Start(Ticket, T),
    /// Nothing may start before this time, unless something happens before.
    WaitUntil(Instant),
    /// Nothing may start before something is pushed, resumed or finished.
    Idle,
}

/// One request in flight.
#[derive(Debug)]
#[must_use = "a request that is not reported as finished holds its place in flight for ever"]
pub struct Ticket {
    host: u32,
    started: Instant,
}

impl Ticket {
    /// When the request was started.
    pub fn started(&self) -> Instant {
        self.started
    }
}

/// What waits for its turn, and the rules of turns. `T`: what a request is to its owner.
#[derive(Debug)]
pub struct Politeness<T> {
    options: PolitenessOptions,
    /// Between two starts, over all hosts; none without a rate.
    interval: Option<Duration>,
    not_before: Option<Instant>,
    numbers: HashMap<Arc<str>, u32>,
    hosts: Vec<Option<Host<T>>>,
    free: Vec<u32>,
    ready: VecDeque<u32>,
    timed: BinaryHeap<Reverse<(Instant, u32)>>,
    /// Hosts that may not be asked for a while, since the last [`Politeness::held`].
    untold: Vec<u32>,
    in_flight: usize,
    waiting: usize,
    sweep_at: usize,
}

impl<T> Politeness<T> {
    /// Nothing waits.
    pub fn new(options: PolitenessOptions) -> Self {
        let interval = options.rate.and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok());
        Self {
            options,
            interval,
            not_before: None,
            numbers: HashMap::new(),
            hosts: Vec::new(),
            free: Vec::new(),
            ready: VecDeque::new(),
            timed: BinaryHeap::new(),
            untold: Vec::new(),
            in_flight: 0,
            waiting: 0,
            sweep_at: FEW_HOSTS,
        }
    }

    /// Adds a request behind the host's others.
    pub fn push(&mut self, host: &str, payload: T) {
        self.waiting += 1;
        self.change(host, |host| host.queue.push_back(payload));
    }

    /// Adds a request before the host's others, which starts even while the host is paused: its robots.txt, the next hop of a
    /// redirect. Delays and limits hold for it as for all.
    pub fn push_urgent(&mut self, host: &str, payload: T) {
        self.waiting += 1;
        self.change(host, |host| host.urgent.push_back(payload));
    }

    /// Keeps the host's requests back until [`Politeness::resume`]: its robots.txt is not known yet.
    pub fn pause(&mut self, host: &str) {
        self.change(host, |host| host.is_paused = true);
    }

    /// Lets the host's requests start again.
    pub fn resume(&mut self, host: &str) {
        self.change(host, |host| host.is_paused = false);
    }

    /// The delay that the host's robots.txt asks for; the greater of it and the options' one counts.
    pub fn set_delay(&mut self, host: &str, delay: Duration) {
        self.change(host, |host| host.delay = delay);
    }

    /// Nothing may start at the host before this time: what somebody else knew of it.
    pub fn hold(&mut self, host: &str, until: Instant) {
        self.change(host, |host| {
            host.hold_until(Some(until));
            host.is_untold = false;
        });
    }

    /// The hosts that may not be asked before a time, as far as that has changed since the last call: for those who go on with them.
    pub fn held(&mut self, now: Instant) -> Vec<(Arc<str>, Instant)> {
        let options = self.options;
        let untold = std::mem::take(&mut self.untold);
        let held = untold.into_iter().filter_map(|number| {
            let host = self.host_mut(number).filter(|host| host.is_untold)?;
            host.is_untold = false;
            Some((Arc::clone(&host.key), host.held_until(now, &options)?))
        });
        held.collect()
    }

    /// What to do at this time.
    pub fn next(&mut self, now: Instant) -> Next<T> {
        self.release(now);
        if self.in_flight >= self.options.concurrency {
            return Next::Idle;
        }
        while let Some(&number) = self.ready.front() {
            if let Some(time) = self.not_before.filter(|&time| time > now) {
                return Next::WaitUntil(time);
            }
            self.ready.pop_front();
            if let Some(payload) = self.start(number, now) {
                return Next::Start(Ticket { host: number, started: now }, payload);
            }
        }
        match self.timed.peek() {
            Some(&Reverse((time, _))) => Next::WaitUntil(time),
            None => Next::Idle,
        }
    }

    /// Takes the end of a request, whatever it was.
    #[allow(clippy::needless_pass_by_value, reason = "taking the ticket is what makes a request end only once")]
    pub fn finished(&mut self, ticket: Ticket, outcome: Outcome, now: Instant) {
        let options = self.options;
        let Ticket { host: number, started } = ticket;
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(host) = self.host_mut(number) {
            host.in_flight = host.in_flight.saturating_sub(1);
            let was_untold = host.is_untold;
            host.learn(started, outcome.kind, outcome.latency, now, &options);
            if host.is_untold && !was_untold {
                self.untold.push(number);
            }
        }
        self.put(number, now);
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Requests of one host that wait.
    pub fn waiting_of(&self, host: &str) -> usize {
        self.by_key(host).map_or(0, Host::waiting)
    }

    /// Requests of one host that are in flight.
    pub fn in_flight_of(&self, host: &str) -> usize {
        self.by_key(host).map_or(0, |host| host.in_flight)
    }

    /// The hosts for which something waits, and how much.
    pub fn waiting_hosts(&self) -> impl Iterator<Item = (&str, usize)> {
        self.hosts.iter().flatten().filter(|host| host.waiting() > 0).map(|host| (&*host.key, host.waiting()))
    }

    /// How many requests to the host in a row got no answer.
    pub fn failures_in_a_row(&self, host: &str) -> u32 {
        self.by_key(host).map_or(0, |host| host.failures)
    }

    /// Takes back all that waits for a host, in order: it is dead, or its robots.txt forbids it.
    pub fn drain(&mut self, host: &str) -> Vec<T> {
        let Some(host) = self.numbers.get(host).and_then(|&number| self.hosts[number as usize].as_mut()) else {
            return Vec::new();
        };
        let drained: Vec<T> = host.urgent.drain(..).chain(host.queue.drain(..)).collect();
        self.waiting -= drained.len();
        drained
    }

    /// The host with the highest latency among those in use.
    pub fn slowest(&self) -> Option<(&str, Duration)> {
        let in_use = self.hosts.iter().flatten().filter(|host| host.in_flight + host.waiting() > 0);
        in_use.filter_map(|host| Some((&*host.key, host.throttle.latency()?))).max_by_key(|&(_, latency)| latency)
    }

    fn by_key(&self, host: &str) -> Option<&Host<T>> {
        self.hosts[*self.numbers.get(host)? as usize].as_ref()
    }

    fn host_mut(&mut self, number: u32) -> Option<&mut Host<T>> {
        self.hosts.get_mut(number as usize)?.as_mut()
    }

    /// Changes a host, and lines it up where it has something to start: whether it may, `next` looks then.
    fn change(&mut self, key: &str, change: impl FnOnce(&mut Host<T>)) {
        let number = match self.numbers.get(key) {
            Some(&number) => number,
            None => self.add_host(key),
        };
        let Some(host) = self.host_mut(number) else { return };
        change(host);
        if host.place == Place::Out && host.waiting() > 0 {
            host.place = Place::Ready;
            self.ready.push_back(number);
        }
    }

    fn add_host(&mut self, key: &str) -> u32 {
        let key: Arc<str> = key.into();
        let host = Some(Host::new(Arc::clone(&key), self.options.per_host));
        let number = if let Some(number) = self.free.pop() {
            self.hosts[number as usize] = host;
            number
        } else {
            self.hosts.push(host);
            u32::try_from(self.hosts.len() - 1).unwrap_or(u32::MAX)
        };
        self.numbers.insert(key, number);
        number
    }

    /// Starts the host's next request, if it may start one, and puts the host where it belongs afterwards.
    fn start(&mut self, number: u32, now: Instant) -> Option<T> {
        let options = self.options;
        let host = self.host_mut(number)?;
        host.place = Place::Out;
        let payload = if host.when(now, &options) == When::Now { host.pop() } else { None };
        if payload.is_some() {
            let was_untold = host.is_untold;
            host.started(&options);
            if host.is_untold && !was_untold {
                self.untold.push(number);
            }
            self.in_flight += 1;
            self.waiting -= 1;
            if let Some(interval) = self.interval {
                let due = self.not_before.unwrap_or(now).max(now.checked_sub(CATCH_UP).unwrap_or(now));
                self.not_before = due.checked_add(interval);
            }
        }
        self.put(number, now);
        payload
    }

    /// Puts a host that is in no line into the one where it belongs.
    fn put(&mut self, number: u32, now: Instant) {
        let options = self.options;
        let Some(host) = self.host_mut(number).filter(|host| host.place == Place::Out) else { return };
        match host.when(now, &options) {
            When::Now => {
                host.place = Place::Ready;
                self.ready.push_back(number);
            }
            When::At(time) => {
                host.place = Place::Timed;
                self.timed.push(Reverse((time, number)));
            }
            When::Event => {}
        }
    }

    /// Lines up the hosts whose time has come. One that was held back meanwhile is put back by its new time.
    fn release(&mut self, now: Instant) {
        while let Some(&Reverse((time, number))) = self.timed.peek() {
            if time > now {
                break;
            }
            self.timed.pop();
            if let Some(host) = self.host_mut(number) {
                host.place = Place::Out;
            }
            self.put(number, now);
        }
        if self.numbers.len() > self.sweep_at {
            self.sweep(now);
        }
    }

    /// Forgets the hosts of which there is nothing to know, so that memory does not grow with all hosts ever met.
    fn sweep(&mut self, now: Instant) {
        for (number, place) in (0..).zip(&mut self.hosts) {
            if let Some(host) = place.take_if(|host| host.is_forgettable(now, &self.options)) {
                self.numbers.remove(&host.key);
                self.free.push(number);
            }
        }
        self.sweep_at = FEW_HOSTS.max(self.numbers.len() * 2);
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "scheduler_fuzz.rs"]
mod fuzz;
