//! The native part of a stream transport: one connected socket of an event loop.
//!
//! What happens per packet is here and beside it (`reading`, `writing`); what happens per connection is
//! Python's (`threefold/asyncio/_stream_transport.py`), which owns the socket. A transport has its core in a slot; the core
//! does not know its transport, so that the two are no cycle.

use std::os::fd::RawFd;
use std::sync::Arc;

use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyRuntimeError, PySystemExit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyWeakrefReference};
use threefold_event_loop::Stream;
use threefold_event_loop::watch::Side;
use threefold_wait::Latch;

use super::super::hearer::{Hearer, Native};
use super::super::state::EventLoopCore;
use super::super::tls::TlsCore;
use super::chunk::Chunk;
use super::reader::ReaderCore;
use super::reading::{self, Receiver};
use super::writing;
use crate::convert::Constructed;
use crate::ffi::backed::{Backing, Places};
use crate::ffi::contexts;
use crate::kept::intern;

/// What a stream transport keeps.
#[pyclass(frozen, module = "threefold._threefold")]
pub(in super::super) struct StreamCore {
    constructed: Constructed,
    pub(super) descriptor: RawFd,
    /// Not a socket to the kernel's calls: one end of a pipe, or a device.
    pub(super) is_pipe: bool,
    pub(super) event_loop: Py<EventLoopCore>,
    /// The context of everything that the protocol hears; without one, that in which it is asked for.
    context: Option<Py<PyAny>>,
    pub(super) state: Latch<State>,
}

/// What changes while a connection lives.
pub(super) struct State {
    pub(super) stream: Stream<Chunk>,
    pub(super) protocol: Option<Py<PyAny>>,
    pub(super) receiver: Receiver,
    /// What an arrival is expected to need, if that is much: see `reading`.
    pub(super) expected_bytes: usize,
}

#[pymethods]
impl StreamCore {
    #[new]
    #[pyo3(signature = (event_loop, descriptor, context=None, is_pipe=false))]
    fn new(event_loop: Py<EventLoopCore>, descriptor: RawFd, context: Option<Py<PyAny>>, is_pipe: bool) -> Self {
        let state = State { stream: Stream::default(), protocol: None, receiver: Receiver::Unknown, expected_bytes: 0 };
        Self { constructed: Constructed::YES, descriptor, is_pipe, event_loop, context, state: Latch::new(state) }
    }

    /// Sets who hears of what arrives; `None` at the end.
    #[pyo3(signature = (protocol, is_buffered=false))]
    fn set_protocol(&self, protocol: Option<Py<PyAny>>, is_buffered: bool) {
        self.replace(protocol, if is_buffered { Receiver::UnknownBuffered } else { Receiver::Unknown });
    }

    /// Brings what arrives to a stream's reader.
    ///
    /// Args:
    ///     protocol: the reader's protocol.
    ///     reference: a weak reference to the reader.
    ///     core: the reader's.
    fn set_reader(&self, protocol: Py<PyAny>, reference: Py<PyWeakrefReference>, core: Py<ReaderCore>) {
        self.replace(Some(protocol), Receiver::Reader(reference, core));
    }

    /// Brings what arrives to a TLS connection over this one.
    fn set_tls(&self, protocol: Py<PyAny>, tls: Py<TlsCore>) {
        self.replace(Some(protocol), Receiver::Tls(tls));
    }

    /// Sets who writes to a pipe, where nothing arrives but the news that nobody reads any more.
    fn set_writer(&self, protocol: Py<PyAny>) {
        self.replace(Some(protocol), Receiver::OtherEnd);
    }

    /// Who hears of what arrives.
    #[getter]
    fn protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.close().protocol.as_ref().map(|protocol| protocol.clone_ref(py))
    }

    /// Begins to read, if reading is wanted.
    fn begin_reading(this: &Bound<'_, Self>, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let is_reading = this.get().state.close().stream.is_reading();
        if is_reading { listen(this, transport, Side::Read) } else { Ok(()) }
    }

    /// Reads no more, though nobody has paused it: the other end has said that nothing comes.
    fn end_reading(&self) {
        self.ignore(Side::Read);
    }

    /// Reads what arrived, or writes what is queued.
    fn act(this: &Bound<'_, Self>, transport: &Bound<'_, PyAny>, is_writer: bool) -> PyResult<()> {
        act(this, transport, if is_writer { Side::Write } else { Side::Read })
    }

    /// Closes: true if that is the end, and the protocol must hear of it; otherwise something is still queued.
    fn close(&self) -> bool {
        let mut state = self.state.close();
        if state.stream.is_closing() {
            return false;
        }
        let is_end = state.stream.close();
        drop(state);
        self.ignore(Side::Read);
        if is_end {
            self.ignore(Side::Write);
        }
        is_end
    }

    /// Gives up what is queued: true if the protocol must hear of the end.
    fn abort(&self) -> bool {
        let mut state = self.state.close();
        let queued = state.stream.abort();
        drop(state);
        let Some(queued) = queued else { return false };
        drop(queued);
        self.ignore(Side::Write);
        self.ignore(Side::Read);
        true
    }

    /// Whether this was the end of a connection that is closed as soon as nothing is queued.
    fn finish(&self) -> bool {
        self.state.close().stream.finish()
    }

    /// Nothing more will be written: true if nothing is queued, so that the other end can be told now.
    fn end_writing(&self) -> bool {
        self.state.close().stream.end_writing()
    }

    /// Lends the descriptor to somebody else who writes there, or takes it back; true if nothing is queued.
    fn lend(&self, is_lent: bool) -> bool {
        let mut state = self.state.close();
        state.stream.set_lent(is_lent);
        state.stream.outgoing.is_empty()
    }

    /// Sets the water marks: true if the protocol must be told to pause.
    fn set_marks(&self, low_bytes: usize, high_bytes: usize) -> bool {
        let mut state = self.state.close();
        state.stream.outgoing.set_marks(low_bytes, high_bytes);
        state.stream.outgoing.must_pause()
    }

    /// The water marks, the low one first.
    #[getter]
    fn marks(&self) -> (usize, usize) {
        self.state.close().stream.outgoing.marks()
    }

    /// Whether the protocol was told to pause writing.
    #[getter]
    fn is_writing_paused(&self) -> bool {
        self.state.close().stream.outgoing.is_paused()
    }

    /// Whether reading was paused.
    #[getter]
    fn is_reading_paused(&self) -> bool {
        self.state.close().stream.is_reading_paused()
    }

    /// Whether nothing more will be written.
    #[getter]
    fn has_ended(&self) -> bool {
        self.state.close().stream.has_ended()
    }

    /// Whether nothing can be read or written any more.
    #[getter]
    fn is_lost(&self) -> bool {
        self.state.close().stream.is_lost()
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if !self.constructed.is_true() {
            return Ok(());
        }
        visit.call(&self.event_loop)?;
        visit.call(&self.context)?;
        let state = self.state.close();
        visit.call(&state.protocol)?;
        state.receiver.traverse(&visit)
    }

    fn __clear__(&self) {
        self.set_protocol(None, false);
    }
}

impl StreamCore {
    fn replace(&self, protocol: Option<Py<PyAny>>, receiver: Receiver) {
        let mut state = self.state.close();
        let protocol = std::mem::replace(&mut state.protocol, protocol);
        let receiver = std::mem::replace(&mut state.receiver, receiver);
        drop(state);
        drop((protocol, receiver));
    }

    /// The kernel is not asked about a side any more.
    pub(super) fn ignore(&self, side: Side) {
        let previous = self.event_loop.get().watch.close().clear(self.descriptor, side);
        drop(previous);
    }
}

impl Backing for StreamCore {
    const SLOT: &'static str = "_core";

    fn places() -> &'static Places {
        static PLACES: Places = Places::new();
        &PLACES
    }
}

/// What hears of one side of the connection's socket, in the connection's context or the one in which that began.
struct Ear {
    transport: Py<PyAny>,
    core: Py<StreamCore>,
    context: Py<PyAny>,
}

impl Native for Ear {
    fn ready(&self, py: Python<'_>, side: Side) -> PyResult<()> {
        let (core, transport) = (self.core.bind(py), self.transport.bind(py));
        let acted = contexts::run_in(self.context.bind(py), || {
            if core.get().event_loop.get().is_in_debug_mode() {
                let is_writer = side == Side::Write;
                return transport.call_method1(intern!(py, "_act_in_debug_mode"), (is_writer,)).map(drop);
            }
            act(core, transport, side)
        });
        acted.or_else(|error| report(core, transport, error))
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.transport)?;
        visit.call(&self.core)?;
        visit.call(&self.context)
    }
}

fn act(core: &Bound<'_, StreamCore>, transport: &Bound<'_, PyAny>, side: Side) -> PyResult<()> {
    match side {
        Side::Read => reading::receive(core, transport),
        Side::Write => writing::flush(core, transport),
    }
}

/// Asks the kernel to tell of a side from now on.
pub(super) fn listen(core: &Bound<'_, StreamCore>, transport: &Bound<'_, PyAny>, side: Side) -> PyResult<()> {
    let event_loop = core.get().event_loop.get();
    if event_loop.is_closed() {
        return Err(PyRuntimeError::new_err("Event loop is closed"));
    }
    let context = match &core.get().context {
        Some(context) => context.clone_ref(core.py()),
        None => contexts::copy_current(core.py())?,
    };
    let ear = Arc::new(Ear { transport: transport.clone().unbind(), core: core.clone().unbind(), context });
    let previous = event_loop.watch.close().set(core.get().descriptor, side, Hearer::Native(ear));
    drop(previous.map_err(|error| os_error(core.py(), &error))?);
    Ok(())
}

/// Whether an exception leaves the loop, instead of being reported.
pub(in super::super) fn leaves_loop(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyKeyboardInterrupt>(py) || error.is_instance_of::<PySystemExit>(py)
}

/// The connection can't go on: says so, and ends it.
#[cold]
pub(super) fn fail(transport: &Bound<'_, PyAny>, error: PyErr, message: &str) -> PyResult<()> {
    let py = transport.py();
    if leaves_loop(py, &error) {
        return Err(error);
    }
    transport.call_method1(intern!(py, "_fatal_error"), (error.into_value(py), message)).map(drop)
}

/// The kernel's error as Python's, with its number.
#[cold]
pub(super) fn os_error(py: Python<'_>, error: &std::io::Error) -> PyErr {
    let Some(number) = error.raw_os_error() else { return PyOSError::new_err(error.to_string()) };
    let text = py.import("os").and_then(|os| os.call_method1("strerror", (number,))).map(Bound::unbind);
    match text {
        Ok(text) => PyOSError::new_err((number, text)),
        Err(error) => error,
    }
}

#[cold]
fn report(core: &Bound<'_, StreamCore>, transport: &Bound<'_, PyAny>, error: PyErr) -> PyResult<()> {
    let py = core.py();
    if leaves_loop(py, &error) {
        return Err(error);
    }
    let context = PyDict::new(py);
    context.set_item("message", "Exception in a stream transport")?;
    context.set_item("exception", error.into_value(py))?;
    context.set_item("transport", transport)?;
    core.get().event_loop.bind(py).call_method1("call_exception_handler", (context,)).map(drop)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<StreamCore>()
}
