//! What the tests with several processes share: a time limit, a child that is stopped at a chosen moment, and its death.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[path = "../../../wait/tests/support/limit.rs"]
pub mod limit;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use threefold_shared_memory::{Driver, Home, Instant, Nap, Region, Woke};

pub const CAPACITY_BYTES: usize = 16 << 20;
/// Where the child says how far it has come: the first word of the region.
const STAGE: usize = 0;
/// Where the object under test lives.
const OBJECT_BYTES: usize = 4096;

/// A moment in the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Moment {
    /// Asleep, waiting.
    Waiting = 1,
    /// Woken, before it has done anything.
    Woken = 2,
    /// In possession of what it waited for.
    Holding = 3,
}

impl Moment {
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Woken, Self::Holding];
}

/// How a process dies.
#[derive(Clone, Copy, Debug)]
pub enum Death {
    Killed,
    Aborted,
    /// As an access to memory that is not there ends it.
    Faulted,
    StoppedThenKilled,
    /// By itself: another of its threads ends the process, whatever the others are in the middle of.
    Exited,
}

impl Death {
    pub const ALL: [Self; 5] = [Self::Killed, Self::Aborted, Self::Faulted, Self::StoppedThenKilled, Self::Exited];

    fn signals(self) -> &'static [Signal] {
        match self {
            Self::Killed => &[Signal::KILL],
            Self::Aborted => &[Signal::ABORT],
            Self::Faulted => &[Signal::SEGV],
            Self::StoppedThenKilled => &[Signal::STOP, Signal::KILL],
            Self::Exited => &[],
        }
    }
}

/// The region that a test and its children share.
pub struct Stage(pub Arc<Region>);

impl Stage {
    pub fn new() -> Self {
        Self(Arc::new(Region::create("test", CAPACITY_BYTES, CAPACITY_BYTES).unwrap()))
    }

    /// In a child: the region of its parent. The child ends when its parent says so.
    pub fn of_parent() -> Self {
        std::thread::spawn(|| {
            if std::io::stdin().read(&mut [0]).is_ok_and(|count| count > 0) {
                std::process::exit(7);
            }
        });
        let number = variable("THREEFOLD_TEST_REGION").parse().unwrap();
        let pid = std::os::unix::process::parent_id();
        Self(Arc::new(Region::reopen(pid, number, CAPACITY_BYTES).unwrap()))
    }

    pub fn home(&self) -> Home {
        Home::new(Arc::clone(&self.0), OBJECT_BYTES)
    }

    /// Zeros where the object under test lived.
    pub fn clear(&self) {
        let words = self.0.words_at(OBJECT_BYTES, (CAPACITY_BYTES - OBJECT_BYTES) / 8).unwrap();
        self.0.punch(OBJECT_BYTES, words.len() * 8).unwrap();
        self.word().store(0, Ordering::SeqCst);
    }

    fn word(&self) -> &AtomicU64 {
        &self.0.words()[STAGE]
    }

    pub fn has_come_to(&self, moment: Moment) -> bool {
        self.word().load(Ordering::SeqCst) >= moment as u64
    }

    /// Starts this test program again, in its ignored test `child`, to do `what` and stop at `moment`.
    pub fn start(&self, what: &str, moment: Moment) -> Other {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--ignored", "--nocapture"]);
        command.env("THREEFOLD_TEST_REGION", self.0.descriptor().as_raw_fd().to_string());
        command.env("THREEFOLD_TEST_WHAT", what).env("THREEFOLD_TEST_MOMENT", (moment as u64).to_string());
        Other(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap())
    }
}

/// In a child: stays until it dies, or its parent.
pub fn stay_for_ever() {
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        threefold_sys::futex::pause(Duration::from_millis(100));
    }
}

/// In a child: what it was started for.
pub fn what() -> String {
    variable("THREEFOLD_TEST_WHAT")
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap()
}

/// Another process; killed when dropped.
pub struct Other(pub Child);

impl Other {
    /// Dies, and stays a zombie. Returns when it runs no more; says when it was hit.
    pub fn die(&self, death: Death) -> Instant {
        let begin = Instant::now();
        let pid = Pid::from_child(&self.0);
        death.signals().iter().for_each(|&signal| kill_process(pid, signal).unwrap());
        if matches!(death, Death::Exited) {
            self.0.stdin.as_ref().unwrap().write_all(b"x").unwrap();
        }
        let dead = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while waitid(WaitId::Pid(pid), dead | WaitIdOptions::NOHANG).unwrap().is_none() {
            if matches!(death, Death::Faulted) {
                // Rust's own handler takes the first one for a fault that will come again.
                kill_process(pid, Signal::SEGV).unwrap();
            }
            std::thread::yield_now();
        }
        begin
    }
}

impl Other {
    /// Stops, until it is killed.
    pub fn stop(&self) {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, Signal::STOP).unwrap();
        waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT).unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _dead_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Sleeps as a program does, and says so in a word; a child also stops at the moment at which it is to die.
pub struct Watched<'a> {
    word: &'a AtomicU64,
    stop_at: Option<Moment>,
}

impl<'a> Watched<'a> {
    pub fn new(word: &'a AtomicU64) -> Self {
        Self { word, stop_at: None }
    }

    /// In a child.
    pub fn of_child(stage: &'a Stage) -> Self {
        let number: u64 = variable("THREEFOLD_TEST_MOMENT").parse().unwrap();
        let stop_at = Moment::ALL.into_iter().find(|&moment| moment as u64 == number);
        Self { word: stage.word(), stop_at }
    }

    /// In a child: has come to this moment; stays here for ever if it is the one to die at.
    pub fn comes_to(&self, moment: Moment) {
        self.word.fetch_max(moment as u64, Ordering::SeqCst);
        if moment != Moment::Waiting && self.stop_at == Some(moment) {
            stay_for_ever();
        }
    }
}

impl Driver for Watched<'_> {
    type Error = std::convert::Infallible;

    fn park(&mut self, nap: &Nap<'_>) -> Result<(), Self::Error> {
        self.comes_to(Moment::Waiting);
        if nap.sleep() == Woke::Look {
            self.comes_to(Moment::Woken);
        }
        Ok(())
    }
}

/// Lets others run until `is_true`.
pub fn until(is_true: impl Fn() -> bool) {
    while !is_true() {
        std::thread::yield_now();
    }
}

/// The second within which survivors go on.
pub fn within_a_second(begin: Instant, what: &str) {
    let took = Instant::now().since(begin);
    assert!(took < Duration::from_secs(1), "{what} took {took:?}");
}

pub fn descriptor_count() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
