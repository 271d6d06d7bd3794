//! How many requests at a time a host gets: what it may have at most, less where it is slow, less after it pushed back.

use std::time::Duration;

/// Hosts that answer within this time are not slowed down.
const QUICK: Duration = Duration::from_millis(250);

/// What a host has shown of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Throttle {
    /// A moving mean of its latencies, in seconds; 0 before the first.
    latency: f32,
    /// What it may have at a time for want of strength; halved when it pushes back.
    strength: f32,
    /// How often it pushed back since it last did well.
    pub(super) strikes: u32,
}

impl Throttle {
    pub(super) fn new(per_host: usize) -> Self {
        Self { latency: 0.0, strength: wide(per_host), strikes: 0 }
    }

    pub(super) fn latency(&self) -> Option<Duration> {
        (self.latency > 0.0).then(|| Duration::from_secs_f32(self.latency))
    }

    /// How many requests at a time it gets.
    ///
    /// With `n` at a time a host of latency `l` gets `n / l` requests a second. A host that takes four times as long as a quick one
    /// gets a quarter at a time, and so a sixteenth a second: what it is short of is left to others.
    pub(super) fn limit(&self, per_host: usize, follows_latency: bool) -> usize {
        let quick = QUICK.as_secs_f32();
        let slow = if follows_latency && self.latency > quick { quick / self.latency } else { 1.0 };
        narrow(wide(per_host).min(self.strength) * slow).clamp(1, per_host)
    }

    /// Takes in the latency of an answer. Answers that are errors come quickly: they may make a host slower, but not quicker.
    pub(super) fn measured(&mut self, latency: Duration, is_good: bool) {
        let seconds = latency.as_secs_f32().min(3600.0);
        if self.latency == 0.0 {
            self.latency = seconds;
        } else if is_good || seconds > self.latency {
            self.latency += (seconds - self.latency) / 4.0;
        }
    }

    /// One more at a time for each full round of good answers.
    pub(super) fn did_well(&mut self, per_host: usize) {
        self.strikes = 0;
        self.strength = (self.strength + 1.0 / self.strength).min(wide(per_host));
    }

    pub(super) fn halve(&mut self) {
        self.strength = (self.strength / 2.0).max(1.0);
    }

    /// True where it is as if nothing were known of it.
    pub(super) fn is_unmarked(&self, per_host: usize) -> bool {
        self.strikes == 0 && self.strength >= wide(per_host)
    }
}

fn wide(count: usize) -> f32 {
    f32::from(u16::try_from(count).unwrap_or(u16::MAX))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count between 0 and 65535, rounded to the nearest"
)]
fn narrow(count: f32) -> usize {
    count.round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(latencies: impl IntoIterator<Item = u64>) -> Throttle {
        let mut throttle = Throttle::new(8);
        latencies.into_iter().for_each(|milliseconds| throttle.measured(Duration::from_millis(milliseconds), true));
        throttle
    }

    #[test]
    fn a_quick_host_gets_all_that_it_may_have() {
        for latency in [0, 1, 50, 200] {
            assert_eq!(after([latency; 10]).limit(8, true), 8, "{latency}");
        }
    }

    #[test]
    fn the_slower_a_host_the_fewer_at_a_time() {
        for (latency, limit) in [(500, 4), (1_000, 2), (2_000, 1), (60_000, 1)] {
            assert_eq!(after([latency; 40]).limit(8, true), limit, "{latency}");
            assert_eq!(after([latency; 40]).limit(8, false), 8);
        }
    }

    #[test]
    fn a_stall_is_soon_forgotten() {
        let mut throttle = after([2, 2, 2, 3_000]);
        assert_eq!(throttle.limit(8, true), 3);
        (0..5).for_each(|_| throttle.measured(Duration::from_millis(2), true));
        assert_eq!(throttle.limit(8, true), 8);
    }

    #[test]
    fn quick_errors_do_not_make_a_slow_host_quick() {
        let mut throttle = after([2_000; 10]);
        (0..100).for_each(|_| throttle.measured(Duration::from_millis(1), false));
        assert_eq!(throttle.limit(8, true), 1);
    }

    #[test]
    fn strength_is_lost_by_halves_and_won_one_by_one() {
        let mut throttle = Throttle::new(8);
        throttle.halve();
        throttle.halve();
        assert_eq!(throttle.limit(8, true), 2);
        (0..2).for_each(|_| throttle.did_well(8));
        assert_eq!(throttle.limit(8, true), 3);
        (0..100).for_each(|_| throttle.halve());
        assert_eq!(throttle.limit(8, true), 1);
        (0..40).for_each(|_| throttle.did_well(8));
        assert_eq!(throttle.limit(8, true), 8);
        assert!(throttle.is_unmarked(8));
    }
}
