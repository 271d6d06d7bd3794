//! The records of a file that are meant for one product token: all its groups merged, or those for all where it has none.

use super::delay::{self, RobotsDelay};
use super::lines::{Key, Record, records};
use super::token::{Addressee, addressee};

/// One allow or disallow line.
#[derive(Debug, Clone, Copy)]
pub(super) struct RuleLine<'a> {
    pub(super) is_allow: bool,
    pub(super) pattern: &'a [u8],
    pub(super) text: &'a [u8],
    pub(super) line: u32,
}

/// The rules of one or several groups.
#[derive(Debug, Default)]
pub(super) struct Group<'a> {
    pub(super) rules: Vec<RuleLine<'a>>,
    pub(super) delay: Option<RobotsDelay>,
}

/// What of a file is meant for one token.
#[derive(Debug, Default)]
pub(super) struct Selected<'a> {
    pub(super) group: Group<'a>,
    pub(super) sitemaps: Vec<&'a [u8]>,
}

/// Picks what is meant for `token`.
///
/// A group begins with user-agent lines and ends where another begins after a rule. Records outside the RFC end no group (2.2.4), so
/// that a `Crawl-delay` between two user-agent lines holds for the first, and the rules below for both.
pub(super) fn select<'a>(body: &'a [u8], token: &str) -> Selected<'a> {
    let mut ours = Group::default();
    let mut everyones = Group::default();
    let mut sitemaps = Vec::new();
    let mut is_for = (false, false);
    let mut are_named = false;
    let mut has_rules = false;
    for record in records(body) {
        match record.key {
            Key::UserAgent => {
                if has_rules {
                    (is_for, has_rules) = ((false, false), false);
                }
                match addressee(record.value, token) {
                    Addressee::Us => (is_for.0, are_named) = (true, true),
                    Addressee::All => is_for.1 = true,
                    Addressee::Another => {}
                }
            }
            Key::Sitemap if !record.value.is_empty() => sitemaps.push(record.value),
            Key::Sitemap => {}
            Key::Allow | Key::Disallow | Key::CrawlDelay | Key::RequestRate => {
                has_rules |= matches!(record.key, Key::Allow | Key::Disallow);
                if is_for.0 {
                    ours.add(&record);
                }
                if is_for.1 {
                    everyones.add(&record);
                }
            }
        }
    }
    Selected { group: if are_named { ours } else { everyones }, sitemaps }
}

impl<'a> Group<'a> {
    fn add(&mut self, record: &Record<'a>) {
        let asked = match record.key {
            Key::CrawlDelay => delay::crawl_delay(record.value),
            Key::RequestRate => delay::request_rate(record.value),
            _ => {
                // An empty pattern is the old way to say that there is no rule.
                if !record.value.is_empty() {
                    let is_allow = record.key == Key::Allow;
                    self.rules.push(RuleLine { is_allow, pattern: record.value, text: record.text, line: record.line });
                }
                return;
            }
        };
        // Of several, the one that is asked for most.
        if let Some(asked) = asked.filter(|&asked| self.delay.is_none_or(|delay| asked > delay.asked)) {
            self.delay = Some(RobotsDelay::new(asked, record.line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(body: &str, token: &str) -> Vec<u32> {
        select(body.as_bytes(), token).group.rules.iter().map(|rule| rule.line).collect()
    }

    #[test]
    fn all_groups_of_a_token_are_one() {
        let body = "user-agent: a\nallow: /1\nuser-agent: b\nallow: /2\n\nuser-agent: c\nuser-agent: A\nallow: /3\n";
        assert_eq!(lines(body, "a"), [2, 8]);
        assert_eq!(lines(body, "c"), [8]);
        assert_eq!(lines(body, "d"), [0; 0]);
    }

    #[test]
    fn the_group_for_all_is_for_those_who_are_not_named() {
        let body = "user-agent: *\ndisallow: /1\nuser-agent: a\nuser-agent: b\n";
        assert_eq!(lines(body, "other"), [2]);
        assert_eq!(lines(body, "a"), [0; 0]);
    }

    #[test]
    fn rules_before_any_user_agent_are_for_nobody() {
        assert_eq!(lines("disallow: /\nuser-agent: *\ndisallow: /1", "a"), [3]);
    }

    #[test]
    fn other_records_end_no_group() {
        let body =
            "user-agent: a\ncrawl-delay: 5\nsitemap: /s\nfoo: bar\nuser-agent: *\ndisallow: /1\ncrawl-delay: 900";
        assert_eq!(lines(body, "a"), [6]);
        let asked = |token| select(body.as_bytes(), token).group.delay.unwrap();
        assert_eq!((asked("a").asked.as_secs(), asked("a").line), (900, 7));
        assert_eq!((asked("b").asked.as_secs(), asked("b").delay.as_secs(), asked("b").is_capped()), (900, 60, true));
    }

    #[test]
    fn an_empty_rule_ends_the_user_agents_and_says_nothing() {
        let body = "user-agent: a\ndisallow:\nuser-agent: *\ndisallow: /";
        assert_eq!(lines(body, "a"), [0; 0]);
        assert_eq!(lines(body, "b"), [4]);
    }

    #[test]
    fn sitemaps_are_for_everybody() {
        let body = "sitemap: /1\nuser-agent: a\nsitemap: https://x/2\nsitemap:\n";
        assert_eq!(select(body.as_bytes(), "b").sitemaps, [&b"/1"[..], b"https://x/2"]);
    }
}
