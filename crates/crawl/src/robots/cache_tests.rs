//! The state machine on a virtual clock.

use proptest::prelude::*;

use super::*;

const SITE: &str = "http://a:80";
const DAY: Duration = Duration::from_secs(24 * 3600);

struct Bench {
    cache: RobotsCache,
    now: SystemTime,
}

impl Bench {
    fn new() -> Self {
        Self { cache: RobotsCache::new("bot", RobotsOptions::default()), now: SystemTime::UNIX_EPOCH + 20_000 * DAY }
    }

    fn ask(&mut self) -> Asked {
        self.cache.ask(SITE, self.now)
    }

    fn status(&mut self, status: u16, location: Option<&str>, body: &str) -> Answered {
        let answer =
            Answer::Status { status, location: location.map(str::as_bytes), retry_after: None, body: body.as_bytes() };
        self.cache.answer(SITE, answer, self.now)
    }

    /// Asks, and answers alike until it is settled.
    fn settle(&mut self, mut answer: impl FnMut(&mut Self) -> Answered) -> Arc<Policy> {
        assert!(matches!(self.ask(), Asked::Fetch(_)));
        loop {
            match answer(self) {
                Answered::Known(policy) => return policy,
                Answered::Follow(_) => {}
                Answered::Again(time) => {
                    assert!(matches!(self.ask(), Asked::WaitUntil(until) if until == time));
                    self.now = time;
                    assert!(matches!(self.ask(), Asked::Fetch(_)));
                }
            }
        }
    }

    fn settle_status(&mut self, status: u16) -> Arc<Policy> {
        self.settle(|bench| bench.status(status, None, "user-agent: *\ndisallow: /"))
    }
}

fn allows(policy: &Policy) -> bool {
    policy.verdict("/page").allowed
}

#[test]
fn the_first_one_fetches_and_the_others_wait() {
    let mut bench = Bench::new();
    assert!(matches!(bench.ask(), Asked::Fetch(address) if address == "http://a:80/robots.txt"));
    assert!(matches!(bench.ask(), Asked::Wait));
    bench.status(200, None, "user-agent: bot\ndisallow: /page");
    assert!(matches!(bench.ask(), Asked::Known(policy) if !allows(&policy)));
}

#[test]
fn a_status_means_what_the_rfc_says() {
    for (status, allowed, unreachable) in [
        (200, false, false),
        (204, false, false),
        (300, true, false),
        (304, true, false),
        (401, true, false),
        (403, true, false),
        (404, true, false),
        (410, true, false),
        (429, true, false),
        (500, false, true),
        (503, false, true),
        (599, false, true),
    ] {
        let policy = Bench::new().settle_status(status);
        assert_eq!((allows(&policy), policy.is_unreachable()), (allowed, unreachable), "{status}");
    }
}

#[test]
fn failures_are_asked_again_before_they_count() {
    for (status, requests) in [(404, 1), (429, 3), (500, 3)] {
        let mut bench = Bench::new();
        let mut count = 0;
        bench.settle(|bench| {
            count += 1;
            bench.status(status, None, "")
        });
        assert_eq!(count, requests, "{status}");
    }
    let mut bench = Bench::new();
    bench.ask();
    bench.status(503, None, "");
    bench.now += Duration::from_secs(1);
    bench.ask();
    assert!(matches!(bench.status(200, None, ""), Answered::Known(policy) if allows(&policy)));
}

#[test]
fn a_retry_after_is_waited_for_up_to_a_minute() {
    for (header, seconds) in [(&b"7"[..], 7), (b"1000", 60), (b"-5", 1), (b"soon", 1)] {
        let mut bench = Bench::new();
        bench.ask();
        let answer = Answer::Status { status: 503, location: None, retry_after: Some(header), body: b"" };
        let expected = bench.now + Duration::from_secs(seconds);
        assert!(matches!(bench.cache.answer(SITE, answer, bench.now), Answered::Again(time) if time == expected));
    }
}

#[test]
fn no_answer_is_a_complete_disallow() {
    for timeout in [false, true] {
        let policy = Bench::new()
            .settle(|bench| bench.cache.answer(SITE, Answer::Error { timeout, message: "refused" }, bench.now));
        assert!(policy.is_unreachable() && !allows(&policy));
        assert_eq!(
            policy.verdict("/").reason.to_string(),
            "robots.txt can't be had (refused), which disallows everything"
        );
    }
}

#[test]
fn five_redirects_are_followed_and_the_sixth_is_no_file() {
    for (redirects, allowed) in [(0, false), (1, false), (5, false), (6, true)] {
        let mut left = redirects;
        let policy = Bench::new().settle(|bench| {
            left -= 1;
            match left {
                0.. => bench.status(301, Some(&format!("http://host{left}/r")), ""),
                _ => bench.status(200, None, "user-agent: *\ndisallow: /page"),
            }
        });
        assert_eq!(allows(&policy), allowed, "{redirects}");
    }
}

#[test]
fn a_redirect_is_relative_to_the_hop_that_gave_it() {
    let mut bench = Bench::new();
    bench.ask();
    assert!(matches!(bench.status(302, Some("https://b/x/y"), ""), Answered::Follow(next) if next == "https://b/x/y"));
    assert!(matches!(bench.status(302, Some("../z#f"), ""), Answered::Follow(next) if next == "https://b/z"));
    assert!(matches!(bench.ask(), Asked::Wait));
    assert!(matches!(bench.status(302, Some("ftp://b/"), ""), Answered::Known(policy) if allows(&policy)));
}

#[test]
fn a_redirect_to_nowhere_is_no_file() {
    for location in [None, Some("http://"), Some("data:,")] {
        assert!(allows(&Bench::new().settle(|bench| bench.status(302, location, ""))));
    }
}

#[test]
fn a_file_is_good_for_a_day_and_no_longer() {
    let mut bench = Bench::new();
    bench.settle_status(200);
    bench.now += Duration::from_secs(24 * 3600 - 1);
    assert!(matches!(bench.ask(), Asked::Known(_)));
    bench.now += Duration::from_secs(1);
    assert!(matches!(bench.ask(), Asked::Fetch(_)));
    assert!(matches!(bench.status(304, None, ""), Answered::Known(policy) if !allows(&policy)));
}

#[test]
fn a_copy_stays_good_while_the_site_is_out_of_reach() {
    let mut bench = Bench::new();
    bench.settle(|bench| bench.status(200, None, "user-agent: *\ndisallow: /x"));
    bench.now += DAY;
    let policy = bench.settle_status(500);
    assert!(allows(&policy) && !policy.verdict("/x").allowed);
}

#[test]
fn a_site_out_of_reach_is_asked_again_and_allowed_after_thirty_days() {
    let mut bench = Bench::new();
    let begin = bench.now;
    let mut asked = 0;
    loop {
        let policy = bench.settle_status(503);
        let is_over = bench.now.duration_since(begin).unwrap() >= 30 * DAY;
        assert_eq!(allows(&policy), is_over);
        if is_over {
            break;
        }
        assert!(matches!(bench.ask(), Asked::Known(_)));
        bench.now += Duration::from_secs(3600);
        asked += 1;
    }
    assert!((718..=720).contains(&asked), "{asked}");
    bench.now += DAY;
    assert!(!allows(&bench.settle_status(200)));
    assert_eq!(bench.cache.unreachable_since(SITE), None);
}

#[test]
fn the_thirty_days_outlive_the_process() {
    let mut bench = Bench::new();
    let since = bench.now - 30 * DAY;
    bench.cache.restore_unreachable(SITE, since);
    assert!(allows(&bench.settle_status(503)));
}

#[test]
fn a_request_that_was_lost_is_made_again() {
    let mut bench = Bench::new();
    bench.ask();
    bench.now += Duration::from_secs(899);
    assert!(matches!(bench.ask(), Asked::Wait));
    bench.now += Duration::from_secs(1);
    assert!(matches!(bench.ask(), Asked::Fetch(_)));
}

fn answers() -> impl Strategy<Value = (u16, bool, u64)> {
    let status =
        prop_oneof![Just(0_u16), Just(200), Just(301), Just(304), Just(404), Just(429), Just(503), 100_u16..=999];
    (status, any::<bool>(), 0_u64..40 * 24 * 3600)
}

proptest! {
    #[test]
    fn whatever_a_site_answers_it_is_settled_after_some_requests(answers in proptest::collection::vec(answers(), 1..40)) {
        let mut bench = Bench::new();
        let mut requests = 0;
        for (status, flag, seconds) in answers {
            match bench.ask() {
                Asked::Known(policy) => {
                    prop_assert!(policy.verdict("/robots.txt").allowed);
                    requests = 0;
                }
                Asked::Wait => {}
                Asked::WaitUntil(time) => bench.now = time,
                Asked::Fetch(address) => prop_assert!(address.starts_with(SITE)),
            }
            let answer = match status {
                0 => Answer::Error { timeout: flag, message: "lost" },
                _ => Answer::Status {
                    status,
                    location: flag.then_some(&b"/elsewhere"[..]),
                    retry_after: flag.then_some(&b"5"[..]),
                    body: b"user-agent: *\ndisallow: /x",
                },
            };
            requests += 1;
            match bench.cache.answer(SITE, answer, bench.now) {
                Answered::Known(_) => {
                    requests = 0;
                    bench.now += Duration::from_secs(seconds);
                }
                Answered::Follow(_) | Answered::Again(_) => prop_assert!(requests < 18, "three tries with five redirects each"),
            }
        }
    }
}
