//! How far apart a site wants the requests to be: `Crawl-delay` and `Request-rate`, which the RFC leaves to the crawler.

use std::time::Duration;

/// The longest delay that is kept to; a site that asks for more is asked every minute.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// The time between two requests that a robots.txt asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RobotsDelay {
    /// What is kept to: what was asked for, at most a minute.
    pub delay: Duration,
    /// What was asked for.
    pub asked: Duration,
    /// The line that asks for it.
    pub line: u32,
}

impl RobotsDelay {
    pub(super) fn new(asked: Duration, line: u32) -> Self {
        Self { delay: asked.min(MAX_DELAY), asked, line }
    }

    /// True where the site asked for more than is kept to.
    pub fn is_capped(&self) -> bool {
        self.asked > self.delay
    }
}

/// `Crawl-delay: 2.5`; none for what is no number of seconds above zero.
pub(super) fn crawl_delay(value: &[u8]) -> Option<Duration> {
    let seconds: f64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    positive(seconds)
}

/// `Request-rate: 1/10`, `30/1m`, with or without the hours for which it is meant: it is kept to at all hours.
pub(super) fn request_rate(value: &[u8]) -> Option<Duration> {
    let rate = std::str::from_utf8(value).ok()?.split_ascii_whitespace().next()?;
    let (requests, period) = rate.split_once('/')?;
    let requests: u32 = requests.parse().ok()?;
    let (number, unit_seconds) = match period.char_indices().next_back()? {
        (end, 's' | 'S') => (&period[..end], 1),
        (end, 'm' | 'M') => (&period[..end], 60),
        (end, 'h' | 'H') => (&period[..end], 3600),
        (end, 'd' | 'D') => (&period[..end], 86_400),
        _ => (period, 1),
    };
    let number: u32 = if number.is_empty() { 1 } else { number.parse().ok()? };
    positive(f64::from(number) * f64::from(unit_seconds) / f64::from(requests))
}

fn positive(seconds: f64) -> Option<Duration> {
    (seconds > 0.0).then_some(())?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crawl_delay_is_a_number_of_seconds() {
        for (value, expected) in [
            ("10", Some(10.0)),
            ("0.5", Some(0.5)),
            ("0", None),
            ("-1", None),
            ("ten", None),
            ("nan", None),
            ("inf", None),
            ("1e300", None),
            ("", None),
        ] {
            assert_eq!(crawl_delay(value.as_bytes()), expected.map(Duration::from_secs_f64), "{value}");
        }
    }

    #[test]
    fn a_request_rate_is_a_delay() {
        for (value, expected) in [
            ("1/10", Some(10.0)),
            ("10/1m", Some(6.0)),
            ("1/5s 0600-0845", Some(5.0)),
            ("2/h", Some(1800.0)),
            ("0/1", None),
            ("1/0", None),
            ("1", None),
            ("a/b", None),
            ("1/ü", None),
        ] {
            assert_eq!(request_rate(value.as_bytes()), expected.map(Duration::from_secs_f64), "{value}");
        }
    }
}
