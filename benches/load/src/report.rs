//! The figures, and the text in which they are handed over: a name and a number on each line.

use std::fmt::Write;
use std::time::Duration;

use crate::processor_time::ProcessorTime;

pub(crate) struct Report {
    took: Vec<Duration>,
}

impl Report {
    pub(crate) fn new() -> Self {
        // So many that it rarely grows while the times are taken.
        Self { took: Vec::with_capacity(1 << 20) }
    }

    pub(crate) fn add(&mut self, took: Duration) {
        self.took.push(took);
    }

    /// Returns the lines.
    ///
    /// `message_count` includes the warm-up; all else is of the time after it, which was `elapsed`.
    pub(crate) fn text(mut self, message_count: u64, elapsed: Duration, spent: &ProcessorTime) -> String {
        self.took.sort_unstable();
        let counted = u32::try_from(self.took.len()).unwrap_or(u32::MAX);
        let each = |time: Duration| microseconds(time) / f64::from(counted.max(1));
        let figures = [
            ("requests_per_second", f64::from(counted) / elapsed.as_secs_f64()),
            ("p50_us", microseconds(self.at_percent(50))),
            ("p99_us", microseconds(self.at_percent(99))),
            ("server_us_each", each(spent.server)),
            ("server_user_us_each", each(spent.server_user)),
            ("own_us_each", each(spent.own)),
        ];
        let mut text = format!("messages {message_count}\n");
        for (name, figure) in figures {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name} {figure:.3}");
        }
        text
    }

    fn at_percent(&self, percent: usize) -> Duration {
        self.took.get(self.took.len() * percent / 100).copied().unwrap_or_default()
    }
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::{Duration, ProcessorTime, Report};

    #[test]
    fn the_99th_of_a_hundred_is_the_slowest_but_none() {
        let mut report = Report::new();
        (1..=100).rev().for_each(|number| report.add(Duration::from_micros(number)));
        let spent =
            ProcessorTime { server: Duration::from_micros(200), server_user: Duration::ZERO, own: Duration::ZERO };
        let text = report.text(120, Duration::from_secs(2), &spent);
        for line in
            ["messages 120", "requests_per_second 50.000", "p50_us 51.000", "p99_us 100.000", "server_us_each 2.000"]
        {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
