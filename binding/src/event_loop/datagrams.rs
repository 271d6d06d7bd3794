//! The native part of a datagram transport: what is per packet.
//!
//! Datagrams over IP are taken in batches, one batch for each time that the loop finds the socket ready, so that a flood on
//! one socket does not keep the others waiting. All that is per connection is the standard library's transport's.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple, PyType};
use threefold_event_loop::watch::Side;
use threefold_sys::datagram::{self, Batch};
use threefold_wait::Latch;

use super::core::EventLoopCore;
use super::hearer::{Hearer, Native};
use super::sockets::os_error;
use crate::convert::Constructed;
use crate::ffi::datagrams::{self, Sender, Sent};
use crate::kept::intern;

/// How many senders' addresses are kept as Python objects.
const RECENT: usize = 64;

/// The native part of a datagram transport.
#[pyclass(frozen, module = "threefold._threefold", name = "DatagramEnd")]
struct DatagramEnd {
    constructed: Constructed,
    event_loop: Py<EventLoopCore>,
    descriptor: RawFd,
    is_ipv6: bool,
    /// Whether the socket has a peer.
    is_connected: bool,
    /// Whether datagrams are sent at once: nothing is queued, and the transport is open.
    is_open: AtomicBool,
    is_paused: AtomicBool,
    /// `datagram_received` of the protocol.
    receive: Latch<Option<Py<PyAny>>>,
    /// Addresses that were heard from lately, by port.
    recent: Latch<Vec<Option<(SocketAddr, Py<PyTuple>)>>>,
    /// Datagrams that had been taken when the transport was paused, or an exception left the loop.
    kept: Latch<VecDeque<(Py<PyBytes>, Py<PyAny>)>>,
}

/// Hears of a transport's socket.
struct Reader {
    end: Py<DatagramEnd>,
    /// Its callback is the transport's `_read_ready`; its context is that of the protocol's calls.
    handle: Py<PyAny>,
}

impl Native for Reader {
    fn ready(&self, py: Python<'_>, _side: Side) -> PyResult<()> {
        self.receive(py)
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.end)?;
        visit.call(&self.handle)
    }
}

impl Reader {
    fn receive(&self, py: Python<'_>) -> PyResult<()> {
        let end = self.end.get();
        let core = end.event_loop.get();
        let mut batch = core.datagrams.close().take().unwrap_or_default();
        let received = batch.receive(end.descriptor);
        let taken = received.map(|count| {
            let of = |index| Some(end.objects(py, batch.datagram(index)?));
            (0..count).filter_map(of).collect::<PyResult<Vec<_>>>()
        });
        *core.datagrams.close() = Some(batch);
        match taken {
            Ok(taken) => self.hand_over(py, taken?),
            Err(error) => self.report_refusal(py, &os_error(&error)),
        }
    }

    fn hand_over(&self, py: Python<'_>, taken: Vec<(Py<PyBytes>, Py<PyAny>)>) -> PyResult<()> {
        let end = self.end.get();
        // Entered for each call: the exception handler enters it, too.
        let context = self.handle.bind(py).getattr(intern!(py, "_context"))?;
        let kept = std::mem::take(&mut *end.kept.close());
        let mut rest = kept.into_iter().chain(taken);
        while end.is_reading() {
            let Some((data, address)) = rest.next() else { return Ok(()) };
            let Some(receive) = end.receive.close().as_ref().map(|receive| receive.clone_ref(py)) else { break };
            let called = datagrams::in_context(&context, || receive.call1(py, (data, address)));
            if let Err(error) = called.and_then(|called| called) {
                if let Err(error) = self.report(py, error) {
                    if end.keep(rest) {
                        let ready = self.handle.clone_ref(py);
                        end.event_loop.get().ready.close().push_back(ready);
                    }
                    return Err(error);
                }
            }
        }
        end.keep(rest);
        Ok(())
    }

    fn report_refusal(&self, py: Python<'_>, error: &PyErr) -> PyResult<()> {
        let handle = self.handle.bind(py);
        let context = handle.getattr(intern!(py, "_context"))?;
        let transport = handle.getattr(intern!(py, "_callback"))?.getattr(intern!(py, "__self__"))?;
        let tell = || transport.call_method1(intern!(py, "_note_error"), (error.value(py),));
        match datagrams::in_context(&context, tell).and_then(|called| called) {
            Ok(_nothing) => Ok(()),
            Err(error) => self.report(py, error),
        }
    }

    /// What the protocol raised goes to the loop's exception handler, or out of the loop.
    fn report(&self, py: Python<'_>, error: PyErr) -> PyResult<()> {
        if error.is_instance_of::<PyKeyboardInterrupt>(py) || error.is_instance_of::<PySystemExit>(py) {
            return Err(error);
        }
        let event_loop = self.end.get().event_loop.bind(py);
        event_loop.call_method1(intern!(py, "_report_callback"), (&self.handle, error.into_value(py))).map(drop)
    }
}

#[pymethods]
impl DatagramEnd {
    #[new]
    fn new(event_loop: Py<EventLoopCore>, descriptor: RawFd, is_ipv6: bool, is_connected: bool) -> Self {
        Self {
            constructed: Constructed::YES,
            event_loop,
            descriptor,
            is_ipv6,
            is_connected,
            is_open: AtomicBool::new(true),
            is_paused: AtomicBool::new(false),
            receive: Latch::default(),
            recent: Latch::default(),
            kept: Latch::default(),
        }
    }

    /// Begins to receive, with the context and in the name of a handle.
    fn listen(this: Py<Self>, py: Python<'_>, handle: Py<PyAny>) -> PyResult<()> {
        let end = this.clone_ref(py);
        let end = end.get();
        end.is_paused.store(false, Ordering::Relaxed);
        let reader = Hearer::Native(Arc::new(Reader { end: this, handle }));
        let previous = end.event_loop.get().watch.close().set(end.descriptor, Side::Read, reader)?;
        drop(previous);
        Ok(())
    }

    /// Says whether datagrams may be sent at once.
    fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Relaxed);
    }

    /// What has been taken is kept from now on.
    fn pause(&self) {
        self.is_paused.store(true, Ordering::Relaxed);
    }

    /// Sets who gets the datagrams: a protocol's method, or nobody.
    fn set_receiver(&self, receive: Option<Py<PyAny>>) {
        let previous = std::mem::replace(&mut *self.receive.close(), receive);
        drop(previous);
    }

    /// Takes out the first of what was kept: data and address, or `None`.
    fn take_kept(&self) -> Option<(Py<PyBytes>, Py<PyAny>)> {
        self.kept.close().pop_front()
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if !self.constructed.is_true() {
            return Ok(());
        }
        visit.call(&self.event_loop)?;
        visit.call(&*self.receive.close())
    }

    fn __clear__(&self) {
        self.set_receiver(None);
    }
}

impl DatagramEnd {
    fn is_reading(&self) -> bool {
        !self.is_paused.load(Ordering::Relaxed)
    }

    /// Keeps what was taken and can't be handed over now; says whether there was any.
    fn keep(&self, rest: impl Iterator<Item = (Py<PyBytes>, Py<PyAny>)>) -> bool {
        let rest: Vec<_> = rest.collect();
        let is_any = !rest.is_empty();
        if is_any {
            self.kept.close().extend(rest);
        }
        is_any
    }

    fn objects(
        &self,
        py: Python<'_>,
        (data, sender): (&[u8], Option<SocketAddr>),
    ) -> PyResult<(Py<PyBytes>, Py<PyAny>)> {
        let data = PyBytes::new(py, data).unbind();
        let address = match sender {
            Some(sender) => self.address_object(py, sender)?.into_any(),
            None => py.None(),
        };
        Ok((data, address))
    }

    /// An address as Python writes it.
    fn address_object(&self, py: Python<'_>, address: SocketAddr) -> PyResult<Py<PyTuple>> {
        let place = usize::from(address.port()) % RECENT;
        let known = self.recent.close().get(place).and_then(|known| {
            known.as_ref().filter(|(known, _)| *known == address).map(|(_, object)| object.clone_ref(py))
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let host = PyString::new(py, &datagram::host_text(address.ip()));
        let object = match address {
            SocketAddr::V4(address) => (host, address.port()).into_pyobject(py)?,
            SocketAddr::V6(address) => {
                (host, address.port(), address.flowinfo(), address.scope_id()).into_pyobject(py)?
            }
        };
        let object = object.unbind();
        let mut recent = self.recent.close();
        recent.resize_with(RECENT, || None);
        let previous = recent.get_mut(place).and_then(|known| known.replace((address, object.clone_ref(py))));
        drop(recent);
        drop(previous);
        Ok(object)
    }

    /// The address that a Python object stands for, if that is a numeric one of the socket's family.
    fn address_of(&self, object: &Bound<'_, PyAny>) -> Option<SocketAddr> {
        let tuple = object.cast_exact::<PyTuple>().ok()?;
        let port: u16 = tuple.get_item(1).ok()?.extract().ok()?;
        let known = self.recent.close().get(usize::from(port) % RECENT).and_then(|known| {
            known.as_ref().filter(|(_, known)| known.is(tuple)).map(|(address, _)| *address)
        });
        if known.is_some() {
            return known;
        }
        let host = tuple.get_item(0).ok()?;
        let host: IpAddr = host.cast_exact::<PyString>().ok()?.to_str().ok()?.parse().ok()?;
        match (host, tuple.len()) {
            (IpAddr::V4(_), 2) if !self.is_ipv6 => Some(SocketAddr::new(host, port)),
            (IpAddr::V6(_), 2) if self.is_ipv6 => Some(SocketAddr::new(host, port)),
            (IpAddr::V6(host), 4) if self.is_ipv6 => {
                let flow: u32 = tuple.get_item(2).ok()?.extract().ok()?;
                let scope = tuple.get_item(3).ok()?.extract().ok()?;
                (flow <= 0xf_ffff).then(|| SocketAddr::V6(SocketAddrV6::new(host, port, flow, scope)))
            }
            _ => None,
        }
    }
}

impl Sender for DatagramEnd {
    fn send(&self, data: &[u8], address: Option<&Bound<'_, PyAny>>) -> Sent {
        if !self.is_open.load(Ordering::Relaxed) {
            return Sent::Slow;
        }
        let sent = match address {
            None if self.is_connected => datagram::send(self.descriptor, data),
            Some(address) if !self.is_connected => {
                let Some(address) = self.address_of(address) else { return Sent::Slow };
                datagram::send_to(self.descriptor, data, &address)
            }
            _ => return Sent::Slow,
        };
        match sent {
            Ok(Some(_count)) => Sent::Done,
            Ok(None) => Sent::Slow,
            Err(error) => Sent::Failed(os_error(&error)),
        }
    }
}

/// The memory of a batch, while nobody uses it.
pub(super) type Spare = Latch<Option<Batch>>;

/// Makes a Python class, a subclass of the standard library's datagram transport with a slot `_end`, that of our loops.
#[pyfunction]
fn install_datagrams(class: &Bound<'_, PyType>) -> PyResult<()> {
    datagrams::install::<DatagramEnd>(class)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<DatagramEnd>()?;
    module.add_function(wrap_pyfunction!(install_datagrams, module)?)
}
