//! What a TLS transport keeps, and what its protocol asks of it.

use std::collections::VecDeque;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyWeakrefReference};
use threefold_event_loop::Records;
use threefold_wait::Latch;

use super::super::state::EventLoopCore;
use super::super::stream::{Chunk, ReaderCore, Receiver};
use super::engine::Engine;
use super::{incoming, outgoing};
use crate::convert::Constructed;
use crate::ffi::backed::{Backing, Places};

/// The native part of a TLS connection.
///
/// Its protocol and its transport know it; it knows the connection below, and the protocol of the program.
#[pyclass(frozen, module = "threefold._threefold")]
pub(in super::super) struct TlsCore {
    constructed: Constructed,
    pub(super) event_loop: Py<EventLoopCore>,
    pub(super) engine: Engine,
    pub(in super::super) state: Latch<State>,
}

/// How far a connection is, as far as records are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The handshake is not over: writes are queued, and what arrives is the handshake's.
    Opening,
    Open,
    /// What is queued goes out and no more; what arrives is the end's.
    Closing,
    Over,
}

/// What changes while a connection lives.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own, and any combination of them occurs")]
pub(in super::super) struct State {
    pub(super) phase: Phase,
    /// The transport below and the TLS protocol, while there is a connection.
    pub(super) below: Option<Below>,
    /// The program's.
    pub(in super::super) protocol: Option<Py<PyAny>>,
    pub(in super::super) receiver: Receiver,
    pub(super) records: Records,
    /// Whether the TLS object may have plaintext that there was no room for.
    pub(super) has_more: bool,
    /// Whether OpenSSL itself has a part of a record.
    pub(super) has_part: bool,
    /// Whether plaintext is being delivered: what is written meanwhile goes out at its end, together.
    pub(super) is_delivering: bool,
    /// Ciphertext that is to go out before what the TLS object has.
    pub(super) sealed: Vec<Py<PyBytes>>,
    /// Plaintext that was encrypted and not sent since.
    pub(super) unsent_bytes: usize,
    pub(in super::super) is_reading_paused: bool,
    /// Whether the transport below was told to read no more.
    pub(super) is_below_idle: bool,
    /// Whether the transport below has enough to write.
    pub(super) is_below_full: bool,
    /// A connection whose program has paused reading is read from below the second, and then again at the first.
    pub(super) reading_marks: (usize, usize),
    pub(in super::super) writing: Writing,
}

/// The connection below.
pub(super) struct Below {
    pub(super) transport: Py<PyAny>,
    pub(super) protocol: Py<PyAny>,
}

impl Below {
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self { transport: self.transport.clone_ref(py), protocol: self.protocol.clone_ref(py) }
    }
}

/// What is queued as plaintext, and when its writer is to wait.
pub(in super::super) struct Writing {
    /// Each with how many of its first bytes have been encrypted.
    pub(super) chunks: VecDeque<(Chunk, usize)>,
    pub(super) queued_bytes: usize,
    pub(super) low_bytes: usize,
    pub(super) high_bytes: usize,
    pub(in super::super) is_paused: bool,
    pub(super) late_count: usize,
}

impl Writing {
    pub(super) fn push(&mut self, chunk: Chunk, gone_bytes: usize) {
        self.queued_bytes += chunk.as_ref().len() - gone_bytes;
        self.chunks.push_back((chunk, gone_bytes));
    }
}

#[pymethods]
impl TlsCore {
    /// Args:
    ///     event_loop: of ours.
    ///     object: an `ssl.SSLObject` of which nothing was asked yet.
    ///     incoming: its `ssl.MemoryBIO` of what arrives.
    ///     outgoing: that of what is to go out.
    ///     is_direct: whether its records may go through OpenSSL without a call of the interpreter.
    #[new]
    #[pyo3(signature = (event_loop, object, incoming, outgoing, is_direct=true))]
    fn new(
        event_loop: Py<EventLoopCore>,
        object: &Bound<'_, PyAny>,
        incoming: &Bound<'_, PyAny>,
        outgoing: &Bound<'_, PyAny>,
        is_direct: bool,
    ) -> PyResult<Self> {
        let writing = Writing {
            chunks: VecDeque::new(),
            queued_bytes: 0,
            low_bytes: 128 * 1024,
            high_bytes: 512 * 1024,
            is_paused: false,
            late_count: 0,
        };
        let state = State {
            phase: Phase::Opening,
            below: None,
            protocol: None,
            receiver: Receiver::Unknown,
            records: Records::default(),
            has_more: false,
            has_part: false,
            is_delivering: false,
            sealed: Vec::new(),
            unsent_bytes: 0,
            is_reading_paused: false,
            is_below_idle: false,
            is_below_full: false,
            reading_marks: (64 * 1024, 256 * 1024),
            writing,
        };
        let engine = Engine::new(object, incoming, outgoing, is_direct)?;
        Ok(Self { constructed: Constructed::YES, event_loop, engine, state: Latch::new(state) })
    }

    /// Sets what the connection is over, and the TLS protocol between.
    fn join(&self, transport: Py<PyAny>, protocol: Py<PyAny>) {
        let previous = self.state.close().below.replace(Below { transport, protocol });
        drop(previous);
    }

    /// Sets who hears of what arrives.
    #[pyo3(signature = (protocol, is_buffered=false))]
    fn set_protocol(&self, protocol: Option<Py<PyAny>>, is_buffered: bool) {
        self.replace(protocol, if is_buffered { Receiver::UnknownBuffered } else { Receiver::Unknown });
    }

    /// Brings what arrives to a stream's reader: its protocol, a weak reference to it, and its core.
    fn set_reader(&self, protocol: Py<PyAny>, reference: Py<PyWeakrefReference>, core: Py<ReaderCore>) {
        self.replace(Some(protocol), Receiver::Reader(reference, core));
    }

    /// Who hears of what arrives.
    #[getter]
    fn protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.close().protocol.as_ref().map(|protocol| protocol.clone_ref(py))
    }

    /// The handshake is over: what arrives is the program's, and so is what is written.
    fn begin(&self) {
        self.set_phase(Phase::Open);
    }

    /// Nothing more is written than what is queued.
    fn begin_closing(&self) {
        self.set_phase(Phase::Closing);
    }

    /// Takes over ciphertext that has arrived.
    fn put(&self, ciphertext: &Bound<'_, PyBytes>) -> PyResult<()> {
        let py = ciphertext.py();
        incoming::put(self, py, ciphertext.as_bytes())
    }

    /// Takes ciphertext that has arrived over a transport that is not ours.
    fn take(this: &Bound<'_, Self>, ciphertext: &Bound<'_, PyBytes>) -> PyResult<()> {
        incoming::take(this, ciphertext.as_bytes())
    }

    /// Decrypts what has arrived and brings it to the program, unless that has paused reading.
    fn deliver(this: &Bound<'_, Self>) -> PyResult<()> {
        incoming::deliver_pending(this)
    }

    /// Encrypts what is queued, as far as the transport below takes it; true if nothing is left.
    fn advance(this: &Bound<'_, Self>) -> PyResult<bool> {
        outgoing::advance(this)?;
        Ok(this.get().state.close().writing.chunks.is_empty())
    }

    /// Sends the ciphertext that is to go out.
    fn flush(this: &Bound<'_, Self>) -> PyResult<()> {
        outgoing::flush(this)
    }

    /// Notes whether the transport below has enough to write.
    fn set_below_full(&self, is_full: bool) {
        self.state.close().is_below_full = is_full;
    }

    /// Queues plaintext without writing it.
    fn queue(&self, data: &Bound<'_, PyBytes>) {
        self.state.close().writing.push(Chunk::kept(data), 0);
    }

    /// Sets the water marks of what is queued, in bytes.
    fn set_marks(this: &Bound<'_, Self>, low_bytes: usize, high_bytes: usize) -> PyResult<()> {
        let mut state = this.get().state.close();
        (state.writing.low_bytes, state.writing.high_bytes) = (low_bytes, high_bytes);
        drop(state);
        outgoing::control(this)
    }

    /// The water marks, the low one first.
    #[getter]
    fn marks(&self) -> (usize, usize) {
        let state = self.state.close();
        (state.writing.low_bytes, state.writing.high_bytes)
    }

    /// Sets how much ciphertext is kept while reading is paused, in bytes.
    fn set_reading_marks(&self, low_bytes: usize, high_bytes: usize) {
        self.state.close().reading_marks = (low_bytes, high_bytes);
    }

    /// How much ciphertext is kept while reading is paused, the low mark first.
    #[getter]
    fn reading_marks(&self) -> (usize, usize) {
        self.state.close().reading_marks
    }

    /// Whether the program was told to pause writing.
    #[getter]
    fn is_writing_paused(&self) -> bool {
        self.state.close().writing.is_paused
    }

    /// Whether the program has paused reading.
    #[getter]
    fn is_reading_paused(&self) -> bool {
        self.state.close().is_reading_paused
    }

    /// Whether records go through OpenSSL without a call of the interpreter.
    #[getter]
    fn is_direct(&self) -> bool {
        self.engine.session().is_some()
    }

    /// How many bytes have arrived that were not decrypted yet.
    #[getter]
    fn incoming_bytes(&self, py: Python<'_>) -> PyResult<usize> {
        self.engine.pending_bytes(py)
    }

    /// Gives everything up.
    fn end(&self) {
        self.clear();
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if !self.constructed.is_true() {
            return Ok(());
        }
        visit.call(&self.event_loop)?;
        self.engine.traverse(&visit)?;
        let state = self.state.close();
        visit.call(&state.protocol)?;
        if let Some(below) = &state.below {
            visit.call(&below.transport)?;
            visit.call(&below.protocol)?;
        }
        state.receiver.traverse(&visit)
    }

    fn __clear__(&self) {
        self.clear();
    }
}

impl TlsCore {
    fn replace(&self, protocol: Option<Py<PyAny>>, receiver: Receiver) {
        let mut state = self.state.close();
        let protocol = std::mem::replace(&mut state.protocol, protocol);
        let receiver = std::mem::replace(&mut state.receiver, receiver);
        drop(state);
        drop((protocol, receiver));
    }

    fn set_phase(&self, phase: Phase) {
        let mut state = self.state.close();
        if state.phase != Phase::Over {
            state.phase = phase;
        }
    }

    fn clear(&self) {
        let mut state = self.state.close();
        state.phase = Phase::Over;
        let below = state.below.take();
        let chunks = std::mem::take(&mut state.writing.chunks);
        let sealed = std::mem::take(&mut state.sealed);
        state.writing.queued_bytes = 0;
        drop(state);
        drop((below, chunks, sealed));
        self.replace(None, Receiver::Unknown);
    }

    /// Whether a writer has nothing to wait for.
    pub(in super::super) fn is_free_to_write(&self) -> bool {
        let state = self.state.close();
        state.phase == Phase::Open && !state.writing.is_paused
    }

    /// The connection below and the protocol between, while there is a connection.
    pub(super) fn below(&self, py: Python<'_>) -> Option<Below> {
        self.state.close().below.as_ref().map(|below| below.clone_ref(py))
    }
}

impl Backing for TlsCore {
    const SLOT: &'static str = "_core";

    fn places() -> &'static Places {
        static PLACES: Places = Places::new();
        &PLACES
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<TlsCore>()
}
