//! What the tests of the link share: both ends in one process, and a worker that is another process.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[path = "../../../shared_memory/tests/support/mod.rs"]
pub mod processes;

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use threefold_pool::local::{Doorbell, DoorbellRinger, ParentEnd, WorkerEnd};

pub const CAPACITY: usize = 64 << 20;
pub const JOB: u8 = 1;
pub const REPORT: u8 = 2;

/// The ends of a link whose worker rings `doorbell`, mapped separately as in two processes.
pub fn link(doorbell: &Doorbell) -> (ParentEnd, WorkerEnd) {
    let parent = ParentEnd::create(CAPACITY).unwrap();
    let ringer = DoorbellRinger::attach(doorbell.write_descriptor().as_raw_fd()).unwrap();
    let worker = WorkerEnd::attach(parent.descriptor().as_raw_fd(), CAPACITY, Some(ringer)).unwrap();
    (parent, worker)
}

/// What another process has as this descriptor.
pub fn of_process(pid: u32, number: i32) -> OwnedFd {
    File::options().read(true).write(true).open(format!("/proc/{pid}/fd/{number}")).unwrap().into()
}

/// Waits until the doorbell is rung, and hears it; says whether it was in time.
pub fn is_rung_within(doorbell: &Doorbell, limit: Duration) -> bool {
    let bell = doorbell.read_descriptor();
    let timeout = Timespec::try_from(limit).unwrap();
    let mut events = [PollFd::new(&bell, PollFlags::IN)];
    poll(&mut events, Some(&timeout)).unwrap() == 1 && doorbell.drain().unwrap()
}

/// A random number, the same in every run.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
