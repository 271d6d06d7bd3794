//! The thread's part: sleep on the words of all who wait, choose, wake; and how it is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use threefold_sys::clock::Instant;
use threefold_sys::futex;

use super::Lookout;
use super::board::{Board, Chosen, Night};
use super::sight::Sight;

/// Between two looks at words on which the thread cannot sleep.
const GLANCE: Duration = Duration::from_millis(10);
/// How long a thread for whom nobody waits stays.
const IDLE: Duration = Duration::from_secs(1);

const BUSY: u8 = 0;
const ASLEEP: u8 = 1;
const STOPPED: u8 = 2;

/// The work of one thread: from its start to its end, and whether it may be stopped.
#[derive(Debug, Default)]
pub struct Shift {
    state: AtomicU8,
    /// The kernel's number of the thread; 0 until it runs.
    kernel_id: AtomicU32,
}

impl Shift {
    /// The kernel's number of the thread; 0 until it runs.
    pub fn kernel_id(&self) -> u32 {
        self.kernel_id.load(Ordering::Acquire)
    }

    /// Stops a thread that sleeps: it returns without waking anybody, or needing anything. Returns whether it did sleep.
    pub fn stop_if_asleep(&self, lookout: &Lookout) -> bool {
        let is_stopped = self.change(ASLEEP, STOPPED);
        if is_stopped {
            lookout.call_out();
        }
        is_stopped
    }

    /// Stops a thread that sleeps, now or the next time that it would.
    pub fn stop(&self, lookout: &Lookout) {
        self.state.store(STOPPED, Ordering::SeqCst);
        lookout.call_out();
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

/// What the thread does next.
enum Next {
    Wake(Chosen),
    Sleep { night: Night, seen_call: u64, until: Instant },
    End,
}

/// What the thread remembers from one look to the next.
struct Watch {
    next_look: Instant,
    /// Since when nobody waits.
    idle_since: Option<Instant>,
}

impl Lookout {
    /// Waits for all who are in line, until nobody has been for a while or the shift is stopped. `fire` calls
    /// [`Chosen::wake`] where wakers can run.
    ///
    /// # Blocking
    /// Until then.
    pub fn keep_watch(&self, shift: &Shift, fire: impl Fn(Chosen)) {
        shift.kernel_id.store(threefold_sys::process::thread_id(), Ordering::Release);
        let mut watch = Watch { next_look: Instant::now().after(self.slice), idle_since: None };
        loop {
            match self.next(&mut watch) {
                Next::End => return,
                Next::Wake(chosen) => fire(chosen),
                Next::Sleep { night, seen_call, until } => {
                    if !shift.change(BUSY, ASLEEP) {
                        return;
                    }
                    self.sleep(&night, seen_call, until);
                    if !shift.change(ASLEEP, BUSY) {
                        return;
                    }
                }
            }
        }
    }

    fn next(&self, watch: &mut Watch) -> Next {
        let mut chosen = Chosen::default();
        let now = Instant::now();
        let is_slice_over = now >= watch.next_look;
        if is_slice_over {
            watch.next_look = now.after(self.slice);
            self.look_around();
        }
        let mut board = self.board();
        board.is_asleep = false;
        board.serve(&mut chosen);
        if is_slice_over {
            board.look_at_all(&mut chosen);
        }
        if !chosen.is_empty() {
            return Next::Wake(chosen);
        }
        self.until_next(&mut board, watch, now)
    }

    fn until_next(&self, board: &mut Board, watch: &mut Watch, now: Instant) -> Next {
        if board.is_empty() {
            let idle_since = *watch.idle_since.get_or_insert(now);
            if now.since(idle_since) >= IDLE {
                board.is_watched = false;
                return Next::End;
            }
        } else {
            watch.idle_since = None;
        }
        let (night, is_all) = board.night(self.most_words.saturating_sub(1));
        let until = match watch.idle_since {
            Some(since) => since.after(IDLE),
            None if is_all => watch.next_look,
            None => now.after(GLANCE).min(watch.next_look),
        };
        // Before the lock is left: whoever changes the board after it will call.
        board.is_asleep = true;
        Next::Sleep { night, seen_call: self.call.load(Ordering::SeqCst), until }
    }

    /// Outside the lock: looking after a queue's memory or a condition's dead may take a while.
    fn look_around(&self) {
        let sights: Vec<Arc<dyn Sight>> = self.board().sights();
        for sight in sights {
            sight.look_around();
        }
    }

    fn sleep(&self, night: &Night, seen_call: u64, until: Instant) {
        let call = std::iter::once((&self.call, seen_call));
        let words: Vec<(&AtomicU64, u64)> =
            call.chain(night.iter().map(|(sight, expected)| (sight.word(), *expected))).collect();
        if futex::wait_any_shared(&words, until).is_none() {
            let until = if night.is_empty() { until } else { until.min(Instant::now().after(GLANCE)) };
            let _look_again = futex::wait_shared(&self.call, seen_call, Some(until));
        }
    }
}
