//! The desk's part that knows robots.txt: whose rules are known, and who waits for them.

use std::time::{Duration, Instant, SystemTime};

use crate::engine::desk::Desk;
use crate::engine::job::Job;
use crate::engine::plan::Plan;
use crate::frontier::HostState;
use crate::refusal::Refusal;
use crate::robots::{Answer, Answered, Asked};
use crate::url::host_key;

impl Desk {
    /// Sees to it that the host's rules are known or asked for.
    pub(super) fn ask_robots(&mut self, host: &str, now: SystemTime) {
        let Some(robots) = &mut self.robots else { return };
        match robots.ask(host, now) {
            Asked::Known(_) | Asked::Wait => {}
            Asked::Fetch(address) => {
                self.politeness.pause(host);
                self.politeness.push_urgent(host, Job::Robots { origin: host.to_owned(), address });
            }
            Asked::WaitUntil(time) => {
                self.politeness.pause(host);
                if !self.robots_due.iter().any(|(_, origin)| origin == host) {
                    self.robots_due.push((time, host.to_owned()));
                }
            }
        }
    }

    pub(super) fn robots_known(&mut self, host: &str, now: SystemTime) -> bool {
        self.robots.as_mut().is_none_or(|robots| matches!(robots.ask(host, now), Asked::Known(_)))
    }

    /// What the rules say; an error where they are not known (any more).
    pub(super) fn robots_refusal(&mut self, host: &str, url: &str) -> Result<Option<Refusal>, ()> {
        let Some(robots) = &mut self.robots else { return Ok(None) };
        let Asked::Known(policy) = robots.ask(host, SystemTime::now()) else { return Err(()) };
        let path = url.get(host.len()..).unwrap_or("/");
        if policy.verdict(path).allowed {
            return Ok(None);
        }
        Ok(Some(if policy.is_unreachable() { Refusal::RobotsUnreachable } else { Refusal::Robots }))
    }

    /// Takes what the request for a robots.txt gave.
    pub(crate) fn robots_answered(&mut self, plan: &Plan, origin: &str, answer: Answer<'_>, now: SystemTime) {
        let Some(robots) = &mut self.robots else { return };
        match robots.answer(origin, answer, now) {
            Answered::Known(policy) => {
                let delay = policy.delay().map(|delay| delay.delay).unwrap_or_default();
                self.politeness.set_delay(origin, delay);
                self.answered_hosts.push(HostState {
                    host: origin.to_owned(),
                    crawl_delay: Some(delay),
                    robots: robots.to_kept(origin),
                    ..HostState::default()
                });
                if plan.options.sitemaps && plan.seed_hosts.contains(origin) && self.mapped.insert(origin.to_owned()) {
                    let named: Vec<&str> = policy.sitemaps().collect();
                    self.additions.extend(plan.sitemap_entries(origin, &named));
                }
                self.politeness.resume(origin);
            }
            Answered::Follow(address) => {
                let host = host_key(&address).into_owned();
                self.politeness.push_urgent(&host, Job::Robots { origin: origin.to_owned(), address });
            }
            Answered::Again(time) => self.robots_due.push((time, origin.to_owned())),
        }
    }

    /// Asks again for what may be asked for again by now.
    pub(crate) fn ask_due_robots(&mut self, now: SystemTime) {
        if self.robots_due.iter().all(|(time, _)| *time > now) {
            return;
        }
        let (due, later): (Vec<_>, Vec<_>) = self.robots_due.drain(..).partition(|(time, _)| *time <= now);
        self.robots_due = later;
        for (_, origin) in due {
            self.ask_robots(&origin, now);
        }
    }

    /// How long until something may start that could not: a request to a host, a robots.txt.
    pub(crate) fn idle_time(&self, now: SystemTime) -> Option<Duration> {
        let robots = self.robots_due.iter().map(|(time, _)| time.duration_since(now).unwrap_or_default()).min();
        let start = self.wake_at.map(|time| time.saturating_duration_since(Instant::now()));
        robots.into_iter().chain(start).min()
    }
}
