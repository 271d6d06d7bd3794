//! The desk's part that knows what goes with a host to whoever goes on with it: a resumed crawl, another worker.

use std::time::{Duration, Instant, SystemTime};

use crate::engine::desk::Desk;
use crate::frontier::HostState;

/// Stores keep whole milliseconds, rounded down.
const GRAIN: Duration = Duration::from_millis(1);

impl Desk {
    /// What is to be kept of hosts and was not yet.
    pub(crate) fn hosts_to_keep(&mut self) -> Vec<HostState> {
        let (now, time) = (Instant::now(), SystemTime::now());
        let mut hosts = std::mem::take(&mut self.answered_hosts);
        hosts.extend(self.politeness.held(now).into_iter().map(|(host, until)| HostState {
            host: host.to_string(),
            next_allowed: time.checked_add(until.saturating_duration_since(now) + GRAIN),
            ..HostState::default()
        }));
        hosts
    }

    /// Takes what others knew of hosts, before anything of them is asked for.
    pub(crate) fn take_over(&mut self, hosts: Vec<HostState>) {
        let (now, time) = (Instant::now(), SystemTime::now());
        for HostState { host, next_allowed, crawl_delay, robots } in hosts {
            let until = next_allowed.and_then(|next| now.checked_add(next.duration_since(time).ok()?));
            if let Some(until) = until {
                self.politeness.hold(&host, until);
            }
            let policy = self.robots.as_mut().zip(robots).and_then(|(known, kept)| known.restore(&host, &kept, time));
            let delay = policy.and_then(|policy| Some(policy.delay()?.delay)).or(crawl_delay);
            if let Some(delay) = delay.filter(|delay| !delay.is_zero() && self.robots.is_some()) {
                self.politeness.set_delay(&host, delay);
            }
        }
    }
}
