//! One attempt of an operation on a socket: done, failed, or to be made again when the socket is ready.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBlockingIOError, PyInterruptedError, PyMemoryError, PyOSError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use threefold_event_loop::watch::Side;
use threefold_sys::datagram;

use super::super::state::EventLoopCore;
use super::known::ROOM_BYTES;
use crate::ffi;
use crate::kept::intern;

/// An operation, and how far it has come.
pub(in super::super) enum Attempt {
    /// `sock_recv`: up to so many bytes.
    Receive(usize),
    /// `sock_recv_into`.
    ReceiveInto(Py<PyAny>),
    /// `sock_sendall`: what is to be sent, and how much was sent so far.
    Send(Data, usize),
    /// `sock_accept`.
    Accept,
    /// A method of the socket, which raises `BlockingIOError` when it has to wait.
    Call(&'static str, Py<PyTuple>, Side),
}

/// What is to be sent.
pub(in super::super) enum Data {
    /// As it was given.
    Given(Py<PyAny>),
    Bytes(Py<PyBytes>),
    Buffer(PyBuffer<u8>),
}

/// What came of an attempt.
pub(super) enum Outcome {
    Done(PyResult<Py<PyAny>>),
    /// It has found that nothing is left.
    MustWait,
    /// A handler of a signal has raised it: that says nothing of the socket.
    Interrupted,
}

/// On what an attempt is made.
pub(super) struct Place<'a, 'py> {
    pub(super) py: Python<'py>,
    pub(super) core: &'a EventLoopCore,
    pub(super) socket: &'a Bound<'py, PyAny>,
    pub(super) descriptor: RawFd,
    /// Whether less than what was asked for means that nothing is left.
    pub(super) ends_short: bool,
}

impl Attempt {
    pub(super) fn side(&self) -> Side {
        match self {
            Self::Receive(_) | Self::ReceiveInto(_) | Self::Accept => Side::Read,
            Self::Send(..) => Side::Write,
            Self::Call(_, _, side) => *side,
        }
    }

    /// The name of the loop's method, for a `repr`.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Receive(_) => "sock_recv",
            Self::ReceiveInto(_) => "sock_recv_into",
            Self::Send(..) => "sock_sendall",
            Self::Accept => "sock_accept",
            Self::Call("recvfrom", ..) => "sock_recvfrom",
            Self::Call("recvfrom_into", ..) => "sock_recvfrom_into",
            Self::Call(..) => "sock_sendto",
        }
    }

    pub(super) fn make(&mut self, place: &Place<'_, '_>) -> Outcome {
        // A closed socket's own methods say what is wrong with it.
        let is_open = place.descriptor >= 0;
        match self {
            Self::Receive(0) => Outcome::Done(Ok(PyBytes::new(place.py, b"").into_any().unbind())),
            Self::Receive(count) if is_open => place.receive(*count),
            Self::Receive(count) => place.call("recv", (*count,)),
            Self::ReceiveInto(buffer) => place.receive_into(buffer, is_open),
            Self::Send(data, sent) => place.send(data, sent, is_open),
            Self::Accept => place.accept(),
            Self::Call(method, arguments, _) => place.call(method, arguments.bind(place.py).clone()),
        }
    }

    pub(super) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self {
            Self::ReceiveInto(object) | Self::Send(Data::Given(object), _) => visit.call(object),
            Self::Call(_, arguments, _) => visit.call(arguments),
            Self::Receive(_) | Self::Send(..) | Self::Accept => Ok(()),
        }
    }
}

impl<'py> Place<'_, 'py> {
    /// Notes that nothing is left, when that is so.
    fn note(&self, side: Side, moved: Option<usize>, asked: usize) {
        if moved.is_none() || (self.ends_short && moved.is_some_and(|moved| moved < asked)) {
            self.core.watch.close().note_exhausted(self.descriptor, side);
        }
    }

    fn receive(&self, count: usize) -> Outcome {
        if count > ROOM_BYTES {
            let mut room = Vec::<MaybeUninit<u8>>::new();
            if room.try_reserve_exact(count).is_err() {
                return Outcome::Done(Err(PyMemoryError::new_err(())));
            }
            room.resize(count, MaybeUninit::uninit());
            return self.receive_in(&mut room);
        }
        self.core.sockets.with_room(|room| self.receive_in(room.get_mut(..count).unwrap_or_default()))
    }

    fn receive_in(&self, room: &mut [MaybeUninit<u8>]) -> Outcome {
        let asked = room.len();
        let received = datagram::receive(self.descriptor, room);
        match received {
            Ok(data) => {
                self.note(Side::Read, data.map(<[u8]>::len), asked);
                let Some(data) = data else { return Outcome::MustWait };
                Outcome::Done(Ok(PyBytes::new(self.py, data).into_any().unbind()))
            }
            Err(error) => Outcome::Done(Err(os_error(&error))),
        }
    }

    fn receive_into(&self, object: &Py<PyAny>, is_open: bool) -> Outcome {
        let buffer = PyBuffer::<u8>::get(object.bind(self.py)).ok();
        let buffer = buffer.filter(|buffer| is_open && !buffer.readonly() && buffer.is_c_contiguous());
        let Some(buffer) = buffer else { return self.call("recv_into", (object,)) };
        let asked = buffer.len_bytes();
        if asked == 0 {
            return self.call("recv_into", (object,));
        }
        let received = ffi::receive_into(&buffer, self.descriptor);
        match received {
            Ok(count) => {
                self.note(Side::Read, count, asked);
                let Some(count) = count else { return Outcome::MustWait };
                Outcome::Done(count.into_pyobject(self.py).map_err(PyErr::from).map(|count| count.into_any().unbind()))
            }
            Err(error) => Outcome::Done(Err(os_error(&error))),
        }
    }

    fn send(&self, data: &mut Data, sent: &mut usize, is_open: bool) -> Outcome {
        if let Data::Given(object) = data {
            match self.data_of(object).filter(|_| is_open) {
                Some(held) => *data = held,
                // Its own words for what it can't send.
                None => return self.call("send", (&*object,)),
            }
        }
        let result = match data {
            Data::Bytes(bytes) => Ok(bytes.as_bytes(self.py)),
            Data::Buffer(buffer) => ffi::slice_of(buffer),
            Data::Given(_) => Ok(&[][..]),
        };
        let all = match result {
            Ok(all) => all,
            Err(error) => return Outcome::Done(Err(error)),
        };
        loop {
            let rest = all.get(*sent..).unwrap_or_default();
            match datagram::send(self.descriptor, rest) {
                Ok(Some(count)) if count >= rest.len() => return Outcome::Done(Ok(self.py.None())),
                Ok(Some(count)) => {
                    *sent += count;
                    if self.ends_short {
                        return Outcome::MustWait;
                    }
                }
                Ok(None) => return Outcome::MustWait,
                Err(error) => return Outcome::Done(Err(os_error(&error))),
            }
        }
    }

    fn data_of(&self, object: &Py<PyAny>) -> Option<Data> {
        let object = object.bind(self.py);
        if let Ok(bytes) = object.cast_exact::<PyBytes>() {
            return Some(Data::Bytes(bytes.clone().unbind()));
        }
        if let Ok(buffer) = PyBuffer::<u8>::get(object) {
            return buffer.is_c_contiguous().then_some(Data::Buffer(buffer));
        }
        let memoryview = self.py.import("builtins").and_then(|module| module.getattr("memoryview")).ok()?;
        let bytes = memoryview.call1((object,)).and_then(|view| view.call_method1("cast", ("B",))).ok()?;
        PyBuffer::<u8>::get(&bytes).ok().map(Data::Buffer)
    }

    fn accept(&self) -> Outcome {
        let outcome = self.call("accept", ());
        if let Outcome::Done(Ok(pair)) = &outcome {
            let connection = pair.bind(self.py).get_item(0);
            let made = connection.and_then(|connection| connection.call_method1("setblocking", (false,)));
            if let Err(error) = made {
                return Outcome::Done(Err(error));
            }
        }
        outcome
    }

    fn call(&self, method: &str, arguments: impl pyo3::call::PyCallArgs<'py>) -> Outcome {
        match self.socket.call_method1(method, arguments) {
            Ok(value) => Outcome::Done(Ok(value.unbind())),
            Err(error) if error.is_instance_of::<PyBlockingIOError>(self.py) => Outcome::MustWait,
            Err(error) if error.is_instance_of::<PyInterruptedError>(self.py) => Outcome::Interrupted,
            Err(error) => Outcome::Done(Err(error)),
        }
    }
}

/// The error with its number, from which Python chooses the class.
pub(in super::super) fn os_error(error: &io::Error) -> PyErr {
    let Some(number) = error.raw_os_error() else { return PyOSError::new_err(error.to_string()) };
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default().to_owned();
    PyOSError::new_err((number, text))
}

/// The descriptor of a socket object, -1 when it is closed.
pub(super) fn descriptor_of(socket: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    socket.call_method0(intern!(socket.py(), "fileno"))?.extract()
}
