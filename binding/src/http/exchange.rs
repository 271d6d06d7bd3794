//! `HttpExchange`: one request on its way, its answer, and the pieces of its body.
//!
//! | step | call | then |
//! |---|---|---|
//! | the head (and, of a `whole` exchange, the body) | `wait()` or `await wait_async()` | `head()`, `body()` |
//! | the next piece of the body | `ask()`, then `wait()` or `await wait_async()` | `piece()` |

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use threefold_crawl::fetch::{Answer, Client, Download, ErrorKind, FetchError, Headers, Request};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::outcome::{Outcome, not_ours, to_python};
use crate::wait::PyWait;

/// How far the exchange has come.
#[derive(Default)]
struct Progress {
    head: Option<Head>,
    body: Option<Bytes>,
    download: Option<Box<Download>>,
    piece: Option<Bytes>,
    error: Option<FetchError>,
    /// A step is on its way.
    is_busy: bool,
}

struct Head {
    status: u16,
    reason: Option<String>,
    version: Version,
    headers: Headers,
    address: String,
    first_byte: Duration,
}

/// One request and its answer.
#[pyclass(frozen, module = "threefold._threefold", name = "HttpExchange")]
pub(crate) struct PyExchange {
    progress: Arc<Outcome<Progress>>,
    runtime: Handle,
    /// Ends the step that was begun last.
    step: Mutex<AbortHandle>,
    process: u32,
}

impl PyExchange {
    /// Sends a request from the runtime's threads.
    pub(super) fn begin(runtime: Handle, client: Client, request: Request, whole: bool) -> Self {
        let progress = Outcome::new(Progress { is_busy: true, ..Progress::default() });
        let theirs = Arc::clone(&progress);
        let task = runtime.spawn(async move {
            let step = if whole {
                client.fetch(request).await.map(Step::Whole)
            } else {
                client.open(request).await.map(Step::Head)
            };
            theirs.value().take_in(step);
            theirs.ring();
        });
        Self { progress, step: Mutex::new(task.abort_handle()), runtime, process: std::process::id() }
    }

    fn check_process(&self) -> PyResult<()> {
        if self.process == std::process::id() { Ok(()) } else { Err(not_ours(self.process)) }
    }

    fn step(&self) -> MutexGuard<'_, AbortHandle> {
        self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise_error(&self, py: Python<'_>) -> PyResult<()> {
        let error = self.progress.value().error.clone();
        error.map_or(Ok(()), |error| Err(to_python(py, &error)))
    }
}

enum Step {
    Whole(Answer),
    Head(Download),
}

impl Progress {
    fn take_in(&mut self, step: Result<Step, FetchError>) {
        self.is_busy = false;
        match step {
            Ok(Step::Whole(answer)) => self.take_whole(answer),
            Ok(Step::Head(mut download)) => {
                self.head = Some(Head {
                    status: download.status,
                    reason: download.reason.take(),
                    version: download.version,
                    headers: std::mem::take(&mut download.headers),
                    address: download.address.to_string(),
                    first_byte: download.first_byte,
                });
                self.download = Some(Box::new(download));
            }
            Err(mut error) => {
                if let Some(received) = error.received.take() {
                    self.take_whole(*received);
                }
                self.error = Some(error);
            }
        }
    }

    fn take_whole(&mut self, answer: Answer) {
        self.head = Some(Head {
            status: answer.status,
            reason: answer.reason,
            version: answer.version,
            headers: answer.headers,
            address: answer.address.map(|address| address.to_string()).unwrap_or_default(),
            first_byte: answer.first_byte,
        });
        self.body = Some(answer.body);
    }
}

type PyHead<'py> = (u16, Option<String>, u8, Bound<'py, PyList>, String, f64);

#[pymethods]
impl PyExchange {
    /// Waits until the step that was begun is done.
    fn wait(&self, py: Python<'_>) -> PyResult<()> {
        self.check_process()?;
        self.progress.wait(py)
    }

    /// The same for a task.
    fn wait_async(&self) -> PyResult<PyWait> {
        self.check_process()?;
        Ok(self.progress.wait_async())
    }

    /// The answer's head.
    ///
    /// Returns:
    ///     Status, the server's own words for it or None, version (10, 11, 20), headers as pairs of str and bytes, the server's address, and the seconds until the
    ///     head was there.
    ///
    /// Raises:
    ///     threefold.http.RequestException: there is no answer.
    fn head<'py>(&self, py: Python<'py>) -> PyResult<PyHead<'py>> {
        let progress = self.progress.value();
        let Some(head) = &progress.head else {
            drop(progress);
            self.raise_error(py)?;
            return Err(PyRuntimeError::new_err("the answer is not there yet"));
        };
        let headers: Vec<(String, Vec<u8>)> =
            head.headers.iter().map(|(name, value)| (name.clone(), value.to_vec())).collect();
        let (status, reason) = (head.status, head.reason.clone());
        let (address, seconds) = (head.address.clone(), head.first_byte.as_secs_f64());
        let version = match head.version {
            Version::HTTP_10 => 10,
            Version::HTTP_2 => 20,
            _ => 11,
        };
        drop(progress);
        let pairs = headers.into_iter().map(|(name, value)| (name, PyBytes::new(py, &value)));
        Ok((status, reason, version, PyList::new(py, pairs.collect::<Vec<_>>())?, address, seconds))
    }

    /// The body of a whole exchange.
    ///
    /// Raises:
    ///     threefold.http.RequestException: it did not come, or not all of it.
    fn body<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.raise_error(py)?;
        let body = self.progress.value().body.take();
        Ok(PyBytes::new(py, &body.unwrap_or_default()))
    }

    /// Begins to read the next piece of the body.
    fn ask(&self) -> PyResult<()> {
        self.check_process()?;
        let mut progress = self.progress.value();
        if progress.is_busy {
            return Err(PyRuntimeError::new_err("a piece of this body is being read already"));
        }
        let Some(mut download) = progress.download.take() else { return Ok(()) };
        progress.is_busy = true;
        drop(progress);
        self.progress.silence();
        let theirs = Arc::clone(&self.progress);
        let task = self.runtime.spawn(async move {
            let piece = download.chunk().await;
            let mut progress = theirs.value();
            progress.is_busy = false;
            match piece {
                Ok(Some(piece)) => {
                    progress.piece = Some(piece);
                    progress.download = Some(download);
                }
                // Its connection has gone back to the others.
                Ok(None) => {}
                Err(error) => progress.error = Some(error),
            }
            drop(progress);
            theirs.ring();
        });
        *self.step() = task.abort_handle();
        Ok(())
    }

    /// The piece that was asked for.
    ///
    /// Returns:
    ///     Bytes; None at the end of the body.
    ///
    /// Raises:
    ///     threefold.http.RequestException: the rest does not come.
    fn piece<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let piece = self.progress.value().piece.take();
        if piece.is_none() {
            self.raise_error(py)?;
        }
        Ok(piece.map(|piece| PyBytes::new(py, &piece)))
    }

    /// Ends the exchange: what has not come yet is not read, and the connection is closed.
    fn close(&self) {
        if self.process != std::process::id() {
            return;
        }
        self.step().abort();
        let mut progress = self.progress.value();
        let download = progress.download.take();
        if std::mem::take(&mut progress.is_busy) {
            progress.error =
                Some(FetchError::new(ErrorKind::Closed, "the exchange was ended before its answer was complete"));
        }
        drop(progress);
        drop(download);
        // Another thread may wait for a step that will not be done.
        Arc::clone(&self.progress).ring();
    }
}

impl Drop for PyExchange {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            self.step().abort();
        } else if let Some(download) = self.progress.value().download.take() {
            // The connection is the parent's.
            std::mem::forget(download);
        }
    }
}
