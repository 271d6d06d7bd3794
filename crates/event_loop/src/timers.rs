//! What is due when: a heap that forgets cancelled timers.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Cancelled timers that are kept at most, before the heap is looked through for them.
const CANCELLED_AT_LEAST: usize = 64;

/// Timers in the order of their time, and of their arrival where the time is the same.
#[derive(Debug)]
pub struct Timers<T> {
    heap: BinaryHeap<Timer<T>>,
    arrival: u64,
    cancelled_count: usize,
}

#[derive(Debug)]
struct Timer<T> {
    when: f64,
    arrival: u64,
    value: T,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), arrival: 0, cancelled_count: 0 }
    }
}

impl<T> Timers<T> {
    /// Adds a timer for the time `when`, in seconds of the caller's clock; what is no number is due at once.
    pub fn add(&mut self, when: f64, value: T) {
        self.arrival += 1;
        // In the heap it would be before or behind all others, by its sign, and never due.
        let when = if when.is_nan() { f64::NEG_INFINITY } else { when };
        self.heap.push(Timer { when, arrival: self.arrival, value });
    }

    /// When the first timer is due.
    pub fn first(&self) -> Option<f64> {
        self.heap.peek().map(|timer| timer.when)
    }

    /// The first timer, if it is due at `now`.
    pub fn pop_due(&mut self, now: f64) -> Option<T> {
        self.pop_if(|timer| timer.when <= now)
    }

    /// The first timer, if it is one of those that were cancelled.
    pub fn pop_cancelled(&mut self, is_cancelled: impl Fn(&T) -> bool) -> Option<T> {
        let popped = self.pop_if(|timer| is_cancelled(&timer.value));
        if popped.is_some() {
            self.cancelled_count = self.cancelled_count.saturating_sub(1);
        }
        popped
    }

    fn pop_if(&mut self, is_wanted: impl Fn(&Timer<T>) -> bool) -> Option<T> {
        if self.heap.peek().is_some_and(is_wanted) { self.heap.pop().map(|timer| timer.value) } else { None }
    }

    /// Notes that one of the timers was cancelled; true when so many are that they should be taken out now.
    #[must_use = "memory grows with cancelled timers"]
    pub fn note_cancelled(&mut self) -> bool {
        self.cancelled_count += 1;
        self.cancelled_count > CANCELLED_AT_LEAST && self.cancelled_count * 2 > self.heap.len()
    }

    /// Takes out all cancelled timers: to be dropped outside the caller's latch.
    pub fn take_cancelled(&mut self, is_cancelled: impl Fn(&T) -> bool) -> Vec<T> {
        self.cancelled_count = 0;
        let (cancelled, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.heap).into_vec().into_iter().partition(|timer| is_cancelled(&timer.value));
        self.heap = kept.into();
        cancelled.into_iter().map(|timer| timer.value).collect()
    }

    /// Takes out all timers.
    pub fn take_all(&mut self) -> Vec<T> {
        self.cancelled_count = 0;
        std::mem::take(&mut self.heap).into_iter().map(|timer| timer.value).collect()
    }

    /// How many there are, cancelled ones included.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// All values, in no order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.heap.iter().map(|timer| &timer.value)
    }
}

// The heap's greatest is the timer that comes first.
impl<T> Ord for Timer<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.when.total_cmp(&self.when).then(other.arrival.cmp(&self.arrival))
    }
}

impl<T> PartialOrd for Timer<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Timer<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Timer<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_by_time_and_then_by_arrival() {
        let mut timers = Timers::default();
        for (when, name) in [(2.0, "c"), (1.0, "a"), (2.0, "d"), (1.0, "b")] {
            timers.add(when, name);
        }
        assert_eq!(timers.first(), Some(1.0));
        assert_eq!(std::iter::from_fn(|| timers.pop_due(1.5)).collect::<String>(), "ab");
        assert_eq!(std::iter::from_fn(|| timers.pop_due(2.0)).collect::<String>(), "cd");
        assert!(timers.is_empty());
    }

    #[test]
    fn cancelled_timers_do_not_pile_up() {
        let mut timers = Timers::default();
        for number in 0..100_000_u32 {
            timers.add(f64::from(number), number);
            if number % 10 != 0 && timers.note_cancelled() {
                let cancelled = timers.take_cancelled(|number| number % 10 != 0);
                assert!(cancelled.iter().all(|number| number % 10 != 0));
            }
            assert!(timers.len() <= 2 * (number as usize / 10 + 1) + CANCELLED_AT_LEAST + 1);
        }
        let left = std::iter::from_fn(|| timers.pop_due(1e9)).filter(|number| number % 10 == 0);
        assert!(left.eq((0..100_000).step_by(10)));
    }

    #[test]
    fn a_cancelled_timer_at_the_head_is_not_waited_for() {
        let mut timers = Timers::default();
        timers.add(1.0, "cancelled");
        timers.add(5.0, "kept");
        assert!(!timers.note_cancelled());
        assert_eq!(timers.pop_cancelled(|value| *value == "cancelled"), Some("cancelled"));
        assert_eq!(timers.pop_cancelled(|value| *value == "cancelled"), None);
        assert_eq!(timers.first(), Some(5.0));
    }
}
