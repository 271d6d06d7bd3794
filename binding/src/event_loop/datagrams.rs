//! The native part of a datagram transport: what is per packet.
//!
//! Datagrams over IP are taken in batches, one batch for each time that the loop finds the socket ready, so that a flood on
//! one socket does not keep the others waiting. All that is per connection is the standard library's transport's.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple, PyType};
use threefold_sys::datagram::{self, Batch};
use threefold_wait::Latch;

use super::sockets::os_error;
use super::state::EventLoopCore;
use crate::convert::Constructed;
use crate::ffi::datagrams::{self, Sends, Sent};

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
    /// The handle that hears of the socket, and who is told of errors.
    listener: Latch<Option<(Py<PyAny>, Py<PyAny>)>>,
    /// Addresses that were heard from lately, by port.
    recent: Latch<Vec<Option<Sender>>>,
    /// Datagrams that had been taken when the transport was paused, or the protocol raised an exception.
    kept: Latch<VecDeque<Datagram>>,
}

/// An address, and the same as Python writes it.
type Sender = (SocketAddr, Py<PyTuple>);
/// Data, and who sent it.
type Datagram = (Py<PyBytes>, Py<PyAny>);

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
            listener: Latch::default(),
            recent: Latch::default(),
            kept: Latch::default(),
        }
    }

    /// Hands over the datagrams that are there: the callback of the handle that hears of the socket.
    fn _read_ready(&self, py: Python<'_>) -> PyResult<()> {
        let mut batch = self.event_loop.get().datagrams.close().take().unwrap_or_default();
        let received = batch.receive(self.descriptor);
        let taken = received.map(|count| {
            let of = |index| Some(self.objects(py, batch.datagram(index)?));
            (0..count).filter_map(of).collect::<PyResult<Vec<_>>>()
        });
        *self.event_loop.get().datagrams.close() = Some(batch);
        match taken {
            Ok(taken) => self.hand_over(py, taken?),
            Err(error) => self.refused(py, &os_error(&error)),
        }
    }

    /// Begins to receive.
    ///
    /// Args:
    ///     handle: the handle with `_read_ready`.
    ///     note_error: what is told of errors.
    fn listen(&self, handle: Py<PyAny>, note_error: Py<PyAny>) {
        self.is_paused.store(false, Ordering::Relaxed);
        let previous = self.listener.close().replace((handle, note_error));
        drop(previous);
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
        let listener = if receive.is_none() { self.listener.close().take() } else { None };
        let previous = std::mem::replace(&mut *self.receive.close(), receive);
        drop((previous, listener));
    }

    /// Takes out the first of what was kept: data and address, or `None`.
    fn take_kept(&self) -> Option<Datagram> {
        self.kept.close().pop_front()
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if !self.constructed.is_true() {
            return Ok(());
        }
        visit.call(&self.event_loop)?;
        if let Some((handle, note_error)) = &*self.listener.close() {
            visit.call(handle)?;
            visit.call(note_error)?;
        }
        visit.call(&*self.receive.close())
    }

    fn __clear__(&self) {
        self.set_receiver(None);
    }
}

impl DatagramEnd {
    fn hand_over(&self, py: Python<'_>, taken: Vec<Datagram>) -> PyResult<()> {
        let kept = std::mem::take(&mut *self.kept.close());
        let mut rest = kept.into_iter().chain(taken);
        while self.is_reading() {
            let Some((data, address)) = rest.next() else { return Ok(()) };
            let receive = self.receive.close().as_ref().map(|receive| receive.clone_ref(py));
            let Some(receive) = receive else { break };
            if let Err(error) = receive.call1(py, (data, address)) {
                if self.keep(rest) {
                    let handle = self.listener.close().as_ref().map(|(handle, _)| handle.clone_ref(py));
                    self.event_loop.get().ready.close(py).extend(handle);
                }
                return Err(error);
            }
        }
        self.keep(rest);
        Ok(())
    }

    fn refused(&self, py: Python<'_>, error: &PyErr) -> PyResult<()> {
        let note_error = self.listener.close().as_ref().map(|(_, note_error)| note_error.clone_ref(py));
        note_error.map_or(Ok(()), |note_error| note_error.call1(py, (error.value(py),)).map(drop))
    }

    fn is_reading(&self) -> bool {
        !self.is_paused.load(Ordering::Relaxed)
    }

    /// Keeps what was taken and can't be handed over now; says whether there was any.
    fn keep(&self, rest: impl Iterator<Item = Datagram>) -> bool {
        let rest: Vec<_> = rest.collect();
        let is_any = !rest.is_empty();
        if is_any {
            self.kept.close().extend(rest);
        }
        is_any
    }

    fn objects(&self, py: Python<'_>, (data, sender): (&[u8], Option<SocketAddr>)) -> PyResult<Datagram> {
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
        let known = self
            .recent
            .close()
            .get(usize::from(port) % RECENT)
            .and_then(|known| known.as_ref().filter(|(_, known)| known.is(tuple)).map(|(address, _)| *address));
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

impl Sends for DatagramEnd {
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
