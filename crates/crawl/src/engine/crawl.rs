//! The handle of a crawl: starts its threads, asks for its progress, ends it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::engine::coordinator::Coordinator;
use crate::engine::prepare::{Prepared, prepare};
use crate::engine::report::{Progress, Report};
use crate::engine::shared::Shared;
use crate::engine::{CrawlError, CrawlOptions, fetches};
use crate::entry::{NewEntry, RequestParts};
use crate::fetch::Client;
use crate::refusal::Refusal;
use crate::sink::{Made, Sink};

/// A running crawl, on threads of its own. Dropped, it stops after what is in flight; nobody waits for that.
pub struct Crawl {
    shared: Arc<Shared>,
}

impl Crawl {
    /// Starts a crawl; its pages go to the sink, where there is one.
    ///
    /// # Errors
    /// See [`CrawlError`]: nothing was started then.
    ///
    /// # Blocking
    /// Until the frontier is open. Not to be called within a tokio runtime.
    #[allow(clippy::needless_pass_by_value, reason = "the crawl keeps the sink; each thread has it")]
    pub fn start(options: CrawlOptions, sink: Option<Arc<dyn Sink>>) -> Result<Self, CrawlError> {
        let runtimes = (0..options.threads.max(1)).map(|_| runtime()).collect::<Result<Vec<_>, _>>()?;
        let concurrency = options.concurrency.max(1);
        let Prepared { shared, frontier, seeds, clients } =
            runtimes[0].block_on(prepare(options, sink.as_deref(), runtimes.len()))?;
        let shared = Arc::new(shared);
        let coordinator = Coordinator::new(Arc::clone(&shared), frontier);
        let mut lead = Some((coordinator, seeds));
        let count = runtimes.len();
        for (number, (runtime, client)) in runtimes.into_iter().zip(clients).enumerate() {
            let fetch_count = (concurrency + count - 1 - number) / count;
            let crew = Crew { runtime, client, fetch_count, shared: Arc::clone(&shared), sink: sink.clone() };
            let lead = lead.take();
            let run = move || {
                if let Some((coordinator, seeds)) = lead {
                    crew.run(coordinator.run(seeds));
                } else {
                    let shared = Arc::clone(&crew.shared);
                    crew.run(async move { wait_for_end(&shared).await });
                }
            };
            let started = thread::Builder::new().name(format!("crawl-{number}")).spawn(run);
            if let Err(error) = started {
                shared.abort();
                return Err(CrawlError::System(format!("no thread can be started for the crawl: {error}")));
            }
        }
        Ok(Self { shared })
    }

    /// How the crawl stands.
    pub fn progress(&self) -> Progress {
        self.shared.progress()
    }

    /// The entry of a request that a program asks for, for [`Made::requests`]; none where the crawl knows it already.
    ///
    /// # Errors
    /// The reason, counted, where the request is not the crawl's.
    pub fn new_entry(
        &self,
        url: &str,
        depth: u32,
        parent: Option<&Arc<str>>,
        request: Option<&RequestParts>,
    ) -> Result<Option<NewEntry>, Refusal> {
        let entry = self.shared.plan.requested(url, depth, parent, request);
        if let Err(refusal) = &entry {
            self.shared.desk().tally.refusals.count(*refusal);
        }
        entry
    }

    /// Takes what a program made of delivered pages: completes their entries. After the end it does nothing.
    pub fn answer(&self, made: Vec<Made>) {
        self.shared.answer(made);
    }

    /// Starts nothing more; the crawl ends when what is in flight is through and what was delivered is answered.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Ends at once: what is in flight or unanswered is visited again by a resumed crawl.
    pub fn abort(&self) {
        self.shared.abort();
    }

    /// The end; none where the time was up before it came.
    ///
    /// # Blocking
    /// At most so long; without a timeout until the end. Not to be called within a tokio runtime.
    pub fn wait(&self, timeout_after: Option<Duration>) -> Option<Report> {
        if let Some(report) = self.shared.report.borrow().clone() {
            return Some(report);
        }
        // A wait is rare, and its queue of events is small: two descriptors for as long as it lasts.
        let runtime = runtime().ok()?;
        runtime.block_on(async {
            match timeout_after {
                Some(limit) => timeout(limit, self.ended()).await.ok(),
                None => Some(self.ended().await),
            }
        })
    }

    /// The end, for tasks of any runtime.
    pub async fn ended(&self) -> Report {
        let mut receiver = self.shared.report.subscribe();
        loop {
            if let Some(report) = receiver.borrow_and_update().clone() {
                return report;
            }
            // The sender lives as long as this handle.
            let _ = receiver.changed().await;
        }
    }
}

impl Drop for Crawl {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// What one thread has.
struct Crew {
    runtime: Runtime,
    client: Client,
    fetch_count: usize,
    shared: Arc<Shared>,
    sink: Option<Arc<dyn Sink>>,
}

impl Crew {
    /// Runs fetches until the future is through; then they are dropped, and with them the sink.
    fn run(self, until: impl Future<Output = ()>) {
        let Self { runtime, client, fetch_count, shared, sink } = self;
        for _ in 0..fetch_count {
            runtime.spawn(fetches::run(Arc::clone(&shared), client.clone(), sink.clone()));
        }
        drop((client, sink, shared));
        runtime.block_on(until);
    }
}

async fn wait_for_end(shared: &Shared) {
    let mut receiver = shared.report.subscribe();
    while receiver.borrow_and_update().is_none() {
        let _ = receiver.changed().await;
    }
}

pub(crate) fn runtime() -> Result<Runtime, CrawlError> {
    let built = Builder::new_current_thread().enable_io().enable_time().build();
    built.map_err(|error| CrawlError::System(format!("no queue of events can be made for the crawl: {error}")))
}
