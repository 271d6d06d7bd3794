//! Reading from a connection: one system call per arrival, into memory that is used again.
//!
//! Little is received into a buffer of the loop and copied into a `bytes` object of its length. A connection whose last
//! arrival was much is expected to bring much again, and that is received straight into a `bytes` object.

use std::io;
use std::mem::MaybeUninit;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyWeakrefMethods, PyWeakrefReference};
use threefold_sys::stream::{Attempt, Patience, Room};

use super::super::state::EventLoopCore;
use super::super::tls::TlsCore;
use super::connection::{StreamCore, fail, os_error};
use super::read::Served;
use super::reader::ReaderCore;
use crate::ffi::{bytes_received, read_into};
use crate::kept::intern;

/// The most that is received at once.
pub(super) const MOST_BYTES: usize = 256 * 1024;
/// From here on an arrival is much: copying it costs more than a large object.
const MUCH_BYTES: usize = 32 * 1024;
/// What is decrypted at once into memory of the loop.
const PLAINTEXT_BYTES: usize = 64 * 1024;

/// More memory for ciphertext is not kept.
const MOST_CIPHERTEXT_BYTES: usize = 512 * 1024;

/// What hears of bytes that arrive.
pub(in super::super) enum Receiver {
    /// Not looked up yet.
    Unknown,
    /// Not looked up yet, of a buffered protocol.
    UnknownBuffered,
    /// `data_received`.
    Plain(Py<PyAny>),
    /// `get_buffer` and `buffer_updated`.
    Buffered(Py<PyAny>, Py<PyAny>),
    /// A stream's reader, weakly, and its core.
    Reader(Py<PyWeakrefReference>, Py<ReaderCore>),
    /// A TLS connection over this one.
    Tls(Py<TlsCore>),
    /// Nothing arrives here, the writing end of a pipe: its reader has gone.
    OtherEnd,
}

impl Receiver {
    pub(in super::super) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            Self::UnknownBuffered => Self::UnknownBuffered,
            Self::Plain(received) => Self::Plain(received.clone_ref(py)),
            Self::Buffered(get, updated) => Self::Buffered(get.clone_ref(py), updated.clone_ref(py)),
            Self::Reader(reference, reader) => Self::Reader(reference.clone_ref(py), reader.clone_ref(py)),
            Self::Tls(tls) => Self::Tls(tls.clone_ref(py)),
            Self::OtherEnd => Self::OtherEnd,
        }
    }

    pub(in super::super) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self {
            Self::Unknown | Self::UnknownBuffered | Self::OtherEnd => Ok(()),
            Self::Plain(received) => visit.call(received),
            Self::Buffered(get, updated) => visit.call(get).and_then(|()| visit.call(updated)),
            Self::Reader(reference, reader) => visit.call(reference).and_then(|()| visit.call(reader)),
            Self::Tls(tls) => visit.call(tls),
        }
    }
}

/// The descriptor can be read: receives what is there, once, and tells the protocol.
#[inline]
pub(super) fn receive(core: &Bound<'_, StreamCore>, transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = core.py();
    let state = core.get().state.close();
    if state.stream.is_lost() {
        return Ok(());
    }
    let hearer = state.receiver.clone_ref(py);
    let expected_bytes = state.expected_bytes;
    drop(state);
    match hearer {
        Receiver::Plain(received) => receive_bytes(core, transport, received.bind(py), expected_bytes),
        Receiver::Buffered(get, updated) => receive_into(core, transport, get.bind(py), updated.bind(py)),
        Receiver::Reader(reference, reader) => {
            receive_for_reader(core, transport, &reference, reader.get(), expected_bytes)
        }
        Receiver::Tls(tls) => receive_for_tls(core, transport, tls.bind(py)),
        Receiver::OtherEnd => end(transport),
        Receiver::Unknown => match look_up(core, "data_received") {
            Ok(received) => {
                core.get().keep(Receiver::Plain(received.clone().unbind()));
                receive_bytes(core, transport, &received, expected_bytes)
            }
            Err(error) => fail(transport, error, "Fatal error: protocol.data_received() call failed."),
        },
        Receiver::UnknownBuffered => {
            match look_up(core, "get_buffer").and_then(|get| Ok((get, look_up(core, "buffer_updated")?))) {
                Ok((get, updated)) => {
                    core.get().keep(Receiver::Buffered(get.clone().unbind(), updated.clone().unbind()));
                    receive_into(core, transport, &get, &updated)
                }
                Err(error) => fail(transport, error, "Fatal error: protocol.get_buffer() call failed."),
            }
        }
    }
}

fn look_up<'py>(core: &Bound<'py, StreamCore>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let py = core.py();
    let protocol = core.get().state.close().protocol.as_ref().map(|protocol| protocol.clone_ref(py));
    protocol.into_pyobject(py)?.getattr(name)
}

impl StreamCore {
    /// Receives what is there.
    #[inline]
    fn receive(&self, room: &mut Room<'_>) -> io::Result<Attempt<usize>> {
        // A pipe's transport has set it not to wait.
        if self.is_pipe { room.read(self.descriptor, Patience::Wait) } else { room.receive(self.descriptor) }
    }

    fn read_message(&self) -> &'static str {
        if self.is_pipe { "Fatal read error on pipe transport" } else { "Fatal read error on socket transport" }
    }

    /// Keeps what was looked up, unless there is another protocol by now.
    fn keep(&self, receiver: Receiver) {
        let mut state = self.state.close();
        let is_wanted = matches!(state.receiver, Receiver::Unknown | Receiver::UnknownBuffered);
        let previous = if is_wanted { std::mem::replace(&mut state.receiver, receiver) } else { receiver };
        drop(state);
        drop(previous);
    }
}

/// What came of an attempt to receive.
enum Arrival<'py> {
    Bytes(Bound<'py, PyBytes>),
    /// The other end has said that nothing more comes.
    End,
    /// There was nothing.
    Nothing,
    Failure(PyErr),
}

fn receive_bytes(
    core: &Bound<'_, StreamCore>,
    transport: &Bound<'_, PyAny>,
    received: &Bound<'_, PyAny>,
    expected_bytes: usize,
) -> PyResult<()> {
    match arrival(core, MOST_BYTES, expected_bytes)? {
        Arrival::Bytes(bytes) => match received.call1((bytes,)) {
            Ok(_ignored) => Ok(()),
            // As in the standard library, a pipe outlives that.
            Err(error) if core.get().is_pipe => Err(error),
            Err(error) => fail(transport, error, "Fatal error: protocol.data_received() call failed."),
        },
        Arrival::End => end(transport),
        Arrival::Nothing => Ok(()),
        Arrival::Failure(error) => fail(transport, error, core.get().read_message()),
    }
}

/// To a read that waits and wants it all, or into the reader's buffer.
fn receive_for_reader(
    core: &Bound<'_, StreamCore>,
    transport: &Bound<'_, PyAny>,
    reference: &Py<PyWeakrefReference>,
    reader: &ReaderCore,
    expected_bytes: usize,
) -> PyResult<()> {
    let py = core.py();
    let read = reader.take_read(py);
    // Who reads in small portions shall not need a system call for each.
    let most_bytes = read.as_ref().map_or(MOST_BYTES, |read| read.most_bytes(py));
    let room_bytes = if most_bytes < MUCH_BYTES { MOST_BYTES } else { most_bytes.min(MOST_BYTES) };
    let bytes = match arrival(core, room_bytes, expected_bytes)? {
        Arrival::Bytes(bytes) => bytes,
        Arrival::End => return end(transport),
        Arrival::Nothing => {
            reader.put_read_back(py, read);
            return Ok(());
        }
        Arrival::Failure(error) => return fail(transport, error, core.get().read_message()),
    };
    let served = match &read {
        Some(read) if bytes.as_bytes().len() <= most_bytes => read.serve(bytes),
        _ => Ok(Served::Left(bytes)),
    };
    let bytes = match served {
        Ok(Served::All) => return Ok(()),
        Ok(Served::Left(bytes)) => bytes,
        Ok(Served::NotEnough) => {
            reader.put_read_back(py, read);
            return Ok(());
        }
        Err(error) => return fail(transport, error, "Fatal error: protocol.data_received() call failed."),
    };
    // Nobody has the reader any more: as its protocol does, what arrives is dropped.
    let Some(_reader) = reference.bind(py).upgrade() else { return Ok(()) };
    match reader.feed(&bytes) {
        Ok(()) => Ok(()),
        Err(error) => fail(transport, error, "Fatal error: protocol.data_received() call failed."),
    }
}

/// Into the loop's buffer, from where it is decrypted.
fn receive_for_tls(
    core: &Bound<'_, StreamCore>,
    transport: &Bound<'_, PyAny>,
    tls: &Bound<'_, TlsCore>,
) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    let mut memory = this.event_loop.get().lend_memory();
    let mut room = Room::new(&mut memory);
    let outcome = room.receive(this.descriptor);
    let taken = if room.is_empty() { Ok(()) } else { super::super::tls::take(tls, room.bytes()) };
    this.event_loop.get().take_back(memory);
    taken?;
    match outcome {
        Ok(Attempt::Made(0)) => end(transport),
        Ok(_) => Ok(()),
        Err(error) => fail(transport, os_error(py, &error), "Fatal read error on socket transport"),
    }
}

/// Receives `most_bytes` at most, into the loop's buffer or, when much is expected, into an object.
#[inline]
fn arrival<'py>(core: &Bound<'py, StreamCore>, most_bytes: usize, expected_bytes: usize) -> PyResult<Arrival<'py>> {
    let (py, this) = (core.py(), core.get());
    let (outcome, bytes) = if expected_bytes == 0 {
        let mut memory = this.event_loop.get().lend_memory();
        let mut room = Room::new(memory.get_mut(..most_bytes).unwrap_or_default());
        let outcome = this.receive(&mut room);
        let bytes = (!room.is_empty()).then(|| PyBytes::new(py, room.bytes()));
        this.event_loop.get().take_back(memory);
        (outcome, bytes)
    } else {
        bytes_received(py, expected_bytes.min(most_bytes), |room| this.receive(room))?
    };
    Ok(match (outcome, bytes) {
        (Err(error), _) => Arrival::Failure(os_error(py, &error)),
        (Ok(Attempt::Made(len)), Some(bytes)) => {
            let next = expect(expected_bytes, len);
            if next != expected_bytes {
                this.state.close().expected_bytes = next;
            }
            Arrival::Bytes(bytes)
        }
        (Ok(Attempt::Made(_)), None) => Arrival::End,
        (Ok(Attempt::WouldWait | Attempt::CannotTry), _) => Arrival::Nothing,
    })
}

/// What to expect after an arrival of `len` bytes: 0 stands for little.
fn expect(expected_bytes: usize, len: usize) -> usize {
    if len < MUCH_BYTES {
        0
    } else if len >= expected_bytes {
        (len * 2).min(MOST_BYTES)
    } else {
        expected_bytes
    }
}

fn receive_into(
    core: &Bound<'_, StreamCore>,
    transport: &Bound<'_, PyAny>,
    get: &Bound<'_, PyAny>,
    updated: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = core.py();
    let buffer = match get.call1((-1,)).and_then(|buffer| buffer.len().map(|len| (buffer, len))) {
        Ok((_empty, 0)) => Err(PyRuntimeError::new_err("get_buffer() returned an empty buffer")),
        Ok((buffer, _)) => Ok(buffer),
        Err(error) => Err(error),
    };
    let buffer = match buffer {
        Ok(buffer) => buffer,
        Err(error) => return fail(transport, error, "Fatal error: protocol.get_buffer() call failed."),
    };
    let descriptor = core.get().descriptor;
    let outcome = PyBuffer::<u8>::get(&buffer)
        .and_then(|view| read_into(&view, 0, view.len_bytes(), |room| room.receive(descriptor)))
        .and_then(|outcome| outcome.map_err(|error| os_error(py, &error)));
    match outcome {
        Ok(Attempt::Made(0)) => end(transport),
        Ok(Attempt::Made(len)) => match updated.call1((len,)) {
            Ok(_ignored) => Ok(()),
            Err(error) => fail(transport, error, "Fatal error: protocol.buffer_updated() call failed."),
        },
        Ok(Attempt::WouldWait | Attempt::CannotTry) => Ok(()),
        Err(error) => fail(transport, error, "Fatal read error on socket transport"),
    }
}

#[cold]
fn end(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    transport.call_method0(intern!(transport.py(), "_read_end")).map(drop)
}

impl EventLoopCore {
    /// Memory to receive into; to be given back before anything else runs.
    #[inline]
    fn lend_memory(&self) -> Box<[MaybeUninit<u8>]> {
        let memory = std::mem::take(&mut *self.receiving.close());
        if memory.is_empty() { new_memory() } else { memory }
    }

    #[inline]
    fn take_back(&self, memory: Box<[MaybeUninit<u8>]>) {
        let other = std::mem::replace(&mut *self.receiving.close(), memory);
        drop(other);
    }

    /// Memory to decrypt into; to be given back before anything else runs.
    pub(in super::super) fn lend_plaintext(&self) -> Box<[MaybeUninit<u8>]> {
        let memory = std::mem::take(&mut *self.decrypting.close());
        if memory.is_empty() { Box::new_uninit_slice(PLAINTEXT_BYTES) } else { memory }
    }

    /// Takes the memory back.
    pub(in super::super) fn take_back_plaintext(&self, memory: Box<[MaybeUninit<u8>]>) {
        let other = std::mem::replace(&mut *self.decrypting.close(), memory);
        drop(other);
    }

    /// Memory to encrypt into, which is empty.
    pub(in super::super) fn lend_ciphertext(&self) -> Vec<u8> {
        let mut memory = std::mem::take(&mut *self.encrypting.close());
        if memory.capacity() == 0 {
            memory.reserve(PLAINTEXT_BYTES);
        }
        memory
    }

    /// Takes memory to encrypt into, whatever is in it, if it is more than there is and has not become large.
    pub(in super::super) fn take_back_ciphertext(&self, mut memory: Vec<u8>) {
        memory.clear();
        let mut other = self.encrypting.close();
        if memory.capacity() > other.capacity() && memory.capacity() <= MOST_CIPHERTEXT_BYTES {
            std::mem::swap(&mut *other, &mut memory);
        }
        drop(other);
        drop(memory);
    }
}

#[cold]
fn new_memory() -> Box<[MaybeUninit<u8>]> {
    // glibc's allocator takes large blocks from the kernel and gives them back, each time, until it sees that blocks of
    // that size come and go. This shows it.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(4 * MOST_BYTES)));
    Box::new_uninit_slice(MOST_BYTES)
}
