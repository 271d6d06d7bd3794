//! The thread that writes: it gathers what the frontier says, and keeps it in groups, one transaction each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::FrontierError;
use super::store::{Operation, Store};

/// A group is kept when it has so many operations, or is so old.
const GROUP_COUNT: usize = 1000;
const GROUP_AGE: Duration = Duration::from_millis(50);
/// Beyond so many operations that are not kept yet, the frontier waits.
const BEHIND_COUNT: usize = 8 * GROUP_COUNT;

/// A question that the frontier waits for.
pub(super) type Question = Box<dyn FnOnce(&mut Store) -> Result<(), FrontierError> + Send>;

enum Message {
    Do(Operation),
    Ask(Question),
    Kept(oneshot::Sender<()>),
}

#[derive(Default)]
struct State {
    messages: Vec<Message>,
    failure: Option<FrontierError>,
    /// Somebody waits for the group.
    is_urgent: bool,
    is_closed: bool,
}

#[derive(Default)]
struct Shared {
    // Protects the messages that were not taken yet; held for a push or a swap only.
    state: Mutex<State>,
    /// There is a first message.
    first: Notify,
    /// The group must not get older: it is large, somebody waits, or the end has come.
    now: Notify,
    /// The keeper has caught up.
    caught_up: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The frontier's end of the thread that writes.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread.
    pub(super) fn start(store: Store) -> Result<Self, FrontierError> {
        let shared = Arc::new(Shared::default());
        let kept = Arc::clone(&shared);
        let failed =
            |error| FrontierError::Store(format!("the thread that writes the crawl's state can't start: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let thread = std::thread::Builder::new()
            .name("threefold-store".to_owned())
            .spawn(move || runtime.block_on(write(&kept, store)))
            .map_err(failed)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    fn push(&self, message: Message) -> Result<usize, FrontierError> {
        let is_urgent = !matches!(message, Message::Do(_));
        let mut state = self.shared.lock();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        state.messages.push(message);
        state.is_urgent |= is_urgent;
        let count = state.messages.len();
        drop(state);
        if count == 1 {
            self.shared.first.notify_one();
        }
        if is_urgent || count == GROUP_COUNT {
            self.shared.now.notify_one();
        }
        Ok(count)
    }

    /// Has an operation kept, soon; waits only while the thread is far behind.
    pub(super) async fn keep(&self, operation: Operation) -> Result<(), FrontierError> {
        if self.push(Message::Do(operation))? > BEHIND_COUNT {
            loop {
                let caught_up = self.shared.caught_up.notified();
                if !self.is_behind()? {
                    break;
                }
                caught_up.await;
            }
        }
        Ok(())
    }

    fn is_behind(&self) -> Result<bool, FrontierError> {
        let state = self.shared.lock();
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(state.messages.len() > BEHIND_COUNT),
        }
    }

    /// Asks the store, after everything that was to be kept before.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Store) -> Result<T, FrontierError> + Send + 'static,
    ) -> Result<T, FrontierError> {
        let (sender, answer) = oneshot::channel();
        self.push(Message::Ask(Box::new(move |store| {
            let answer = question(store);
            let failed = answer.as_ref().err().cloned();
            // The one who asked may have gone.
            let _gone = sender.send(answer);
            failed.map_or(Ok(()), Err)
        })))?;
        answer.await.unwrap_or_else(|_| Err(self.failure()))
    }

    /// Waits until everything that was to be kept before is kept.
    pub(super) async fn flush(&self) -> Result<(), FrontierError> {
        let (sender, kept) = oneshot::channel();
        self.push(Message::Kept(sender))?;
        kept.await.map_err(|_| self.failure())
    }

    fn failure(&self) -> FrontierError {
        let ended = || FrontierError::Store("the thread that writes the crawl's state has ended".to_owned());
        self.shared.lock().failure.clone().unwrap_or_else(ended)
    }
}

impl Drop for Keeper {
    /// Keeps what there is, and ends the thread.
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.first.notify_one();
        self.shared.now.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by its hook; there is nobody to tell.
            let _panicked = thread.join();
        }
    }
}

async fn write(shared: &Shared, mut store: Store) {
    loop {
        let (count, is_urgent, is_closed) = {
            let state = shared.lock();
            (state.messages.len(), state.is_urgent, state.is_closed)
        };
        if count == 0 {
            if is_closed {
                return;
            }
            shared.first.notified().await;
            continue;
        }
        if count < GROUP_COUNT && !is_urgent && !is_closed {
            // To be told and to have waited long enough come to the same.
            let _told = tokio::time::timeout(GROUP_AGE, shared.now.notified()).await;
        }
        let mut group = {
            let mut state = shared.lock();
            state.is_urgent = false;
            std::mem::take(&mut state.messages).into_iter()
        };
        let mut waiting = Vec::new();
        let kept = keep(&mut store, &mut group, &mut waiting);
        let mut state = shared.lock();
        let lost = match kept {
            Ok(()) => Vec::new(),
            Err(failure) => {
                state.failure = Some(failure);
                std::mem::take(&mut state.messages)
            }
        };
        let has_failed = state.failure.is_some();
        drop(state);
        shared.caught_up.notify_waiters();
        if has_failed {
            // Whoever waits for one of these learns of the failure by the end of his channel.
            drop((lost, group, waiting));
            return;
        }
        for sender in waiting {
            // The one who waits may have gone.
            let _gone = sender.send(());
        }
    }
}

/// Keeps one group, all of it or nothing, and says who waits for it.
fn keep(
    store: &mut Store,
    group: &mut impl Iterator<Item = Message>,
    waiting: &mut Vec<oneshot::Sender<()>>,
) -> Result<(), FrontierError> {
    store.begin()?;
    for message in group {
        let done = match message {
            Message::Do(operation) => store.apply(operation),
            Message::Ask(question) => question(store),
            Message::Kept(sender) => {
                waiting.push(sender);
                Ok(())
            }
        };
        if let Err(failure) = done {
            store.roll_back();
            return Err(failure);
        }
    }
    store.commit()
}
