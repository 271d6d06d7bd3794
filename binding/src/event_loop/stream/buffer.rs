//! What a stream's reader keeps in its dictionary: what is buffered, who waits, how much may be buffered.

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict};

use super::super::state::EventLoopCore;
use crate::ffi::futures;
use crate::kept::intern;

/// Appends what arrives to what is buffered, and wakes who waits for it: `StreamReader.feed_data`.
pub(in super::super) fn feed(reader: &Bound<'_, PyDict>, bytes: &Bound<'_, PyBytes>) -> PyResult<()> {
    let py = reader.py();
    let buffer = item(reader, intern!(py, "_buffer"))?;
    buffer.call_method1(intern!(py, "extend"), (bytes,))?;
    let waiter = item(reader, intern!(py, "_waiter"))?;
    if !waiter.is_none() {
        reader.set_item(intern!(py, "_waiter"), py.None())?;
        if !waiter.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
            waiter.call_method1(intern!(py, "set_result"), (py.None(),))?;
        }
    }
    let transport = item(reader, intern!(py, "_transport"))?;
    if transport.is_none() || item(reader, intern!(py, "_paused"))?.is_truthy()? {
        return Ok(());
    }
    if buffer.len()? > limit_of(reader)?.saturating_mul(2) {
        transport.call_method0(intern!(py, "pause_reading"))?;
        reader.set_item(intern!(py, "_paused"), true)?;
    }
    Ok(())
}

/// A future for a task to wait for.
pub(super) fn new_future<'py>(event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let spare = match event_loop.cast::<EventLoopCore>() {
        Ok(event_loop) => event_loop.get().take_spare_future(),
        Err(_another) => None,
    };
    let py = event_loop.py();
    let future = match spare {
        Some(spare) => spare.into_bound(py),
        None => event_loop.call_method0(intern!(py, "create_future"))?,
    };
    futures::set_blocking(&future)?;
    Ok(future)
}

/// Ends the wait for `future`; false if it was cancelled.
pub(super) fn finish(reader: &Bound<'_, PyDict>, future: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = reader.py();
    let event_loop = item(reader, intern!(py, "_loop"))?;
    let is_set = match event_loop.cast::<EventLoopCore>() {
        Ok(event_loop) if event_loop.get().finish(future) => true,
        _ => future.call_method1(intern!(py, "set_result"), (py.None(),)).is_ok(),
    };
    if !is_set {
        return Ok(false);
    }
    reader.set_item(intern!(py, "_waiter"), py.None())?;
    Ok(true)
}

/// Something was taken: the transport may bring more.
pub(super) fn resume_if_enough_was_taken(reader: &Bound<'_, PyDict>, buffer: &Bound<'_, PyByteArray>) -> PyResult<()> {
    let py = reader.py();
    if item(reader, intern!(py, "_paused"))?.is_truthy()? && buffer.len() <= limit_of(reader)? {
        reader.set_item(intern!(py, "_paused"), false)?;
        item(reader, intern!(py, "_transport"))?.call_method0(intern!(py, "resume_reading"))?;
    }
    Ok(())
}

/// How much a reader may buffer.
pub(super) fn limit_of(reader: &Bound<'_, PyDict>) -> PyResult<usize> {
    item(reader, intern!(reader.py(), "_limit"))?.extract()
}

/// What a reader or writer keeps under a name.
pub(super) fn item<'py>(
    dictionary: &Bound<'py, PyDict>,
    name: &Bound<'py, pyo3::types::PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    dictionary.get_item(name)?.ok_or_else(|| pyo3::exceptions::PyAttributeError::new_err(name.clone().unbind()))
}
