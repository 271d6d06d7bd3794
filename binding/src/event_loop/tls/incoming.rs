//! Ciphertext that arrives: put before the TLS object, decrypted record by record, and brought to who hears of it.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use threefold_sys::stream::Room;

use super::connection::{Phase, TlsCore};
use super::delivery::{self, Delivered};
use super::engine::Decrypted;
use super::outgoing;
use crate::ffi::openssl::{Session, Stop};
use crate::kept::intern;

/// Ciphertext is put before the TLS object in portions of this, so that its buffer stays small.
const PORTION_BYTES: usize = 32 * 1024;
pub(super) const MESSAGE: &str = "Fatal error on SSL protocol";

/// How an attempt to decrypt all that is there has ended.
pub(super) enum Gathered {
    /// Nothing more can be decrypted now.
    Drained,
    /// There was no more room.
    Full,
    /// The other end has said that nothing more comes.
    End,
    Failure(PyErr),
}

/// Ciphertext has arrived from the connection below.
///
/// # Errors
/// What must leave the loop.
pub(in super::super) fn take(core: &Bound<'_, TlsCore>, ciphertext: &[u8]) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    let state = this.state.close();
    let (phase, is_paused) = (state.phase, state.is_reading_paused);
    drop(state);
    match phase {
        Phase::Over => Ok(()),
        Phase::Open if is_paused => keep(core, ciphertext),
        Phase::Open => deliver(core, ciphertext),
        Phase::Opening | Phase::Closing => {
            let Some(below) = this.below(py) else { return Ok(()) };
            let bytes = PyBytes::new(py, ciphertext);
            match below.protocol.bind(py).call_method1(intern!(py, "_receive"), (bytes,)) {
                Ok(_none) => Ok(()),
                Err(error) => fail(core, error),
            }
        }
    }
}

/// Decrypts and delivers what has arrived before.
pub(super) fn deliver_pending(core: &Bound<'_, TlsCore>) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    let state = this.state.close();
    let may = !state.is_reading_paused && matches!(state.phase, Phase::Open | Phase::Closing);
    drop(state);
    if !may {
        return Ok(());
    }
    // Who hears of it is looked up when there is something, and not before.
    let state = this.state.close();
    let (has_more, partial_bytes) = (state.has_more, state.records.partial_bytes());
    drop(state);
    if has_more || this.engine.pending_bytes(py)? > partial_bytes {
        deliver(core, &[])?;
    }
    let state = this.state.close();
    let (is_idle, (low_bytes, _)) = (state.is_below_idle && !state.is_reading_paused, state.reading_marks);
    drop(state);
    if is_idle && this.engine.pending_bytes(py)? <= low_bytes {
        this.state.close().is_below_idle = false;
        if let Some(below) = this.below(py) {
            below.transport.bind(py).call_method0(intern!(py, "resume_reading"))?;
        }
    }
    Ok(())
}

/// Puts ciphertext before the TLS object.
pub(super) fn put(this: &TlsCore, py: Python<'_>, ciphertext: &[u8]) -> PyResult<()> {
    if this.engine.session().is_none() {
        this.state.close().records.follow(ciphertext);
    }
    this.engine.put(py, ciphertext)
}

/// Keeps ciphertext until it is wanted; if that becomes much, the connection below reads no more.
fn keep(core: &Bound<'_, TlsCore>, ciphertext: &[u8]) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    if let Err(error) = put(this, py, ciphertext) {
        return fail(core, error);
    }
    let (_, high_bytes) = this.state.close().reading_marks;
    let is_much = this.engine.pending_bytes(py)? >= high_bytes;
    if is_much && !std::mem::replace(&mut this.state.close().is_below_idle, true) {
        if let Some(below) = this.below(py) {
            below.transport.bind(py).call_method0(intern!(py, "pause_reading"))?;
        }
    }
    Ok(())
}

fn deliver(core: &Bound<'_, TlsCore>, ciphertext: &[u8]) -> PyResult<()> {
    let this = core.get();
    let mut rest = ciphertext;
    if std::mem::replace(&mut this.state.close().is_delivering, true) {
        // From inside a delivery, which goes on later.
        return if rest.is_empty() { Ok(()) } else { keep(core, rest) };
    }
    let outcome = deliver_all(core, &mut rest);
    let mut state = this.state.close();
    state.is_delivering = false;
    let is_over = state.phase == Phase::Over;
    drop(state);
    if is_over {
        return outcome;
    }
    let kept = if rest.is_empty() { Ok(()) } else { keep(core, rest) };
    // What was queued because the other end had to be heard first.
    let flushed = outgoing::advance(core).and_then(|()| outgoing::flush(core)).or_else(|error| fail(core, error));
    outcome.and(kept).and(flushed)
}

/// Until nothing is left, or it is not wanted any more.
fn deliver_all(core: &Bound<'_, TlsCore>, rest: &mut &[u8]) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    loop {
        let gathered = match delivery::next(core, rest) {
            Ok(Delivered::To(gathered)) => gathered,
            Ok(Delivered::Nobody) => return Ok(()),
            Err(error) => return fail(core, error),
        };
        match gathered {
            Gathered::Drained => return Ok(()),
            Gathered::Full => {
                let state = this.state.close();
                if state.is_reading_paused || state.phase != Phase::Open {
                    return Ok(());
                }
            }
            Gathered::End => {
                let Some(below) = this.below(py) else { return Ok(()) };
                let told = below.protocol.bind(py).call_method0(intern!(py, "_end_reading"));
                return told.map(drop).or_else(|error| fail(core, error));
            }
            Gathered::Failure(error) => return fail(core, error),
        }
    }
}

/// Decrypts into the room what is there and what `rest` brings.
pub(super) fn gather(this: &TlsCore, py: Python<'_>, room: &mut Room<'_>, rest: &mut &[u8]) -> Gathered {
    if let Some(session) = this.engine.session() {
        return gather_directly(this, session, py, room, rest);
    }
    let mut must_read = std::mem::take(&mut this.state.close().has_more);
    loop {
        if !must_read {
            match may_read(this, py, rest) {
                Ok(true) => {}
                Ok(false) => return Gathered::Drained,
                Err(error) => return Gathered::Failure(error),
            }
        }
        must_read = false;
        match this.engine.read(py, room) {
            Decrypted::Bytes if room.is_full() => {
                this.state.close().has_more = true;
                return Gathered::Full;
            }
            Decrypted::Nothing if rest.is_empty() => return Gathered::Drained,
            Decrypted::Bytes | Decrypted::Nothing => {}
            Decrypted::End => return Gathered::End,
            Decrypted::Failure(error) => return Gathered::Failure(error),
        }
    }
}

/// The same by calls of OpenSSL itself, which needs no whole record before it.
fn gather_directly(
    this: &TlsCore,
    session: &Session,
    py: Python<'_>,
    room: &mut Room<'_>,
    rest: &mut &[u8],
) -> Gathered {
    let stop = session.decrypt(py, room, rest);
    let mut state = this.state.close();
    state.has_more = matches!(stop, Stop::Full);
    state.has_part = matches!(stop, Stop::Part);
    drop(state);
    match stop {
        Stop::Drained | Stop::Part => Gathered::Drained,
        Stop::Full => Gathered::Full,
        // The interpreter finds what is wrong as it was left, and gives an error its class.
        Stop::Other => match this.engine.read(py, room) {
            Decrypted::End => Gathered::End,
            Decrypted::Failure(error) => Gathered::Failure(error),
            Decrypted::Nothing => Gathered::Drained,
            Decrypted::Bytes => {
                this.state.close().has_more = true;
                Gathered::Full
            }
        },
    }
}

/// Whether a whole record is before the TLS object; if not, `rest` is put there, portion by portion.
fn may_read(this: &TlsCore, py: Python<'_>, rest: &mut &[u8]) -> PyResult<bool> {
    let partial_bytes = this.state.close().records.partial_bytes();
    if rest.is_empty() {
        return Ok(this.engine.pending_bytes(py)? > partial_bytes);
    }
    loop {
        let (portion, later) = rest.split_at(rest.len().min(PORTION_BYTES));
        *rest = later;
        put(this, py, portion)?;
        let partial_bytes = this.state.close().records.partial_bytes();
        // Where nothing is partial the portion's last record is whole, at least.
        if partial_bytes < portion.len() || this.engine.pending_bytes(py)? > partial_bytes {
            return Ok(true);
        }
        if rest.is_empty() {
            return Ok(false);
        }
    }
}

/// The connection can't go on: says so, and ends it.
///
/// # Errors
/// What must leave the loop.
#[cold]
pub(super) fn fail(core: &Bound<'_, TlsCore>, error: PyErr) -> PyResult<()> {
    let py = core.py();
    if super::super::stream::leaves_loop(py, &error) {
        return Err(error);
    }
    let Some(below) = core.get().below(py) else { return Ok(()) };
    below.protocol.bind(py).call_method1(intern!(py, "_fatal_error"), (error.into_value(py), MESSAGE)).map(drop)
}
