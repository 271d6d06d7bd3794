//! A frontier that several processes share (being built).

use std::sync::Arc;
use std::time::SystemTime;

use super::any::FrontierSettings;
use super::filter::KnownFilter;
use super::{Frontier, FrontierError, HostState, Identity, Wanted};
use crate::entry::{Counts, Entry, EntryId, NewEntry, Visit};

pub(super) enum PostgresFrontier {}

impl PostgresFrontier {
    #[allow(clippy::unused_async, reason = "it will connect")]
    pub(super) async fn open(_: &str, _: &Identity, _: &FrontierSettings) -> Result<Self, FrontierError> {
        Err(FrontierError::Unusable("a frontier in Postgres can't be opened yet".to_owned()))
    }

    pub(super) fn hash_key(&self) -> [u8; 16] {
        match *self {}
    }

    pub(super) fn is_resumed(&self) -> bool {
        match *self {}
    }

    pub(super) fn known_filter(&self) -> Arc<KnownFilter> {
        match *self {}
    }
}

impl Frontier for PostgresFrontier {
    async fn add(&mut self, _: Vec<NewEntry>) -> Result<Vec<bool>, FrontierError> {
        match *self {}
    }
    async fn take(&mut self, _: Wanted<'_>) -> Result<Vec<Entry>, FrontierError> {
        match *self {}
    }
    async fn record(&mut self, _: Vec<Visit>) -> Result<u64, FrontierError> {
        match *self {}
    }
    async fn give_back(&mut self, _: Vec<EntryId>) -> Result<(), FrontierError> {
        match *self {}
    }
    async fn keep_hosts(&mut self, _: Vec<HostState>) -> Result<(), FrontierError> {
        match *self {}
    }
    fn new_hosts(&mut self) -> Vec<HostState> {
        match *self {}
    }
    async fn flush(&mut self) -> Result<(), FrontierError> {
        match *self {}
    }
    async fn counts(&mut self) -> Result<Counts, FrontierError> {
        match *self {}
    }
    async fn next_due(&mut self) -> Result<Option<SystemTime>, FrontierError> {
        match *self {}
    }
}
