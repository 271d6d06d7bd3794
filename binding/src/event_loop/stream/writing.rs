//! Writing to a connection: tried at once, and what does not fit goes out with one system call when there is room.

use std::io::{self, IoSlice};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use threefold_event_loop::outgoing::PART_COUNT;
use threefold_event_loop::stream::Permission;
use threefold_event_loop::watch::Side;
use threefold_sys::stream::{Attempt, Patience, send, send_parts, write as write_parts};

use super::chunk::{Chunk, Given};
use super::connection::{StreamCore, fail, listen, os_error};
use crate::kept::intern;

/// Writes that came too late before somebody is told: the standard library's LOG_THRESHOLD_FOR_CONNLOST_WRITES.
const LATE_COUNT: usize = 5;

type Answer = PyResult<Py<PyAny>>;

/// `transport.write(data)`.
#[inline]
pub(in super::super) fn write<'py>(
    core: &Bound<'py, StreamCore>,
    transport: &Bound<'py, PyAny>,
    data: &Bound<'py, PyAny>,
) -> Answer {
    write_given(core, transport, Given::of(data)?)?;
    Ok(core.py().None())
}

/// Writes bytes; they come back unless they had to be queued.
#[inline]
pub(in super::super) fn write_given<'py>(
    core: &Bound<'py, StreamCore>,
    transport: &Bound<'py, PyAny>,
    data: Given<'py>,
) -> PyResult<Option<Given<'py>>> {
    let (py, this) = (core.py(), core.get());
    let bytes = data.bytes()?;
    let permission = this.permission(bytes.is_empty());
    let gone_bytes = match permission {
        Permission::Ended => return Err(PyRuntimeError::new_err("Cannot call write() after write_eof()")),
        Permission::Lent => return Err(PyRuntimeError::new_err("unable to write; sendfile is in progress")),
        Permission::Late(count) => return be_late(transport, count).map(|()| Some(data)),
        _ if bytes.is_empty() => return Ok(Some(data)),
        Permission::Queue => 0,
        Permission::Send => match this.send(bytes) {
            Ok(Attempt::Made(count)) if count == bytes.len() => return Ok(Some(data)),
            Ok(Attempt::Made(count)) => count,
            Ok(Attempt::WouldWait | Attempt::CannotTry) => 0,
            Err(error) => {
                return fail(transport, os_error(py, &error), this.write_message()).map(|()| Some(data));
            }
        },
    };
    if permission == Permission::Send {
        listen(core, transport, Side::Write)?;
    }
    let (chunk, gone_bytes) = data.into_chunk(gone_bytes)?;
    this.state.close().stream.outgoing.push(chunk, gone_bytes);
    pause_if_too_much(core, transport)?;
    Ok(None)
}

/// `transport.writelines(list_of_data)`.
pub(in super::super) fn write_lines<'py>(
    core: &Bound<'py, StreamCore>,
    transport: &Bound<'py, PyAny>,
    list: &Bound<'py, PyAny>,
) -> Answer {
    let (py, this) = (core.py(), core.get());
    let permission = this.permission(true);
    match permission {
        Permission::Ended => return Err(PyRuntimeError::new_err("Cannot call writelines() after write_eof()")),
        Permission::Lent => return Err(PyRuntimeError::new_err("unable to writelines; sendfile is in progress")),
        _ => {}
    }
    // The standard library looks at nothing but this, since 3.12: None is no pieces, too.
    if !list.is_truthy()? && py.version_info() >= (3, 12) {
        return Ok(py.None());
    }
    let mut chunks = Vec::new();
    for piece in list.try_iter()? {
        let (chunk, _gone_bytes) = Given::of_any(&piece?)?.into_chunk(0)?;
        if !chunk.as_ref().is_empty() {
            chunks.push(chunk);
        }
    }
    if chunks.is_empty() {
        return Ok(py.None());
    }
    // Asked anew: what the pieces come from may have done anything.
    let permission = this.permission(false);
    let mut state = this.state.close();
    let is_first = permission == Permission::Send;
    if is_first || permission == Permission::Queue {
        for chunk in chunks.drain(..) {
            state.stream.outgoing.push(chunk, 0);
        }
    }
    drop(state);
    drop(chunks);
    if let Permission::Late(count) = permission {
        return be_late(transport, count).map(|()| py.None());
    }
    if is_first {
        match send_queued(this) {
            Ok(true) => return Ok(py.None()),
            Ok(false) => listen(core, transport, Side::Write)?,
            Err(error) => return lose_queue(core, transport, &error).map(|()| py.None()),
        }
    }
    pause_if_too_much(core, transport)?;
    Ok(py.None())
}

/// The descriptor can be written to: sends what is queued.
pub(super) fn flush(core: &Bound<'_, StreamCore>, transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    if this.state.close().stream.is_lost() {
        return Ok(());
    }
    if let Err(error) = send_queued(this) {
        this.ignore(Side::Write);
        return lose_queue(core, transport, &error);
    }
    let must_resume = this.state.close().stream.outgoing.must_resume();
    if must_resume {
        transport.call_method0(intern!(py, "_resume_protocol"))?;
    }
    let state = this.state.close();
    if !state.stream.outgoing.is_empty() {
        return Ok(());
    }
    // A lent descriptor's waiter, the end of a connection, the end of what is written: Python's.
    let is_special = state.stream.is_closing() || state.stream.has_ended() || state.stream.is_lent();
    drop(state);
    this.ignore(Side::Write);
    if is_special {
        transport.call_method0(intern!(py, "_be_drained"))?;
    }
    Ok(())
}

impl StreamCore {
    /// What may be done with bytes: a pipe takes none any more as soon as it is being closed.
    #[inline]
    fn permission(&self, is_empty: bool) -> Permission {
        let mut state = self.state.close();
        if self.is_pipe && !is_empty && state.stream.is_closing() {
            return Permission::Late(state.stream.count_late());
        }
        state.stream.permission(is_empty)
    }

    #[inline]
    fn send(&self, bytes: &[u8]) -> io::Result<Attempt<usize>> {
        if self.is_pipe { self.send_parts(&[IoSlice::new(bytes)]) } else { send(self.descriptor, bytes) }
    }

    fn send_parts(&self, parts: &[IoSlice<'_>]) -> io::Result<Attempt<usize>> {
        // A pipe's transport has set it not to wait.
        if self.is_pipe {
            write_parts(self.descriptor, parts, Patience::Wait)
        } else {
            send_parts(self.descriptor, parts)
        }
    }

    fn write_message(&self) -> &'static str {
        if self.is_pipe { "Fatal write error on pipe transport" } else { "Fatal write error on socket transport" }
    }
}

/// Sends what is queued until the kernel takes no more; true if nothing is left.
fn send_queued(this: &StreamCore) -> io::Result<bool> {
    let mut done: Vec<Chunk> = Vec::new();
    let mut state = this.state.close();
    let outcome = loop {
        let mut parts = [IoSlice::new(&[]); PART_COUNT];
        let count = state.stream.outgoing.parts(&mut parts);
        let parts = parts.get(..count).unwrap_or_default();
        let wanted_bytes: usize = parts.iter().map(|part| part.len()).sum();
        let sent_bytes = match this.send_parts(parts) {
            Ok(Attempt::Made(sent_bytes)) => sent_bytes,
            Ok(Attempt::WouldWait | Attempt::CannotTry) => break Ok(false),
            Err(error) => break Err(error),
        };
        state.stream.outgoing.advance(sent_bytes, &mut done);
        if state.stream.outgoing.is_empty() {
            break Ok(true);
        }
        if sent_bytes < wanted_bytes {
            break Ok(false);
        }
    };
    drop(state);
    drop(done);
    outcome
}

/// The connection is broken: what is queued will never go out.
#[cold]
fn lose_queue(core: &Bound<'_, StreamCore>, transport: &Bound<'_, PyAny>, error: &io::Error) -> PyResult<()> {
    let queued = core.get().state.close().stream.outgoing.take();
    drop(queued);
    let error = os_error(core.py(), error).into_value(core.py());
    transport.call_method1("_fail_writing", (error, core.get().write_message())).map(drop)
}

#[cold]
fn be_late(transport: &Bound<'_, PyAny>, count: usize) -> PyResult<()> {
    if count >= LATE_COUNT {
        transport.call_method0("_warn_of_late_writes")?;
    }
    Ok(())
}

/// Tells the protocol to pause if too much is queued.
fn pause_if_too_much(core: &Bound<'_, StreamCore>, transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let must_pause = core.get().state.close().stream.outgoing.must_pause();
    if must_pause {
        transport.call_method0(intern!(core.py(), "_pause_protocol"))?;
    }
    Ok(())
}
