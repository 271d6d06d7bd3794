//! `CrawlEngine`: a running crawl, as `threefold.crawl` and the commands drive it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pyo3::prelude::*;
use pyo3::types::PyList;
use threefold_crawl::engine::Crawl;
use threefold_crawl::sink::{Made, Sink};
use threefold_trace::{Owner, Reason};
use threefold_wait::{Ticket, Wait, Withdrawal};

use super::answers::{self, Outcome, Told};
use super::channel::{Channel, ChannelSink, Taken};
use super::ending::Ending;
use super::options::Options;
use super::page::{self, PyPage};
use super::request::PyRequest;
use super::{errors, json};
use crate::blocking::{self, Subject};
use crate::convert::{Patience, wait_patience};
use crate::operation::Operation;
use crate::wait::PyWait;

/// A crawl that runs on threads of its own.
#[pyclass(frozen, weakref, module = "threefold._threefold", name = "CrawlEngine")]
pub(crate) struct PyCrawl {
    /// Taken out only when the object is dropped.
    crawl: Option<Arc<Crawl>>,
    channel: Option<Arc<Channel>>,
    ending: Arc<Ending>,
    process: u32,
}

impl PyCrawl {
    fn crawl(&self) -> PyResult<&Arc<Crawl>> {
        match &self.crawl {
            Some(crawl) if self.process == std::process::id() => Ok(crawl),
            _ => Err(errors::not_ours(self.process)),
        }
    }

    fn close_channel(&self) {
        if let Some(channel) = &self.channel {
            channel.close();
        }
    }

    /// The pages that are there; `None` = there are none yet, and the bell will ring.
    fn try_take<'py>(&self, py: Python<'py>, limit: usize) -> Option<PyResult<Option<Bound<'py, PyList>>>> {
        let Some(channel) = &self.channel else { return Some(Ok(None)) };
        match channel.take(limit.max(1)) {
            Taken::Pages(pages) => Some(page::list(py, pages).map(Some)),
            Taken::Nothing => None,
            Taken::Ended => Some(Ok(None)),
        }
    }
}

#[pymethods]
#[allow(clippy::needless_pass_by_value, reason = "lists are converted into values of their own")]
impl PyCrawl {
    /// Starts a crawl.
    ///
    /// Args:
    ///     options: every option by its name.
    ///     buffer_bytes: how much may wait for the program; None where it takes no pages.
    ///     answers: whether the program says what it made of each page.
    #[new]
    #[pyo3(signature = (options, buffer_bytes=None, answers=false))]
    fn new(py: Python<'_>, options: Options, buffer_bytes: Option<usize>, answers: bool) -> PyResult<Self> {
        let options = options.into_engine();
        let channel = buffer_bytes.map(|bytes| Arc::new(Channel::new(bytes)));
        let sink = channel.clone().map(|channel| Arc::new(ChannelSink::new(channel, answers)) as Arc<dyn Sink>);
        let crawl = py.detach(|| Crawl::start(options, sink)).map_err(|error| errors::to_python(py, &error))?;
        Ok(Self { crawl: Some(Arc::new(crawl)), channel, ending: Ending::new(), process: std::process::id() })
    }

    /// Waits for pages and takes as many as are there.
    ///
    /// Args:
    ///     limit: how many at most.
    ///
    /// Returns:
    ///     A list of pages; None when there will be no more.
    fn take<'py>(this: &Bound<'py, Self>, limit: usize) -> PyResult<Option<Bound<'py, PyList>>> {
        let py = this.py();
        let crawl = this.get();
        crawl.crawl()?;
        let Some(channel) = &crawl.channel else { return Ok(None) };
        loop {
            channel.bell.clear();
            if let Some(taken) = crawl.try_take(py, limit) {
                // Who else waits must learn of the end, too.
                if matches!(taken, Ok(None)) {
                    channel.bell.set();
                }
                return taken;
            }
            let subject = || Subject::unheld(Reason::Crawl, crawl);
            blocking::wait(py, &mut channel.bell.wait(), Owner::thread(), Patience::Endless, subject)?;
        }
    }

    /// What `take` does, for a task.
    fn take_async(this: Py<Self>, limit: usize) -> PyResult<PyWait> {
        this.get().crawl()?;
        Ok(PyWait::new(TakePages { crawl: this, limit, is_counted: false }, Patience::Endless))
    }

    /// Tells what was made of pages.
    ///
    /// Args:
    ///     pages: the pages.
    ///     outcomes: for each page None, or its items as JSON, its requests, and an error in words or None.
    ///
    /// Returns:
    ///     The pages whose requests had an address that is none, by their index, each with a sentence.
    fn answer(
        &self,
        py: Python<'_>,
        pages: Vec<Py<PyPage>>,
        mut outcomes: Vec<Option<Outcome>>,
    ) -> PyResult<Vec<(usize, String)>> {
        let crawl = self.crawl()?;
        let told: Vec<_> =
            outcomes.iter_mut().map(|outcome| outcome.as_mut().map(|made| Told::new(py, made))).collect();
        // To read addresses takes longer than all else that is done for a page here.
        Ok(py.detach(|| {
            let mut odd = Vec::new();
            let pairs = pages.iter().zip(told).enumerate();
            let all = pairs.map(|(index, (page, told))| {
                let Some(told) = told else { return Made { entry: Some(page.get().page.entry), ..Made::default() } };
                let (made, sentence) = told.made(crawl, page.get());
                odd.extend(sentence.map(|sentence| (index, sentence)));
                made
            });
            crawl.answer(all.collect());
            odd
        }))
    }

    /// Tells that nothing was made of pages.
    fn done(&self, pages: Vec<Bound<'_, PyPage>>) -> PyResult<()> {
        let entry = |page: &Bound<'_, PyPage>| Made { entry: Some(page.get().page.entry), ..Made::default() };
        self.crawl()?.answer(pages.iter().map(entry).collect());
        Ok(())
    }

    /// Adds requests to the crawl.
    ///
    /// Args:
    ///     requests: the requests.
    ///     page: the page that they were found on, or None.
    ///
    /// Raises:
    ///     ValueError: an address is none.
    fn add(&self, py: Python<'_>, requests: Vec<Py<PyRequest>>, page: Option<&Bound<'_, PyPage>>) -> PyResult<()> {
        let crawl = self.crawl()?;
        let made = answers::requests(py, crawl, page.map(|page| &page.get().page), &requests)?;
        crawl.answer(vec![made]);
        Ok(())
    }

    /// The state of the crawl, as JSON.
    fn progress(&self, py: Python<'_>) -> PyResult<String> {
        let crawl = self.crawl()?;
        json(&py.detach(|| crawl.progress()))
    }

    /// How many pages and bytes wait for the program.
    fn load(&self) -> PyResult<(usize, usize)> {
        self.crawl()?;
        Ok(self.channel.as_ref().map_or((0, 0), |channel| channel.load()))
    }

    /// Has the crawl finish what is in flight, and end.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let crawl = self.crawl()?;
        py.detach(|| crawl.stop());
        Ok(())
    }

    /// Ends the crawl at once; what is not done stays to be done.
    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        let crawl = self.crawl()?;
        self.close_channel();
        py.detach(|| crawl.abort());
        Ok(())
    }

    /// Takes no more pages: those that come are dropped.
    fn close(&self) -> PyResult<()> {
        self.crawl()?;
        self.close_channel();
        Ok(())
    }

    /// Waits for the crawl's end.
    ///
    /// Args:
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     The report as JSON; None when the time was up.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Option<String>> {
        self.ending.wait(py, self.crawl()?, wait_patience(timeout)?)
    }

    /// What `wait` does, for a task.
    #[pyo3(signature = (timeout=None))]
    fn wait_async(&self, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<PyWait> {
        self.ending.wait_async(self.crawl()?, wait_patience(timeout)?)
    }
}

impl Drop for PyCrawl {
    fn drop(&mut self) {
        let Some(crawl) = self.crawl.take() else { return };
        if self.process != std::process::id() {
            // Its threads are the parent's: there is nobody to talk to here, and a lock may be held for ever.
            std::mem::forget(crawl);
            return;
        }
        self.close_channel();
        crawl.abort();
    }
}

/// Taking pages, in a task.
struct TakePages {
    crawl: Py<PyCrawl>,
    limit: usize,
    /// Whether the channel knows that a task waits.
    is_counted: bool,
}

impl TakePages {
    fn finish(&mut self) {
        if let (Some(channel), true) = (&self.crawl.get().channel, self.is_counted) {
            channel.waiting_task_count.fetch_sub(1, Ordering::SeqCst);
            self.is_counted = false;
        }
    }
}

impl Drop for TakePages {
    fn drop(&mut self) {
        self.finish();
    }
}

fn object(py: Python<'_>, taken: PyResult<Option<Bound<'_, PyList>>>) -> PyResult<Py<PyAny>> {
    Ok(taken?.map_or_else(|| py.None(), |pages| pages.into_any().unbind()))
}

impl Operation for TakePages {
    fn try_now(&mut self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        let taken = self.crawl.get().try_take(py, self.limit)?;
        Some(object(py, taken))
    }

    fn poll(&mut self, py: Python<'_>, ticket: &mut Ticket) -> Option<PyResult<Py<PyAny>>> {
        let crawl = self.crawl.clone_ref(py);
        let Some(channel) = &crawl.get().channel else { return Some(Ok(py.None())) };
        if !self.is_counted {
            channel.waiting_task_count.fetch_add(1, Ordering::SeqCst);
            self.is_counted = true;
        }
        loop {
            channel.task_bell.clear();
            if let Some(taken) = crawl.get().try_take(py, self.limit) {
                if matches!(taken, Ok(None)) {
                    channel.task_bell.set();
                }
                channel.task_bell.wait().withdraw(ticket, Withdrawal::HandOn);
                self.finish();
                return Some(object(py, taken));
            }
            channel.task_bell.wait().poll(ticket)?;
        }
    }

    fn withdraw(&mut self, _py: Python<'_>, ticket: &mut Ticket, how: Withdrawal) -> Option<PyResult<Py<PyAny>>> {
        // Pages are taken by a poll only: a bell that was heard and not answered loses none.
        if let Some(channel) = &self.crawl.get().channel {
            let _heard = channel.task_bell.wait().withdraw(ticket, how);
        }
        self.finish();
        None
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.None())
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        Subject::unheld(Reason::Crawl, self.crawl.get())
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.crawl)
    }
}
