//! What `Connection.send` and its kin do: messages in the standard library's format, over any descriptor.
//!
//! A message is its length and its bytes. The length is a signed 32-bit number, big end first; -1 says that the length
//! follows as an unsigned 64-bit number.

use std::mem::MaybeUninit;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use threefold_shared_memory::Instant;
use threefold_sys::stream::{Direction, Room};

use super::pickle;
use super::stream::Stream;
use super::timeout::deadline;
use crate::ffi;
use crate::kept::intern;

/// Stands before a length that needs 64 bits.
const LONG: i32 = -1;

/// Pickles an object and sends it over `connection`.
#[pyfunction]
pub(super) fn connection_send(connection: &Bound<'_, PyAny>, item: &Bound<'_, PyAny>) -> PyResult<()> {
    // What is wrong with the connection is said first, as the standard library does.
    let mut stream = Stream::open(connection, Direction::Write)?;
    let pickled = pickle::whole(item)?;
    send(&mut stream, pickled.as_bytes())
}

/// Sends the bytes of a contiguous buffer over `connection`.
#[pyfunction]
pub(super) fn connection_send_bytes(connection: &Bound<'_, PyAny>, buffer: &Bound<'_, PyAny>) -> PyResult<()> {
    let mut stream = Stream::open(connection, Direction::Write)?;
    if let Ok(bytes) = buffer.cast_exact::<PyBytes>() {
        return send(&mut stream, bytes.as_bytes());
    }
    let buffer = PyBuffer::<u8>::get(buffer)?;
    send(&mut stream, ffi::slice_of(&buffer)?)
}

/// Takes the next object from `connection`.
#[pyfunction]
pub(super) fn connection_receive<'py>(connection: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let mut stream = Stream::open(connection, Direction::Read)?;
    let len = receive_length(&mut stream)?;
    pickle::object(&receive(connection.py(), &mut stream, len)?)
}

/// Takes the bytes of the next message from `connection`, which ends there if they are more than `most`.
#[pyfunction]
#[pyo3(signature = (connection, most=None))]
pub(super) fn connection_receive_bytes<'py>(
    connection: &Bound<'py, PyAny>,
    most: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut stream = Stream::open(connection, Direction::Read)?;
    if most.is_some_and(|most| most.lt(0).unwrap_or(false)) {
        return Err(PyValueError::new_err("negative maxlength"));
    }
    let len = receive_length(&mut stream)?;
    if most.map_or(Ok(false), |most| most.lt(len))? {
        connection.call_method0(intern!(connection.py(), "_bad_message_length"))?;
    }
    receive(connection.py(), &mut stream, len)
}

/// Takes the next message from `connection` into a writable buffer of bytes, from `offset` on.
///
/// Returns:
///     How many bytes it had; and all of them if there was no room for them.
#[pyfunction]
pub(super) fn connection_receive_into<'py>(
    connection: &Bound<'py, PyAny>,
    buffer: &Bound<'py, PyAny>,
    offset: usize,
) -> PyResult<(usize, Option<Bound<'py, PyBytes>>)> {
    let mut stream = Stream::open(connection, Direction::Read)?;
    let buffer = PyBuffer::<u8>::get(buffer)?;
    let len = receive_length(&mut stream)?;
    if buffer.len_bytes().saturating_sub(offset) < len {
        return Ok((len, Some(receive(connection.py(), &mut stream, len)?)));
    }
    ffi::read_into(&buffer, offset, len, |room| stream.fill(room, len))??;
    Ok((len, None))
}

/// Whether there is something to be received from `connection`; waits for `timeout` seconds, for ever if None.
#[pyfunction]
#[pyo3(signature = (connection, timeout=None))]
pub(super) fn connection_poll(connection: &Bound<'_, PyAny>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
    let deadline: Option<Instant> = deadline(timeout)?;
    Stream::open(connection, Direction::Read)?.wait(deadline)
}

fn send(stream: &mut Stream<'_, '_>, body: &[u8]) -> PyResult<()> {
    if let Ok(len) = i32::try_from(body.len()) {
        return stream.write(&len.to_be_bytes(), body);
    }
    let mut header = [0; 12];
    header[..4].copy_from_slice(&LONG.to_be_bytes());
    header[4..].copy_from_slice(&(body.len() as u64).to_be_bytes());
    stream.write(&header, body)
}

fn receive<'py>(py: Python<'py>, stream: &mut Stream<'_, '_>, len: usize) -> PyResult<Bound<'py, PyBytes>> {
    ffi::bytes_read(py, len, |room| stream.fill(room, len))
}

fn receive_length(stream: &mut Stream<'_, '_>) -> PyResult<usize> {
    let len = i32::from_be_bytes(receive_number(stream)?);
    let len = if len == LONG {
        usize::try_from(u64::from_be_bytes(receive_number(stream)?)).ok()
    } else {
        usize::try_from(len).ok()
    };
    len.ok_or_else(|| PyOSError::new_err("bad message length"))
}

fn receive_number<const LEN: usize>(stream: &mut Stream<'_, '_>) -> PyResult<[u8; LEN]> {
    let mut memory = [MaybeUninit::uninit(); LEN];
    let mut room = Room::new(&mut memory);
    stream.fill(&mut room, LEN)?;
    let mut number = [0; LEN];
    number.copy_from_slice(room.bytes());
    Ok(number)
}
