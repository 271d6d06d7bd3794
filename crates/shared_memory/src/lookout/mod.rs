//! Waits for many things in shared memory at once, on behalf of tasks: one thread for all of a process. README section
//! "Tasks".
//!
//! | who | does |
//! |---|---|
//! | a task that finds nothing | [`Lookout::enter`], looks again, yields to its loop |
//! | the thread | sleeps on the words of all who wait; chooses and wakes |
//! | a task that was chosen | tries; took it: [`Lookout::go_on`]; in vain: enters again, at the front |
//! | a task that gives up | [`Lookout::leave`]: had it been chosen, the next one is |

mod board;
mod shift;
mod sight;
mod sights;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use threefold_sys::{fork, futex};

use crate::wait::SLICE;
pub use board::Chosen;
use board::{Board, Entry};
pub use shift::Shift;
pub use sight::{Armed, Sight};

/// How many forks deep the boards of ancestors are left alone: one may have been locked just then.
const BOARD_COUNT: usize = 8;

/// Those of this process who wait for something in shared memory, and the thread that waits for them.
#[derive(Debug)]
pub struct Lookout {
    board: Mutex<Board>,
    /// Changes when the thread must look at the board again.
    call: AtomicU64,
    /// How many words to sleep on at most, the call among them.
    most_words: usize,
    /// How long to sleep at most without a look at everything.
    slice: Duration,
}

/// A task in line.
#[derive(Debug)]
#[must_use = "who does not leave may be chosen instead of somebody who waits"]
pub struct Waiting {
    entry: Arc<Entry>,
    generation: u32,
}

impl Waiting {
    /// Whether it was chosen, and woken: it should try, and is no longer in line.
    pub fn is_chosen(&self) -> bool {
        // A forked child must stand in its own line.
        self.generation != fork::generation() || self.entry.is_chosen()
    }
}

impl Lookout {
    /// One that nobody else uses.
    pub const fn new() -> Self {
        Self::with(futex::MOST_WORDS, SLICE)
    }

    /// One that sleeps on so many words at most, looking at the others every few milliseconds, and no longer than a slice.
    pub const fn with(most_words: usize, slice: Duration) -> Self {
        Self { board: Mutex::new(Board::new()), call: AtomicU64::new(0), most_words, slice }
    }

    /// This process's own.
    pub fn current() -> &'static Self {
        static ALL: [Lookout; BOARD_COUNT] = [const { Lookout::new() }; BOARD_COUNT];
        &ALL[fork::generation() as usize % BOARD_COUNT]
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = fork::generation();
        if board.generation != generation {
            board.forget();
            board.generation = generation;
        }
        board
    }

    /// Puts a task in line; `is_back` if it was chosen and tried in vain. It must look once more after it. Also says
    /// whether there is no thread yet: then the caller starts one, which calls [`Lookout::keep_watch`].
    pub fn enter(&self, sight: &Arc<dyn Sight>, waker: &Waker, is_back: bool) -> (Waiting, bool) {
        let mut board = self.board();
        let (entry, is_news) = board.enter(sight, waker, is_back);
        if is_news {
            self.call(&mut board);
        }
        let is_unwatched = !std::mem::replace(&mut board.is_watched, true);
        (Waiting { entry, generation: board.generation }, is_unwatched)
    }

    /// Whether a task that entered and then looked in vain will be woken; else there is something now: to look again.
    pub fn is_settled(&self, waiting: &Waiting) -> bool {
        let mut board = self.board();
        let (is_settled, is_news) = board.settle(&waiting.entry);
        if is_news {
            self.call(&mut board);
        }
        is_settled
    }

    /// A task that was chosen has taken something, or had no use for it: wakes the next one, if there is more. Returns
    /// whether there was one.
    pub fn go_on(&self, sight: &Arc<dyn Sight>) -> bool {
        let mut chosen = Chosen::default();
        let mut board = self.board();
        if board.go_on(&**sight, &mut chosen) {
            self.call(&mut board);
        }
        drop(board);
        let is_somebody_told = !chosen.is_empty();
        chosen.wake();
        is_somebody_told
    }

    /// Has what it waited for, and leaves. If it had been chosen, the next one looks whether there is more.
    pub fn finish(&self, waiting: &Waiting) {
        if waiting.generation == fork::generation() && self.board().leave(&waiting.entry) {
            self.go_on(waiting.entry.sight());
        }
    }

    /// Wakes everybody: each looks for itself, and enters again.
    pub fn wake_all(&self) {
        let mut chosen = Chosen::default();
        self.board().choose_all(&mut chosen);
        chosen.wake();
    }

    /// Gives up. What a task was chosen for goes to another, of this process or of any.
    pub fn leave(&self, waiting: &Waiting) {
        if waiting.generation != fork::generation() {
            // Its place is in the parent's line.
            return;
        }
        let sight = Arc::clone(waiting.entry.sight());
        let was_chosen = self.board().leave(&waiting.entry);
        if was_chosen && !self.go_on(&sight) {
            sight.pass_on();
        }
    }

    /// Whether anybody is in line.
    pub fn is_empty(&self) -> bool {
        self.board().is_empty()
    }

    /// There is no thread any more, or none could be started.
    pub fn forget_watch(&self) {
        self.board().is_watched = false;
    }

    /// Whether there should be a thread and is none: then the caller starts one.
    pub fn needs_watch(&self) -> bool {
        let mut board = self.board();
        !board.is_empty() && !std::mem::replace(&mut board.is_watched, true)
    }

    /// Lets the thread look at the board.
    fn call(&self, board: &mut Board) {
        if std::mem::take(&mut board.is_asleep) {
            self.call_out();
        }
    }

    pub(super) fn call_out(&self) {
        self.call.fetch_add(1, Ordering::SeqCst);
        futex::wake_shared(&self.call, 1);
    }
}

impl Default for Lookout {
    fn default() -> Self {
        Self::new()
    }
}
