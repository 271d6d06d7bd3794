//! The `Retry-After` header: seconds or a date.

use std::time::{Duration, SystemTime};

/// The longest that is waited for; who asks for more is asked again after an hour.
const LONGEST: Duration = Duration::from_secs(3600);

/// What asks for more than a day is a mistake or a trap, and counts as no header.
const ABSURD: Duration = Duration::from_secs(24 * 3600);

/// How long a server asks to be left alone. None for what is negative, past, no number and no date, or more than a day; at most an hour.
pub fn parse_retry_after(value: &[u8], now: SystemTime) -> Option<Duration> {
    let value = std::str::from_utf8(value).ok()?.trim();
    let asked = if value.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(value.parse().ok()?)
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).ok()?
    };
    (!asked.is_zero() && asked <= ABSURD).then(|| asked.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: &str) -> Option<u64> {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        parse_retry_after(value.as_bytes(), now).map(|delay| delay.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_read() {
        for (value, expected) in [
            ("120", Some(120)),
            (" 5 ", Some(5)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
        ] {
            assert_eq!(read(value), expected, "{value}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_header() {
        for value in [
            "0",
            "-5",
            "",
            "soon",
            "1.5",
            "1000000000",
            "99999999999999999999999",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1983 08:49:37 GMT",
            "Sun, 06 Nov 2094 08:49:37 GMT",
            "٣",
        ] {
            assert_eq!(read(value), None, "{value}");
        }
    }

    #[test]
    fn more_than_an_hour_is_an_hour() {
        assert_eq!(
            (read("3600"), read("3601"), read("86400"), read("86401")),
            (Some(3600), Some(3600), Some(3600), None)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            parse_retry_after(&value, SystemTime::UNIX_EPOCH);
        }
    }
}
