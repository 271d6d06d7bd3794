//! Sinks for tests.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, OnceLock};

use threefold_crawl::engine::Crawl;
use threefold_crawl::page::Page;
use threefold_crawl::sink::{Made, Sink};

/// Keeps all pages.
#[derive(Default)]
pub(crate) struct Kept {
    pages: Mutex<Vec<Page>>,
}

impl Kept {
    /// The pages so far.
    pub(crate) fn pages(&self) -> Vec<Page> {
        self.pages.lock().unwrap().clone()
    }
}

impl Sink for Kept {
    fn answers(&self) -> bool {
        false
    }

    fn deliver(&self, page: Page) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.pages.lock().unwrap().push(page);
        Box::pin(async {})
    }
}

type Answerer = dyn Fn(&Crawl, &Page) -> Option<Made> + Send + Sync;

/// Answers each page at once, as soon as it knows its crawl.
pub(crate) struct Answering {
    crawl: OnceLock<std::sync::Arc<Crawl>>,
    early: Mutex<Vec<Page>>,
    answer: Box<Answerer>,
}

impl Answering {
    /// A sink that answers what the function says.
    pub(crate) fn new(answer: impl Fn(&Crawl, &Page) -> Option<Made> + Send + Sync + 'static) -> Self {
        Self { crawl: OnceLock::new(), early: Mutex::new(Vec::new()), answer: Box::new(answer) }
    }

    /// Tells it its crawl; pages that came before are answered now.
    pub(crate) fn begin(&self, crawl: &std::sync::Arc<Crawl>) {
        let early = {
            let mut early = self.early.lock().unwrap();
            let _ = self.crawl.set(std::sync::Arc::clone(crawl));
            std::mem::take(&mut *early)
        };
        for page in early {
            crawl.answer((self.answer)(crawl, &page).into_iter().collect());
        }
    }
}

impl Sink for Answering {
    fn answers(&self) -> bool {
        true
    }

    fn deliver(&self, page: Page) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut early = self.early.lock().unwrap();
        match self.crawl.get() {
            None => early.push(page),
            Some(crawl) => {
                drop(early);
                crawl.answer((self.answer)(crawl, &page).into_iter().collect());
            }
        }
        Box::pin(async {})
    }
}
