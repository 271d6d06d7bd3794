//! Who gets the plaintext: a protocol, its buffer, or a stream's reader.

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyWeakrefMethods, PyWeakrefReference};
use threefold_sys::stream::Room;

use super::super::stream::{ReaderCore, Receiver, Served};
use super::connection::TlsCore;
use super::incoming::{Gathered, gather};
use crate::ffi::{bytes_received, read_into};

/// From here on an arrival is decrypted straight into the object that is handed over.
const MUCH_BYTES: usize = 32 * 1024;
/// The same where OpenSSL is called itself: the object's length is known then, but for what records have besides.
const DIRECTLY_MUCH_BYTES: usize = 4 * 1024;
/// What decrypted bytes may be more than the ciphertext that came with them: a record that was there in part.
const LEFTOVER_BYTES: usize = 20 * 1024;

/// What came of a delivery.
pub(super) enum Delivered {
    To(Gathered),
    /// There is no protocol any more.
    Nobody,
}

/// Decrypts what there is room for and hands it over.
///
/// # Errors
/// The protocol's.
pub(super) fn next(core: &Bound<'_, TlsCore>, rest: &mut &[u8]) -> PyResult<Delivered> {
    let (py, this) = (core.py(), core.get());
    let receiver = this.state.close().receiver.clone_ref(py);
    match receiver {
        Receiver::Plain(hear) => {
            let (gathered, bytes) = decrypt(core, rest)?;
            if let Some(bytes) = bytes {
                hear.bind(py).call1((bytes,))?;
            }
            Ok(Delivered::To(gathered))
        }
        Receiver::Reader(reference, reader) => {
            let (gathered, bytes) = decrypt(core, rest)?;
            if let Some(bytes) = bytes {
                bring(bytes, &reference, reader.get())?;
            }
            Ok(Delivered::To(gathered))
        }
        Receiver::Buffered(get, updated) => fill(core, rest, get.bind(py), updated.bind(py)).map(Delivered::To),
        Receiver::Unknown | Receiver::UnknownBuffered | Receiver::Tls(_) | Receiver::OtherEnd => {
            if look_up(core, &receiver)? { next(core, rest) } else { Ok(Delivered::Nobody) }
        }
    }
}

/// Finds the methods of the protocol; false if there is none.
#[cold]
fn look_up(core: &Bound<'_, TlsCore>, receiver: &Receiver) -> PyResult<bool> {
    let (py, this) = (core.py(), core.get());
    let protocol = this.state.close().protocol.as_ref().map(|protocol| protocol.clone_ref(py));
    let Some(protocol) = protocol else { return Ok(false) };
    let protocol = protocol.bind(py);
    let found = if matches!(receiver, Receiver::UnknownBuffered) {
        Receiver::Buffered(protocol.getattr("get_buffer")?.unbind(), protocol.getattr("buffer_updated")?.unbind())
    } else {
        Receiver::Plain(protocol.getattr("data_received")?.unbind())
    };
    let mut state = this.state.close();
    let is_same = state.protocol.as_ref().is_some_and(|known| known.is(protocol));
    let previous = if is_same { std::mem::replace(&mut state.receiver, found) } else { found };
    drop(state);
    drop(previous);
    Ok(is_same)
}

/// Decrypts into the loop's memory, or straight into an object when much has arrived.
fn decrypt<'py>(core: &Bound<'py, TlsCore>, rest: &mut &[u8]) -> PyResult<(Gathered, Option<Bound<'py, PyBytes>>)> {
    let (py, this) = (core.py(), core.get());
    let (much_bytes, leftover_bytes) = if this.engine.session().is_some() {
        (DIRECTLY_MUCH_BYTES, if this.state.close().has_part { LEFTOVER_BYTES } else { 0 })
    } else {
        (MUCH_BYTES, LEFTOVER_BYTES)
    };
    if rest.len() >= much_bytes {
        return bytes_received(py, rest.len() + leftover_bytes, |room| gather(this, py, room, rest));
    }
    let mut memory = this.event_loop.get().lend_plaintext();
    let mut room = Room::new(&mut memory);
    let gathered = gather(this, py, &mut room, rest);
    let bytes = (!room.is_empty()).then(|| PyBytes::new(py, room.bytes()));
    this.event_loop.get().take_back_plaintext(memory);
    Ok((gathered, bytes))
}

/// To a read that waits and wants it all, or into the reader's buffer.
fn bring(bytes: Bound<'_, PyBytes>, reference: &Py<PyWeakrefReference>, reader: &ReaderCore) -> PyResult<()> {
    let py = bytes.py();
    let read = reader.take_read(py);
    let served = match &read {
        Some(read) if bytes.as_bytes().len() <= read.most_bytes(py) => read.serve(bytes)?,
        _ => Served::Left(bytes),
    };
    let bytes = match served {
        Served::All => return Ok(()),
        Served::Left(bytes) => bytes,
        Served::NotEnough => {
            reader.put_read_back(py, read);
            return Ok(());
        }
    };
    // Nobody has the reader any more: as its protocol does, what arrives is dropped.
    let Some(_reader) = reference.bind(py).upgrade() else { return Ok(()) };
    reader.feed(&bytes)
}

fn fill(
    core: &Bound<'_, TlsCore>,
    rest: &mut &[u8],
    get: &Bound<'_, PyAny>,
    updated: &Bound<'_, PyAny>,
) -> PyResult<Gathered> {
    let (py, this) = (core.py(), core.get());
    let buffer = get.call1((-1,))?;
    if buffer.len()? == 0 {
        return Err(PyRuntimeError::new_err("get_buffer() returned an empty buffer"));
    }
    let view = PyBuffer::<u8>::get(&buffer)?;
    let (gathered, count) = read_into(&view, 0, view.len_bytes(), |room| {
        let gathered = gather(this, py, room, rest);
        (gathered, room.bytes().len())
    })?;
    drop(view);
    if count > 0 {
        updated.call1((count,))?;
    }
    Ok(gathered)
}
