//! The sink that a Python program takes its pages from: bounded by bytes, and emptied many pages at a time.
//!
//! A program that waits is not woken for each page: the first one starts a timer of a millisecond, and only that, or enough
//! pages, wakes it. To attach to the interpreter once per page would cost more than the page does.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use threefold_crawl::Page;
use threefold_crawl::sink::Sink;
use threefold_sync::Event;
use tokio::sync::Notify;

/// So many pages are worth a wake at once.
const ENOUGH: usize = 16;

/// How long the first page waits for company.
const COMPANY: Duration = Duration::from_millis(1);

/// What a page takes besides its body: its headers, its addresses, the objects around them.
const OVERHEAD_BYTES: usize = 1024;

/// What a program gets when it asks for pages.
pub(crate) enum Taken {
    Pages(Vec<Page>),
    /// None yet; the bell rings when there are.
    Nothing,
    /// There will be no more.
    Ended,
}

/// Pages on their way to a program.
pub(crate) struct Channel {
    state: Mutex<State>,
    /// Told when pages are taken.
    room: Notify,
    /// Rung for threads that wait.
    pub(crate) bell: Event,
    /// Rung for tasks, outside the fetching threads: to wake a task means to attach to the interpreter.
    pub(crate) task_bell: Event,
    pub(crate) waiting_task_count: AtomicUsize,
    limit_bytes: usize,
}

#[derive(Default)]
struct State {
    pages: VecDeque<Page>,
    bytes: usize,
    /// Somebody found nothing and waits for the bell.
    is_awaited: bool,
    /// A timer is running that will ring.
    is_timed: bool,
    has_ended: bool,
    /// The program takes no more: pages are dropped.
    is_closed: bool,
}

impl Channel {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            state: Mutex::default(),
            room: Notify::new(),
            bell: Event::new(),
            task_bell: Event::new(),
            waiting_task_count: AtomicUsize::new(0),
            limit_bytes,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes at most so many pages, and no more bytes than half of what it holds at most.
    pub(crate) fn take(&self, limit: usize) -> Taken {
        let mut state = self.state();
        if state.pages.is_empty() {
            if state.has_ended || state.is_closed {
                return Taken::Ended;
            }
            state.is_awaited = true;
            return Taken::Nothing;
        }
        let mut taken = Vec::with_capacity(limit.min(state.pages.len()));
        let mut bytes = 0;
        while taken.len() < limit && (taken.is_empty() || bytes < self.limit_bytes / 2) {
            let Some(page) = state.pages.pop_front() else { break };
            bytes += weight(&page);
            taken.push(page);
        }
        state.bytes -= bytes;
        let is_more_left = !state.pages.is_empty() || state.has_ended;
        drop(state);
        self.room.notify_waiters();
        if is_more_left {
            // The bell may have been silenced by whoever takes these.
            self.ring();
        }
        Taken::Pages(taken)
    }

    /// The program takes no more pages: what comes is dropped, and nobody waits for room.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        let dropped = std::mem::take(&mut state.pages);
        state.bytes = 0;
        drop(state);
        drop(dropped);
        self.room.notify_waiters();
        self.ring();
    }

    /// There will be no more pages.
    fn end(&self) {
        self.state().has_ended = true;
        self.ring();
    }

    /// How many pages and bytes wait for the program.
    pub(crate) fn load(&self) -> (usize, usize) {
        let state = self.state();
        (state.pages.len(), state.bytes)
    }

    /// Wakes all who wait.
    fn ring(&self) {
        self.bell.set();
        if self.waiting_task_count.load(Ordering::SeqCst) > 0 {
            self.task_bell.set();
        }
    }

    /// Puts a page in if there is room; gives it back if not.
    fn put(&self, page: Page) -> (Option<Page>, Ring) {
        let mut state = self.state();
        if state.is_closed {
            return (None, Ring::No);
        }
        let weight = weight(&page);
        if !state.pages.is_empty() && state.bytes + weight > self.limit_bytes {
            return (Some(page), Ring::No);
        }
        state.bytes += weight;
        state.pages.push_back(page);
        if !state.is_awaited {
            return (None, Ring::No);
        }
        if state.pages.len() >= ENOUGH || state.bytes > self.limit_bytes / 2 {
            state.is_awaited = false;
            return (None, Ring::Now);
        }
        if std::mem::replace(&mut state.is_timed, true) {
            return (None, Ring::No);
        }
        (None, Ring::Soon)
    }

    fn time_is_up(&self) {
        let mut state = self.state();
        state.is_timed = false;
        let is_awaited = std::mem::replace(&mut state.is_awaited, false);
        drop(state);
        if is_awaited {
            self.ring();
        }
    }
}

/// Whether a page that was put in wakes the program.
enum Ring {
    No,
    Now,
    Soon,
}

fn weight(page: &Page) -> usize {
    page.body.len() + page.links.iter().map(|link| link.len() + 24).sum::<usize>() + OVERHEAD_BYTES
}

/// The engine's end of a channel; when the engine lets go of it, no more pages will come.
pub(crate) struct ChannelSink {
    channel: Arc<Channel>,
    answers: bool,
}

impl ChannelSink {
    pub(crate) fn new(channel: Arc<Channel>, answers: bool) -> Self {
        Self { channel, answers }
    }
}

impl Sink for ChannelSink {
    fn answers(&self) -> bool {
        self.answers
    }

    fn deliver(&self, page: Page) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let mut page = page;
            loop {
                let room = self.channel.room.notified();
                tokio::pin!(room);
                // From here on a notice is not missed.
                room.as_mut().enable();
                let (refused, ring) = self.channel.put(page);
                match ring {
                    Ring::No => {}
                    Ring::Now => ring_outside(&self.channel),
                    Ring::Soon => {
                        let channel = Arc::clone(&self.channel);
                        tokio::spawn(async move {
                            tokio::time::sleep(COMPANY).await;
                            let is_for_tasks = channel.waiting_task_count.load(Ordering::SeqCst) > 0;
                            if is_for_tasks {
                                tokio::task::spawn_blocking(move || channel.time_is_up());
                            } else {
                                channel.time_is_up();
                            }
                        });
                    }
                }
                let Some(again) = refused else { return };
                page = again;
                room.await;
            }
        })
    }
}

fn ring_outside(channel: &Arc<Channel>) {
    if channel.waiting_task_count.load(Ordering::SeqCst) > 0 {
        let channel = Arc::clone(channel);
        tokio::task::spawn_blocking(move || channel.ring());
    } else {
        channel.ring();
    }
}

impl Drop for ChannelSink {
    fn drop(&mut self) {
        let channel = Arc::clone(&self.channel);
        if channel.waiting_task_count.load(Ordering::SeqCst) > 0 {
            // Not on the engine's thread, which may be waited for by one that is attached.
            let _detached = std::thread::Builder::new().name("crawl-end".to_owned()).spawn(move || channel.end());
        } else {
            channel.end();
        }
    }
}
