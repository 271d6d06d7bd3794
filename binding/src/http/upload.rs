//! A request body that a program makes piece by piece, while it is sent.

use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use pyo3::prelude::*;
use threefold_crawl::fetch::RequestBody;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::outcome::Outcome;
use super::runtime;

type Piece = io::Result<Bytes>;

/// Pieces that may wait for the network.
const PIECES: usize = 8;

/// The program's end of a request body.
#[pyclass(frozen, module = "threefold._threefold", name = "HttpUpload")]
pub(crate) struct PyUpload {
    sender: Mutex<Option<Sender<Piece>>>,
    receiver: Mutex<Option<Receiver<Piece>>>,
}

impl PyUpload {
    /// The network's end; there is one.
    pub(super) fn body(&self) -> RequestBody {
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        receiver.map_or(RequestBody::Empty, RequestBody::Stream)
    }

    fn sender(&self) -> Option<Sender<Piece>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[pymethods]
impl PyUpload {
    #[new]
    fn new() -> Self {
        let (sender, receiver) = channel(PIECES);
        Self { sender: Mutex::new(Some(sender)), receiver: Mutex::new(Some(receiver)) }
    }

    /// Hands a piece over; waits while there are enough of them on their way.
    ///
    /// Returns:
    ///     False when nobody takes them any more: the answer is there, or will not be.
    fn put(&self, py: Python<'_>, piece: &[u8]) -> PyResult<bool> {
        let Some(sender) = self.sender() else { return Ok(false) };
        let outcome = Outcome::new(false);
        let (theirs, piece) = (outcome.clone(), Bytes::copy_from_slice(piece));
        runtime::handle()?.spawn(async move {
            *theirs.value() = sender.send(Ok(piece)).await.is_ok();
            theirs.ring();
        });
        outcome.wait(py)?;
        let is_taken = *outcome.value();
        Ok(is_taken)
    }

    /// Says that there are no more pieces.
    fn finish(&self) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(sender);
    }

    /// Says that the next piece can't be made: the request ends without an answer.
    fn fail(&self) -> PyResult<()> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            runtime::handle()?.spawn(async move {
                let _nobody_listens = sender.send(Err(io::Error::other("the body could not be made"))).await;
            });
        }
        Ok(())
    }
}
