//! Writing: encrypted at once while the connection below takes it, and queued as plaintext otherwise.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::super::stream::{
    Chunk, Given, StreamCore, write as write_below, write_given, write_lines as write_lines_below,
};
use super::connection::{Phase, TlsCore};
use super::incoming::fail;
use crate::ffi::backed::find_backing;
use crate::ffi::openssl::Session;
use crate::kept::intern;

/// Plaintext is encrypted in portions of this, so that the buffer of ciphertext stays small, and in the processor's cache.
const PORTION_BYTES: usize = 32 * 1024;
/// The same where OpenSSL is called itself, which collects it in memory of ours: all that goes out together.
const DIRECT_PORTION_BYTES: usize = 256 * 1024;
/// What is written goes out together, with one system call, up to this. What is written during a delivery goes out at its end.
const MUCH_BYTES: usize = 256 * 1024;
/// Small pieces of `writelines` become one record of this length at most.
const RECORD_BYTES: usize = 16 * 1024;
/// Writes that came too late before somebody is told: the standard library's LOG_THRESHOLD_FOR_CONNLOST_WRITES.
const LATE_COUNT: usize = 5;

type Answer = PyResult<Py<PyAny>>;

/// `transport.write(data)`.
#[inline]
pub(in super::super) fn write<'py>(
    core: &Bound<'py, TlsCore>,
    _transport: &Bound<'py, PyAny>,
    data: &Bound<'py, PyAny>,
) -> Answer {
    let given = Given::of_bytes_like(data, "data: expecting a bytes-like instance, got ")?;
    send(core, given)?;
    Ok(core.py().None())
}

/// `transport.writelines(list_of_data)`.
pub(super) fn write_lines<'py>(
    core: &Bound<'py, TlsCore>,
    _transport: &Bound<'py, PyAny>,
    list: &Bound<'py, PyAny>,
) -> Answer {
    let py = core.py();
    let mut pieces = Vec::new();
    for piece in list.try_iter()? {
        pieces.push(Given::of_any(&piece?)?);
    }
    let was_delivering = std::mem::replace(&mut core.get().state.close().is_delivering, true);
    let outcome = send_joined(core, pieces);
    core.get().state.close().is_delivering = was_delivering;
    outcome?;
    if !was_delivering {
        flush(core)?;
    }
    Ok(py.None())
}

/// Small pieces share records.
fn send_joined(core: &Bound<'_, TlsCore>, pieces: Vec<Given<'_>>) -> PyResult<()> {
    let mut joined: Vec<u8> = Vec::new();
    for piece in pieces {
        let len = piece.bytes()?.len();
        if joined.len() + len > RECORD_BYTES && !joined.is_empty() {
            send(core, Given::Joined(std::mem::take(&mut joined)))?;
        }
        if len < RECORD_BYTES {
            joined.extend_from_slice(piece.bytes()?);
        } else {
            send(core, piece)?;
        }
    }
    send(core, Given::Joined(joined))
}

fn send(core: &Bound<'_, TlsCore>, data: Given<'_>) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    let bytes = data.bytes()?;
    if bytes.is_empty() {
        return Ok(());
    }
    let state = this.state.close();
    let phase = state.phase;
    let is_free = phase == Phase::Open && state.writing.chunks.is_empty() && !state.is_below_full;
    drop(state);
    if matches!(phase, Phase::Closing | Phase::Over) {
        return be_late(this, py);
    }
    let gone_bytes = if is_free { encrypt(core, bytes)? } else { 0 };
    if gone_bytes == bytes.len() {
        return Ok(());
    }
    let (chunk, gone_bytes) = data.into_chunk(gone_bytes)?;
    this.state.close().writing.push(chunk, gone_bytes);
    control(core)
}

/// Encrypts and sends bytes as far as the connection below takes them; how many.
fn encrypt(core: &Bound<'_, TlsCore>, bytes: &[u8]) -> PyResult<usize> {
    let (py, this) = (core.py(), core.get());
    let is_direct = this.engine.session().is_some();
    let portion_bytes = if is_direct { DIRECT_PORTION_BYTES } else { PORTION_BYTES };
    let mut gone_bytes = 0;
    while gone_bytes < bytes.len() {
        let rest = bytes.get(gone_bytes..).unwrap_or_default();
        this.lend_memory();
        let count = match this.engine.write(py, rest.get(..portion_bytes).unwrap_or(rest)) {
            // A new handshake, which may have something to say.
            Ok(0) => {
                let is_delivering = this.state.close().is_delivering;
                return if is_delivering { Ok(()) } else { flush(core) }.map(|()| gone_bytes);
            }
            Ok(count) => count,
            // What is left will never be sent.
            Err(error) => return fail(core, error).map(|()| bytes.len()),
        };
        gone_bytes += count;
        let mut state = this.state.close();
        state.unsent_bytes += count;
        let goes_out = state.unsent_bytes >= MUCH_BYTES || (gone_bytes == bytes.len() && !state.is_delivering);
        drop(state);
        if goes_out {
            flush(core)?;
            if this.state.close().is_below_full {
                return Ok(gone_bytes);
            }
        } else if count == PORTION_BYTES && !is_direct {
            let sealed = this.engine.take(py)?.unbind();
            this.state.close().sealed.push(sealed);
        }
    }
    Ok(gone_bytes)
}

/// Encrypts what is queued, as far as the connection below takes it.
pub(super) fn advance(core: &Bound<'_, TlsCore>) -> PyResult<()> {
    let this = core.get();
    loop {
        let mut state = this.state.close();
        let may = matches!(state.phase, Phase::Open | Phase::Closing) && !state.is_below_full;
        let next = if may { state.writing.chunks.pop_front() } else { None };
        drop(state);
        let Some((chunk, gone_bytes)) = next else { return control(core) };
        let rest = chunk.as_ref().get(gone_bytes..).unwrap_or_default();
        let (rest_bytes, count) = (rest.len(), encrypt(core, rest)?);
        let mut state = this.state.close();
        // Nothing is queued any more where the connection was lost meanwhile.
        state.writing.queued_bytes = state.writing.queued_bytes.saturating_sub(count);
        let is_open = state.phase != Phase::Over;
        if count < rest_bytes && is_open {
            state.writing.chunks.push_front((chunk, gone_bytes + count));
            drop(state);
            return control(core);
        }
        drop(state);
    }
}

/// Sends the ciphertext that is to go out.
pub(super) fn flush(core: &Bound<'_, TlsCore>) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    if let Some(session) = this.engine.session() {
        return flush_directly(core, session);
    }
    let mut state = this.state.close();
    state.unsent_bytes = 0;
    let sealed = std::mem::take(&mut state.sealed);
    drop(state);
    let ciphertext = this.engine.take(py)?;
    if ciphertext.as_bytes().is_empty() && sealed.is_empty() {
        return Ok(());
    }
    let Some(below) = this.below(py) else { return Ok(()) };
    let transport = below.transport.bind(py);
    if !sealed.is_empty() {
        let all = PyList::new(py, sealed)?;
        all.append(ciphertext)?;
        return match find_backing::<StreamCore>(transport) {
            Some(stream) => write_lines_below(&stream, transport, &all).map(drop),
            None => transport.call_method1(intern!(py, "writelines"), (all,)).map(drop),
        };
    }
    match find_backing::<StreamCore>(transport) {
        Some(stream) => write_below(&stream, transport, ciphertext.as_any()).map(drop),
        None => transport.call_method1(intern!(py, "write"), (ciphertext,)).map(drop),
    }
}

fn flush_directly(core: &Bound<'_, TlsCore>, session: &Session) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    this.state.close().unsent_bytes = 0;
    let ciphertext = session.take_outgoing();
    if ciphertext.is_empty() {
        this.event_loop.get().take_back_ciphertext(ciphertext);
        return Ok(());
    }
    let Some(below) = this.below(py) else { return Ok(()) };
    let transport = below.transport.bind(py);
    match find_backing::<StreamCore>(transport) {
        Some(stream) => {
            if let Some(Given::Joined(memory)) = write_given(&stream, transport, Given::Joined(ciphertext))? {
                this.event_loop.get().take_back_ciphertext(memory);
            }
            Ok(())
        }
        None => transport.call_method1(intern!(py, "write"), (PyBytes::new(py, &ciphertext),)).map(drop),
    }
}

impl TlsCore {
    /// Has OpenSSL put ciphertext into memory of the loop.
    fn lend_memory(&self) {
        if let Some(session) = self.engine.session() {
            if session.has_no_memory() {
                session.set_memory(self.event_loop.get().lend_ciphertext());
            }
        }
    }
}

/// Tells the program to pause writing, or to go on.
pub(super) fn control(core: &Bound<'_, TlsCore>) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    let mut state = this.state.close();
    let writing = &mut state.writing;
    let must_pause = !writing.is_paused && writing.queued_bytes > writing.high_bytes;
    let must_resume = writing.is_paused && writing.queued_bytes <= writing.low_bytes;
    writing.is_paused = (writing.is_paused || must_pause) && !must_resume;
    drop(state);
    if !must_pause && !must_resume {
        return Ok(());
    }
    let Some(below) = this.below(py) else { return Ok(()) };
    let method = if must_pause { intern!(py, "_pause_program") } else { intern!(py, "_resume_program") };
    below.protocol.bind(py).call_method0(method).map(drop)
}

#[cold]
fn be_late(this: &TlsCore, py: Python<'_>) -> PyResult<()> {
    let mut state = this.state.close();
    state.writing.late_count += 1;
    let is_told = state.writing.late_count > LATE_COUNT;
    drop(state);
    if is_told {
        let logger = py.import("asyncio.log")?.getattr("logger")?;
        logger.call_method1("warning", ("SSL connection is closed",))?;
    }
    Ok(())
}

impl Chunk {
    /// A `bytes` object's own.
    pub(super) fn kept(bytes: &Bound<'_, pyo3::types::PyBytes>) -> Self {
        Self::Kept(bytes.clone().into())
    }
}
