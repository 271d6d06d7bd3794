//! Connections that are kept for the next request to the same place.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Connection, Http1, Http2};

/// The kept connections of a client.
#[derive(Debug)]
pub(super) struct Pool {
    kept: Mutex<Kept>,
    idle_timeout: Duration,
    idle_count: usize,
}

#[derive(Debug)]
struct Kept {
    places: HashMap<String, Place>,
    /// HTTP/1.1 connections in all places.
    count: usize,
    swept: Instant,
}

#[derive(Debug, Default)]
struct Place {
    /// Those used last are at the end, and are used first: the others may end in peace.
    idle: Vec<(Box<Http1>, Instant)>,
    /// One connection for any number of requests.
    shared: Option<Http2>,
}

impl Pool {
    pub(super) fn new(idle_timeout: Duration, idle_count: usize) -> Self {
        let kept = Kept { places: HashMap::new(), count: 0, swept: Instant::now() };
        Self { kept: Mutex::new(kept), idle_timeout, idle_count }
    }

    /// A connection to a place that was used before.
    pub(super) fn take(&self, place: &str, now: Instant) -> Option<Connection> {
        let mut guard = self.lock();
        let kept = &mut *guard;
        let found = kept.places.get_mut(place)?;
        if let Some(shared) = &found.shared {
            if shared.is_open() {
                return Some(Connection::Two(shared.clone()));
            }
            found.shared = None;
        }
        let (connection, since) = found.idle.pop()?;
        kept.count -= 1;
        if now.duration_since(since) < self.idle_timeout {
            return Some(Connection::One(connection));
        }
        // The others have been idle for longer.
        let ended = std::mem::take(&mut found.idle);
        kept.count -= ended.len();
        drop(guard);
        drop(ended);
        None
    }

    /// Keeps a connection; the oldest go where there are too many.
    pub(super) fn put(&self, place: String, connection: Box<Http1>, now: Instant) {
        let mut ended = Vec::new();
        let mut kept = self.lock();
        if now.duration_since(kept.swept) > self.idle_timeout / 2 || kept.count >= self.idle_count {
            kept.sweep(now, self.idle_timeout, &mut ended);
        }
        if kept.count < self.idle_count {
            kept.count += 1;
            kept.places.entry(place).or_default().idle.push((connection, now));
        }
        drop(kept);
    }

    /// Keeps a connection that any number of requests share, unless there is one already.
    pub(super) fn share(&self, place: &str, connection: &Http2) {
        let mut kept = self.lock();
        let found = kept.places.entry(place.to_owned()).or_default();
        if found.shared.as_ref().is_none_or(|shared| !shared.is_open()) {
            found.shared = Some(connection.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Takes out what has been idle for too long; the caller drops it when the lock is open.
    fn sweep(&mut self, now: Instant, idle_timeout: Duration, ended: &mut Vec<(Box<Http1>, Instant)>) {
        self.swept = now;
        self.places.retain(|_, place| {
            let fresh = place.idle.partition_point(|(_, since)| now.duration_since(*since) >= idle_timeout);
            ended.extend(place.idle.drain(..fresh));
            place.shared = place.shared.take().filter(Http2::is_open);
            !place.idle.is_empty() || place.shared.is_some()
        });
        self.count -= ended.len();
    }
}
