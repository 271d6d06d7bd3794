//! The hosts that are leased to this worker: kept so by a task of its own, for as long as the frontier lives.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::link::Link;
use super::schema;
use crate::frontier::sqlite::value::duration_to_millis;

/// When the leases were last known to hold, and for how long they did from then on.
#[derive(Clone)]
pub(super) struct Leases {
    // Protects the time alone.
    renewed: Arc<Mutex<Instant>>,
    pub(super) length: Duration,
}

impl Leases {
    pub(super) fn new(length: Duration) -> Self {
        Self { renewed: Arc::new(Mutex::new(Instant::now())), length }
    }

    /// The length as the statements take it.
    pub(super) fn millis(&self) -> i64 {
        duration_to_millis(self.length)
    }

    /// Says that they were renewed by a statement that was sent at this time, and not before.
    pub(super) fn renew(&self, sent: Instant) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = sent;
    }

    /// True where they hold for a third of their length at least, by any clock: what is started now may end within it.
    pub(super) fn hold(&self) -> bool {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < self.length * 2 / 3
    }
}

/// The task that renews; it ends with the value.
pub(super) struct Renewal(tokio::task::JoinHandle<()>);

impl Renewal {
    pub(super) fn start(mut link: Link, leases: Leases, worker: String) -> Self {
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(leases.length / 4).await;
                // Leases that can't be renewed in time stop the handing out; they are looked through before it goes on.
                if !leases.hold() {
                    continue;
                }
                let sent = Instant::now();
                if link.query(schema::RENEW, &[&worker, &leases.millis()]).await.is_ok() {
                    leases.renew(sent);
                }
            }
        }))
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}
