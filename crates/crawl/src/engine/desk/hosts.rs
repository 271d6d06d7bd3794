//! The desk's part that knows what goes with a host to whoever goes on with it: a resumed crawl, another worker.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use crate::engine::desk::Desk;
use crate::frontier::HostState;

/// Stores keep whole milliseconds, rounded down.
const GRAIN: Duration = Duration::from_millis(1);

impl Desk {
    /// What is to be kept of hosts and was not yet, one state a host; at the end of the crawl what would wait otherwise, too.
    pub(crate) fn hosts_to_keep(&mut self, is_last: bool) -> Vec<HostState> {
        let (now, time) = (Instant::now(), SystemTime::now());
        let mut hosts: HashMap<String, HostState> = HashMap::new();
        for answered in std::mem::take(&mut self.answered_hosts) {
            hosts.insert(answered.host.clone(), answered);
        }
        for (host, until) in self.politeness.held(now) {
            let next = time.checked_add(until.saturating_duration_since(now) + GRAIN);
            state_of(&mut hosts, &host).next_allowed = next;
        }
        for (host, traps) in self.traps.hosts_to_keep(is_last) {
            state_of(&mut hosts, &host).traps = Some(traps);
        }
        hosts.into_values().collect()
    }

    /// Takes what others knew of hosts, before anything of them is asked for.
    pub(crate) fn take_over(&mut self, hosts: Vec<HostState>) {
        let (now, time) = (Instant::now(), SystemTime::now());
        for HostState { host, next_allowed, crawl_delay, robots, traps } in hosts {
            if let Some(traps) = traps {
                self.traps.restore(&host, &traps);
            }
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

fn state_of<'a>(hosts: &'a mut HashMap<String, HostState>, host: &str) -> &'a mut HostState {
    hosts.entry(host.to_owned()).or_insert_with(|| HostState { host: host.to_owned(), ..HostState::default() })
}
