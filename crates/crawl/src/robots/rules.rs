//! The rules of one file for one token, in a form that is small to keep and quick to ask.
//!
//! Plain patterns (beginnings of paths) are sorted; each knows the longest other one that it begins with, so that all beginnings of a
//! path are found by one binary search and a walk up. Patterns with signs are tried in the order of their weight.

use std::borrow::Cow;
use std::fmt;

use super::Availability;
use super::delay::RobotsDelay;
use super::group::{RuleLine, Selected, select};
use super::lines::{MAX_BYTES, MAX_LINE_BYTES};
use super::path::{Spelled, spell_path, spell_pattern};
use super::pattern;

const NONE: u32 = u32::MAX;

/// A stretch of [`Rules::pool`].
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    length: u32,
}

#[derive(Debug, Clone, Copy)]
struct Rule {
    /// The spelled pattern; without its stars at the end where it is plain.
    pattern: Span,
    /// The line as it stands in the file.
    text: Span,
    line: u32,
    /// Of plain rules: the longest other plain one that this one begins with.
    shorter: u32,
    /// The octets of the whole pattern: the rule with the most decides.
    weight: u32,
    is_allow: bool,
    is_for_queries: bool,
}

impl Rule {
    /// Allow wins among equals.
    fn rank(&self) -> (u32, bool) {
        (self.weight, self.is_allow)
    }
}

/// What one robots.txt says to one product token.
#[derive(Debug, Default)]
pub struct Rules {
    pool: Box<[u8]>,
    plain: Box<[Rule]>,
    signed: Box<[Rule]>,
    sitemaps: Box<[Box<str>]>,
    delay: Option<RobotsDelay>,
}

/// Whether a path may be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// True where it may.
    pub allowed: bool,
    /// What decided it.
    pub reason: Reason<'a>,
}

/// What decided a [`Verdict`]; `Display` says it in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason<'a> {
    /// No rule matches.
    NoRule,
    /// It is the robots.txt itself.
    RobotsFile,
    /// This rule.
    Rule {
        /// Its line, counted from 1.
        line: u32,
        /// The line without its comment.
        text: Cow<'a, str>,
    },
    /// There is no robots.txt: all is allowed.
    Unavailable(&'a Availability),
    /// The robots.txt can't be had now: nothing is allowed.
    Unreachable(&'a Availability),
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRule => write!(formatter, "no rule of robots.txt matches"),
            Self::RobotsFile => write!(formatter, "robots.txt itself may always be fetched"),
            Self::Rule { line, text } => write!(formatter, "line {line} of robots.txt: {text}"),
            Self::Unavailable(why) => {
                write!(formatter, "there is no robots.txt ({why}), so that everything is allowed")
            }
            Self::Unreachable(why) => write!(formatter, "robots.txt can't be had ({why}), which disallows everything"),
        }
    }
}

impl Rules {
    /// Reads a robots.txt, whatever it is made of, for one product token.
    pub fn parse(body: &[u8], token: &str) -> Self {
        let Selected { group, sitemaps } = select(body, token);
        let mut builder = Builder::default();
        for rule in &group.rules {
            builder.add(rule);
        }
        let sitemaps = sitemaps.iter().map(|address| String::from_utf8_lossy(address).into()).collect();
        builder.finish(sitemaps, group.delay)
    }

    /// Whether a path with its query may be fetched: the rule with the longest pattern decides, an allow among equals.
    pub fn verdict(&self, path_and_query: &str) -> Verdict<'_> {
        let path = spell_path(path_and_query.as_bytes());
        if *path.plain == *b"/robots.txt" {
            return Verdict { allowed: true, reason: Reason::RobotsFile };
        }
        match self.best(&path) {
            None => Verdict { allowed: true, reason: Reason::NoRule },
            Some(rule) => {
                let text = String::from_utf8_lossy(self.octets(rule.text));
                Verdict { allowed: rule.is_allow, reason: Reason::Rule { line: rule.line, text } }
            }
        }
    }

    /// How far apart the requests shall be, where the file says so.
    pub fn delay(&self) -> Option<RobotsDelay> {
        self.delay
    }

    /// The sitemaps that the file names, as written.
    pub fn sitemaps(&self) -> impl Iterator<Item = &str> {
        self.sitemaps.iter().map(|address| &**address)
    }

    /// A robots.txt that says the same, for a store of text: octets that are no printable ASCII are `%XX`, which means the same.
    /// None where it would be too long to be read as a whole.
    pub(super) fn to_text(&self) -> Option<String> {
        let delay = self.delay.map(|delay| format!("Crawl-delay: {}\n", delay.asked.as_secs_f64()));
        let mut text = format!("User-agent: *\n{}", delay.unwrap_or_default());
        let mut spans: Vec<Span> = self.plain.iter().chain(&self.signed).map(|rule| rule.text).collect();
        spans.sort_by_key(|span| span.start);
        spans.dedup_by_key(|span| span.start);
        for span in spans {
            let start = text.len();
            for byte in self.octets(span) {
                match byte {
                    b'\t' | b' '..=b'~' => text.push(char::from(*byte)),
                    _ => text.extend(percent(*byte)),
                }
            }
            if text.len() - start > MAX_LINE_BYTES {
                return None;
            }
            text.push('\n');
        }
        (text.len() <= MAX_BYTES).then_some(text)
    }

    /// The bytes of memory that it takes.
    pub fn memory_bytes(&self) -> usize {
        let rules = self.plain.len() + self.signed.len();
        let sitemaps: usize = self.sitemaps.iter().map(|address| address.len() + size_of::<Box<str>>()).sum();
        size_of::<Self>() + self.pool.len() + rules * size_of::<Rule>() + sitemaps
    }

    fn octets(&self, span: Span) -> &[u8] {
        &self.pool[span.start as usize..][..span.length as usize]
    }

    fn best(&self, path: &Spelled<'_>) -> Option<&Rule> {
        let mut best = self.best_plain(&path.plain, false);
        if path.query_slashes.is_some() {
            best = better(best, self.best_plain(path.for_queries(), true));
        }
        for rule in &self.signed {
            if best.is_some_and(|best| best.rank() >= rule.rank()) {
                break;
            }
            let spelled = if rule.is_for_queries { path.for_queries() } else { &path.plain };
            if pattern::matches(self.octets(rule.pattern), spelled) {
                return Some(rule);
            }
        }
        best
    }

    /// The best plain rule that the path begins with. `only_for_queries`: of those that name a query.
    fn best_plain(&self, path: &[u8], only_for_queries: bool) -> Option<&Rule> {
        // The last rule that is not behind the path in the order; each that the path begins with is among it and those it begins with.
        let mut next = self.plain.partition_point(|rule| self.octets(rule.pattern) <= path).checked_sub(1);
        let mut best = None;
        while let Some(rule) = next.and_then(|index| self.plain.get(index)) {
            if (rule.is_for_queries || !only_for_queries) && path.starts_with(self.octets(rule.pattern)) {
                best = better(best, Some(rule));
            }
            next = (rule.shorter != NONE).then_some(rule.shorter as usize);
        }
        best
    }
}

fn better<'a>(one: Option<&'a Rule>, other: Option<&'a Rule>) -> Option<&'a Rule> {
    match (one, other) {
        (Some(first), Some(second)) => Some(if second.rank() > first.rank() { second } else { first }),
        (first, second) => first.or(second),
    }
}

#[derive(Default)]
struct Builder {
    pool: Vec<u8>,
    plain: Vec<Rule>,
    signed: Vec<Rule>,
}

impl Builder {
    fn add(&mut self, rule: &RuleLine<'_>) {
        let text = self.keep(rule.text);
        // Most often the pattern is the end of its line, spelled as it is written: then it is kept only once.
        let place = rule.text.ends_with(rule.pattern).then(|| text.start + text.length - length(rule.pattern));
        self.add_pattern(rule, rule.pattern, text, place);
        if rule.is_allow {
            if let Some(folder) = folder_of_index(rule.pattern) {
                self.add_pattern(rule, &[folder, b"$"].concat(), text, None);
            }
        }
    }

    fn add_pattern(&mut self, rule: &RuleLine<'_>, written: &[u8], text: Span, place: Option<u32>) {
        let spelled = spell_pattern(written);
        let weight = length(&spelled.octets);
        let without_stars = trim_stars(&spelled.octets);
        let is_plain = !without_stars.contains(&b'*') && !without_stars.ends_with(b"$");
        let kept = if is_plain { without_stars } else { &spelled.octets };
        // A path begins with `/`, so that nothing else can match.
        if !matches!(kept.first(), None | Some(b'/' | b'*')) {
            return;
        }
        let pattern = match place {
            Some(start) if written.starts_with(kept) => Span { start, length: length(kept) },
            _ => self.keep(kept),
        };
        let rule = Rule {
            pattern,
            text,
            line: rule.line,
            shorter: NONE,
            weight,
            is_allow: rule.is_allow,
            is_for_queries: spelled.is_for_queries,
        };
        if is_plain { self.plain.push(rule) } else { self.signed.push(rule) }
    }

    fn keep(&mut self, octets: &[u8]) -> Span {
        let start = length(&self.pool);
        self.pool.extend_from_slice(octets);
        Span { start, length: length(octets) }
    }

    fn finish(mut self, sitemaps: Box<[Box<str>]>, delay: Option<RobotsDelay>) -> Rules {
        let pool = self.pool;
        let octets = |span: Span| &pool[span.start as usize..][..span.length as usize];
        self.plain.sort_by(|one, other| {
            octets(one.pattern).cmp(octets(other.pattern)).then_with(|| other.rank().cmp(&one.rank()))
        });
        self.plain.dedup_by(|later, kept| octets(later.pattern) == octets(kept.pattern));
        let mut open: Vec<usize> = Vec::new();
        for index in 0..self.plain.len() {
            let pattern = octets(self.plain[index].pattern);
            while open.last().is_some_and(|&last| !pattern.starts_with(octets(self.plain[last].pattern))) {
                open.pop();
            }
            self.plain[index].shorter = open.last().and_then(|&last| u32::try_from(last).ok()).unwrap_or(NONE);
            open.push(index);
        }
        self.signed.sort_by_key(|rule| std::cmp::Reverse(rule.rank()));
        let (plain, signed) = (self.plain.into_boxed_slice(), self.signed.into_boxed_slice());
        Rules { plain, signed, sitemaps, delay, pool: pool.into_boxed_slice() }
    }
}

/// A file is at most 500 KiB, and so is all that is made of it, three times over at most.
fn length(octets: &[u8]) -> u32 {
    u32::try_from(octets.len()).unwrap_or(NONE)
}

fn trim_stars(mut pattern: &[u8]) -> &[u8] {
    while let Some(rest) = pattern.strip_suffix(b"*") {
        pattern = rest;
    }
    pattern
}

fn percent(byte: u8) -> [char; 3] {
    let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
    ['%', digit(byte >> 4), digit(byte & 15)]
}

/// `/folder/` for `/folder/index.html`: who allows the one allows the other, as with Google.
fn folder_of_index(pattern: &[u8]) -> Option<&[u8]> {
    let slash = memchr::memrchr(b'/', pattern)?;
    pattern[slash + 1..].starts_with(b"index.htm").then(|| &pattern[..=slash])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(lines: &str) -> Rules {
        Rules::parse(format!("user-agent: *\n{lines}").as_bytes(), "bot")
    }

    #[test]
    fn a_verdict_names_the_line_that_decided() {
        let rules = rules("disallow: /a # no\nAllow : /a/b\n");
        let verdict = rules.verdict("/a/b/c");
        assert!(verdict.allowed);
        assert_eq!(verdict.reason.to_string(), "line 3 of robots.txt: Allow : /a/b");
        assert_eq!(rules.verdict("/a/c").reason.to_string(), "line 2 of robots.txt: disallow: /a");
        assert_eq!(rules.verdict("/b").reason, Reason::NoRule);
    }

    #[test]
    fn the_file_itself_may_always_be_fetched() {
        let rules = rules("disallow: /");
        assert_eq!(rules.verdict("/robots.txt"), Verdict { allowed: true, reason: Reason::RobotsFile });
        assert!(!rules.verdict("/robots.txt.bak").allowed);
    }

    #[test]
    fn the_longest_pattern_decides_and_allow_among_equals() {
        for (lines, path, allowed) in [
            ("disallow: /a\nallow: /a", "/a", true),
            ("allow: /a\ndisallow: /a*", "/ab", false),
            ("allow: /page\ndisallow: /*.htm", "/page.htm", false),
            ("allow: /$\ndisallow: /", "/", true),
            ("disallow: /a/b\nallow: /a/*\nallow: /", "/a/b", true),
            ("disallow: /*?\nallow: /xy", "/xy?a", true),
            ("disallow: /*?a\nallow: /x", "/x?a", false),
            ("disallow: foo", "/foo", true),
            ("disallow: *foo", "/foo", false),
            ("disallow: *", "/foo", false),
        ] {
            assert_eq!(rules(lines).verdict(path).allowed, allowed, "{lines} {path}");
        }
    }

    #[test]
    fn a_slash_that_is_encoded_in_a_query_is_a_slash() {
        let rules = rules("disallow: /go?to=http://\ndisallow: /a%2Fb");
        for (path, allowed) in [
            ("/go?to=http%3a%2f%2fx", false),
            ("/go?to=http://x", false),
            ("/a/b", true),
            ("/a%2fb", false),
            ("/go?to=x", true),
        ] {
            assert_eq!(rules.verdict(path).allowed, allowed, "{path}");
        }
    }

    #[test]
    fn many_rules_are_as_right_as_few() {
        let lines: Vec<String> =
            (0..10_000).map(|number| format!("disallow: /{number}/\nallow: /{number}/x")).collect();
        let rules = rules(&lines.join("\n"));
        assert!(
            !rules.verdict("/9999/").allowed && rules.verdict("/9999/x").allowed && rules.verdict("/10000/").allowed
        );
    }

    /// The rule that decides, by going through all of them.
    fn slow(lines: &[(bool, String)], path: &str) -> bool {
        let weight = |&(allow, ref text): &(bool, String)| {
            pattern::matches(text.as_bytes(), path.as_bytes()).then_some((text.len(), allow))
        };
        lines.iter().filter_map(weight).max().is_none_or(|(_, allow)| allow)
    }

    #[test]
    fn what_can_not_be_kept_as_a_whole_is_not_kept() {
        assert!(rules(&format!("disallow: /{}", "\u{e9}".repeat(4000))).to_text().is_none());
        let lines: Vec<String> =
            (0..5000).map(|number| format!("disallow: /{number}/{}", "\u{e9}".repeat(40))).collect();
        assert!(rules(&lines.join("\n")).to_text().is_none());
    }

    proptest! {
        #[test]
        fn the_compact_form_agrees_with_going_through_all(
            lines in proptest::collection::vec((any::<bool>(), "/[ab/*]{0,5}[$]?"), 0..12),
            path in "/[ab/]{0,8}",
        ) {
            let text: Vec<String> = lines.iter().map(|(allow, pattern)| format!("{}allow: {pattern}", if *allow { "" } else { "dis" })).collect();
            let rules = rules(&text.join("\n"));
            prop_assert_eq!(rules.verdict(&path).allowed, slow(&lines, &path));
            let again = Rules::parse(rules.to_text().unwrap().as_bytes(), "bot");
            prop_assert_eq!(again.verdict(&path).allowed, rules.verdict(&path).allowed);
        }

        #[test]
        fn what_is_kept_of_a_file_says_the_same(
            patterns in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..6), 0..6),
            path in proptest::collection::vec(any::<u8>(), 0..8),
        ) {
            let mut body = b"user-agent: bot\ncrawl-delay: 2.5\n".to_vec();
            for pattern in &patterns {
                body.extend([b"disallow: /", &pattern[..], b"\n"].concat());
            }
            let rules = Rules::parse(&body, "bot");
            let again = Rules::parse(rules.to_text().unwrap().as_bytes(), "bot");
            let path = format!("/{}", String::from_utf8_lossy(&path));
            prop_assert_eq!(again.verdict(&path).allowed, rules.verdict(&path).allowed);
            prop_assert_eq!(again.delay().map(|delay| delay.asked), rules.delay().map(|delay| delay.asked));
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..400), path in ".{0,20}") {
            Rules::parse(&bytes, "bot").verdict(&path);
        }

        #[test]
        fn any_pattern_is_read(pattern in proptest::collection::vec(any::<u8>(), 0..60), path in proptest::collection::vec(any::<u8>(), 0..60)) {
            let body = [b"user-agent: bot\ndisallow: ", &pattern[..], b"\nallow: /", &pattern[..]].concat();
            Rules::parse(&body, "bot").verdict(&String::from_utf8_lossy(&path));
        }
    }
}
