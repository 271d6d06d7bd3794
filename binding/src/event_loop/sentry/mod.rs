//! Looks after event loops from outside: names the callback that keeps a loop from all others, and tells what tasks await
//! when somebody asks.
//!
//! | who | does |
//! |---|---|
//! | a loop that runs | stands in the list; counts its steps in its mark, and nothing else |
//! | the sentry, one thread for all loops | looks at the marks five times a second, without the interpreter |
//! | the sentry, attached | asks Python what a loop that stands still is at, and what tasks await |
//!
//! It starts with the first loop that runs, rests while none does, stops around `fork` and before the interpreter ends.

mod keeping;
mod looking;
mod telling;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use threefold_sys::{fork, futex, slot};

use super::mark::Mark;
use super::state::EventLoopCore;
use crate::names;
pub(super) use keeping::go_on_after_fork;

/// A loop, as the sentry knows it.
pub(super) struct Post {
    mark: Arc<Mark>,
    event_loop: Py<PyWeakrefReference>,
    /// The thread that runs it.
    slot: AtomicU32,
    generation: u32,
}

impl Post {
    fn event_loop<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.event_loop.bind(py).upgrade()
    }
}

/// The loops that run: those of this process, in the order in which they began.
struct Posts {
    all: Vec<Arc<Post>>,
    /// Whether the sentry sleeps until it is called.
    is_resting: bool,
}

/// Locked for a few instructions, by threads that are attached, and by the sentry while no fork can be under way.
static POSTS: Mutex<Posts> = Mutex::new(Posts { all: Vec::new(), is_resting: false });

/// Changes when the sentry must look.
static CALL: AtomicU32 = AtomicU32::new(0);

/// Whether loops are looked after at all.
static IS_WANTED: AtomicBool = AtomicBool::new(true);

fn posts() -> MutexGuard<'static, Posts> {
    POSTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn call() {
    CALL.fetch_add(1, Ordering::SeqCst);
    futex::wake(&CALL);
}

/// A loop runs for as long as this lives.
pub(super) struct OnPost(Option<Arc<Post>>);

/// The loop runs on this thread from now on.
pub(super) fn begin(this: &Bound<'_, EventLoopCore>) -> PyResult<OnPost> {
    if !IS_WANTED.load(Ordering::Relaxed) {
        return Ok(OnPost(None));
    }
    let (py, core) = (this.py(), this.get());
    let post = match core.post.get().filter(|post| post.generation == fork::generation()) {
        Some(post) => Arc::clone(post),
        None => new_post(this, &core.post)?,
    };
    post.slot.store(slot::current(), Ordering::Relaxed);
    post.mark.step();
    let _known_from_now_on = names::current_thread(py);
    let mut posts = posts();
    let is_of_parent = |other: &Arc<Post>| other.generation != fork::generation();
    let left_behind = if posts.all.iter().any(is_of_parent) { std::mem::take(&mut posts.all) } else { Vec::new() };
    posts.all.push(Arc::clone(&post));
    let is_resting = std::mem::take(&mut posts.is_resting);
    drop(posts);
    drop(left_behind);
    keeping::start_if_needed(py)?;
    if is_resting {
        call();
    }
    Ok(OnPost(Some(post)))
}

#[cold]
fn new_post(this: &Bound<'_, EventLoopCore>, place: &OnceLock<Arc<Post>>) -> PyResult<Arc<Post>> {
    let post = Arc::new(Post {
        mark: Arc::clone(&this.get().mark),
        event_loop: PyWeakrefReference::new(this)?.unbind(),
        slot: AtomicU32::new(0),
        generation: fork::generation(),
    });
    // A loop that came into a forked child has one of the parent's.
    let _kept = place.set(Arc::clone(&post));
    Ok(post)
}

impl Drop for OnPost {
    fn drop(&mut self) {
        let Some(post) = &self.0 else { return };
        let mut posts = posts();
        let place = posts.all.iter().rposition(|other| Arc::ptr_eq(other, post));
        let left = place.map(|place| posts.all.remove(place));
        drop(posts);
        drop(left);
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    telling::register(module)
}
