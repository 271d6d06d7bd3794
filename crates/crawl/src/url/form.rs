//! The form of an address: what stays of it when numbers, dates and random tokens are taken out.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::parts::Parts;
use super::session::is_token;

/// What varies among the addresses of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Variation {
    /// Nothing: the form has one address.
    None,
    /// Numbers: articles, threads, pages of lists.
    Numbers,
    /// Texts that look drawn by lot: hashes, identifiers.
    Tokens,
    /// A date: a calendar.
    Dates,
}

/// The form of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// The hash of server and form.
    pub(crate) hash: u64,
    pub(crate) variation: Variation,
}

/// Parts of names by which a query parameter says that it is a piece of a date.
const DATE_NAMES: [&str; 8] = ["year", "month", "day", "week", "date", "yyyy", "when", "calendar"];

impl Form {
    /// Of a serialised address; none for what is not fetched.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let parts = Parts::of(url)?;
        let mut hasher = SipHasher13::new();
        hasher.write(parts.host.as_bytes());
        let mut variation = Variation::None;
        for segment in parts.path.split('/') {
            hasher.write(b"/");
            variation = variation.max(write_form(segment, &mut hasher));
        }
        if has_date(parts.path) {
            variation = Variation::Dates;
        }
        for parameter in parts.query.unwrap_or_default().split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            hasher.write(b"&");
            hasher.write(name.as_bytes());
            hasher.write(b"=");
            let varies = write_form(value, &mut hasher);
            let is_date = varies == Variation::Numbers && {
                let name = name.to_ascii_lowercase();
                DATE_NAMES.iter().any(|date| name.contains(date))
            };
            variation = variation.max(if is_date { Variation::Dates } else { varies });
        }
        // What the pieces are decides the limit, so that it belongs to the form.
        hasher.write(&[variation as u8]);
        Some(Self { hash: hasher.finish(), variation })
    }
}

/// Feeds a text with its varying pieces replaced by one byte each.
fn write_form(text: &str, hasher: &mut SipHasher13) -> Variation {
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        hasher.write(text.as_bytes());
        return Variation::None;
    }
    let mut variation = if is_iso_date(text) { Variation::Dates } else { Variation::None };
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let run = bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let rest = &text.as_bytes()[at..];
        if is_identifier(&rest[..rest.len().min(36)]) {
            hasher.write(&[1]);
            variation = variation.max(Variation::Tokens);
            at += 36;
        } else if run == 0 {
            hasher.write(&bytes[at..=at]);
            at += 1;
        } else {
            variation = variation.max(write_run(&text[at..at + run], hasher));
            at += run;
        }
    }
    variation
}

/// Feeds a run of letters and digits: as one token, or its digits replaced.
fn write_run(run: &str, hasher: &mut SipHasher13) -> Variation {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let is_hex = run.len() >= 8 && digits < run.len() && run.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits > 0 && (is_hex || is_token(run)) {
        hasher.write(&[1]);
        return Variation::Tokens;
    }
    let mut was_digit = false;
    for byte in run.bytes() {
        let is_digit = byte.is_ascii_digit();
        if !is_digit {
            hasher.write(&[byte]);
        } else if !was_digit {
            hasher.write(&[0]);
        }
        was_digit = is_digit;
    }
    if digits > 0 { Variation::Numbers } else { Variation::None }
}

/// RFC 9562's text form: 8-4-4-4-12 hexadecimal digits.
fn is_identifier(text: &[u8]) -> bool {
    text.len() == 36
        && text
            .iter()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { *byte == b'-' } else { byte.is_ascii_hexdigit() })
}

/// `2026-11`, `2026-11-23`, with any year of four or more digits.
fn is_iso_date(text: &str) -> bool {
    let mut pieces = text.split(['-', '_', '.']);
    let is_date = matches!((pieces.next(), pieces.next()), (Some(year), Some(month)) if is_year(year) && month.len() == 2 && is_in(month, 12));
    is_date && pieces.next().is_none_or(|day| day.len() == 2 && is_in(day, 31)) && pieces.next().is_none()
}

/// Whether a path has a year with a month behind it as segments, and no segment that varies otherwise (a numbered post of a day).
fn has_date(path: &str) -> bool {
    let months = path.split('/').skip(1).map(stem);
    let is_piece = |segment: &str| is_number(segment) && segment.len() <= 2;
    path.split('/').zip(months).any(|(year, month)| is_year(year) && is_in(month, 12))
        && path.split('/').all(|segment| {
            !segment.bytes().any(|byte| byte.is_ascii_digit()) || is_year(segment) || is_piece(stem(segment))
        })
}

/// A segment without an extension like `.html`.
fn stem(segment: &str) -> &str {
    match segment.split_once('.') {
        Some((stem, extension)) if extension.bytes().all(|byte| byte.is_ascii_alphabetic()) => stem,
        _ => segment,
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_year(text: &str) -> bool {
    (4..=6).contains(&text.len()) && is_number(text)
}

fn is_in(text: &str, greatest: u8) -> bool {
    text.len() <= 2 && text.parse().is_ok_and(|number: u8| (1..=greatest).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Form {
        Form::of(&format!("http://a{path}")).unwrap()
    }

    #[test]
    fn addresses_that_differ_in_what_varies_are_of_one_form() {
        let cases = [
            ("/p/1.html", "/p/4999.html", Variation::Numbers),
            ("/t?id=1&page=2", "/t?id=33&page=4", Variation::Numbers),
            ("/calendar/2026/11", "/calendar/12999/1", Variation::Dates),
            ("/calendar/2026/11/01.html", "/calendar/2031/12/28.html", Variation::Dates),
            ("/2026/11.html", "/2027/01.html", Variation::Dates),
            ("/2026/11/post-1", "/2026/12/post-2", Variation::Numbers),
            ("/2026/11/123456.html", "/2026/12/123457.html", Variation::Numbers),
            ("/events/2026-11-23", "/events/2027-01-01", Variation::Dates),
            ("/c?year=2026&month=1", "/c?year=2030&month=12", Variation::Dates),
            ("/commit/d41d8cd98f00", "/commit/e4da3b7fbbce2", Variation::Tokens),
            (
                "/s/0b9af5e1-7c3d-4b6e-9d2e-abcdefabcdef/x",
                "/s/6fa459ea-ee8a-3ca4-894e-db77e160355e/x",
                Variation::Tokens,
            ),
        ];
        for (one, other, variation) in cases {
            assert_eq!(of(one), of(other));
            assert_eq!(of(one).variation, variation, "{one}");
        }
    }

    #[test]
    fn words_make_forms_of_their_own() {
        assert_ne!(of("/std/struct.Vec.html").hash, of("/std/struct.Box.html").hash);
        assert_eq!(of("/std/struct.Vec.html").variation, Variation::None);
        assert_ne!(of("/2026/11/first-post").hash, of("/2026/11/second-post").hash);
        assert_ne!(of("/i?title=One").hash, of("/i?title=Two").hash);
        assert_ne!(of("/a/1").hash, of("/b/1").hash);
        assert_eq!(of("/3.11/whatsnew").variation, Variation::Numbers);
        assert_eq!(of("/v/1200/500").variation, Variation::Numbers);
    }
}
