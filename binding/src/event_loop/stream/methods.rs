//! The native methods of a stream transport's class.

use pyo3::prelude::*;
use pyo3::types::PyType;
use threefold_event_loop::watch::Side;

use super::connection::{StreamCore, listen};
use super::writing;
use crate::ffi::backed::{backed_method, install_backing, install_method};

type Answer = PyResult<Py<PyAny>>;

fn pause_reading(core: &Bound<'_, StreamCore>, transport: &Bound<'_, PyAny>, _none: &Bound<'_, PyAny>) -> Answer {
    let py = core.py();
    let changes = core.get().state.close().stream.pause_reading();
    if changes {
        core.get().ignore(Side::Read);
        note(core, transport, "%r pauses reading")?;
    }
    Ok(py.None())
}

fn resume_reading(core: &Bound<'_, StreamCore>, transport: &Bound<'_, PyAny>, _none: &Bound<'_, PyAny>) -> Answer {
    let py = core.py();
    let changes = core.get().state.close().stream.resume_reading();
    if changes {
        listen(core, transport, Side::Read)?;
        note(core, transport, "%r resumes reading")?;
    }
    Ok(py.None())
}

fn note(core: &Bound<'_, StreamCore>, transport: &Bound<'_, PyAny>, text: &str) -> PyResult<()> {
    if core.get().event_loop.get().is_in_debug_mode() {
        transport.call_method1("_note", (text,))?;
    }
    Ok(())
}

fn is_reading(core: &Bound<'_, StreamCore>, _transport: &Bound<'_, PyAny>, _none: &Bound<'_, PyAny>) -> Answer {
    let is_reading = core.get().state.close().stream.is_reading();
    Ok(is_reading.into_pyobject(core.py())?.to_owned().into_any().unbind())
}

fn is_closing(core: &Bound<'_, StreamCore>, _transport: &Bound<'_, PyAny>, _none: &Bound<'_, PyAny>) -> Answer {
    let is_closing = core.get().state.close().stream.is_closing();
    Ok(is_closing.into_pyobject(core.py())?.to_owned().into_any().unbind())
}

fn get_write_buffer_size(
    core: &Bound<'_, StreamCore>,
    _transport: &Bound<'_, PyAny>,
    _none: &Bound<'_, PyAny>,
) -> Answer {
    let size = core.get().state.close().stream.outgoing.len_bytes();
    Ok(size.into_pyobject(core.py())?.into_any().unbind())
}

backed_method!(Write, StreamCore, c"write", Some("data"), "Write bytes; what does not fit is queued.", writing::write);
backed_method!(
    WriteLines,
    StreamCore,
    c"writelines",
    Some("list_of_data"),
    "Write the pieces one behind the other, with one system call where possible.",
    writing::write_lines
);
backed_method!(
    PauseReading,
    StreamCore,
    c"pause_reading",
    None,
    "Read nothing until reading is resumed.",
    pause_reading
);
backed_method!(ResumeReading, StreamCore, c"resume_reading", None, "Read again.", resume_reading);
backed_method!(IsReading, StreamCore, c"is_reading", None, "Return whether what arrives is read.", is_reading);
backed_method!(
    IsClosing,
    StreamCore,
    c"is_closing",
    None,
    "Return whether the transport is closed or being closed.",
    is_closing
);
backed_method!(
    GetWriteBufferSize,
    StreamCore,
    c"get_write_buffer_size",
    None,
    "Return how many bytes are queued for writing.",
    get_write_buffer_size
);

/// Gives the class of stream transports its native methods.
///
/// Args:
///     transport: the class, which keeps a `StreamCore` in a slot `_core`.
#[pyfunction]
fn install_stream_transport(transport: &Bound<'_, PyType>) -> PyResult<()> {
    install_backing::<StreamCore>(transport)?;
    install_method::<Write>(transport)?;
    install_method::<WriteLines>(transport)?;
    install_method::<PauseReading>(transport)?;
    install_method::<ResumeReading>(transport)?;
    install_method::<IsReading>(transport)?;
    install_method::<IsClosing>(transport)?;
    install_method::<GetWriteBufferSize>(transport)
}

/// Gives the classes of pipe transports their native methods.
///
/// Args:
///     reading: the class of reading ends, which keeps a `StreamCore` in a slot `_core`.
///     writing: the class of writing ends, with such a slot.
#[pyfunction]
fn install_pipe_transports(reading: &Bound<'_, PyType>, writing: &Bound<'_, PyType>) -> PyResult<()> {
    install_backing::<StreamCore>(reading)?;
    install_method::<PauseReading>(reading)?;
    install_method::<ResumeReading>(reading)?;
    install_method::<IsReading>(reading)?;
    install_method::<IsClosing>(reading)?;
    install_backing::<StreamCore>(writing)?;
    install_method::<Write>(writing)?;
    install_method::<WriteLines>(writing)?;
    install_method::<IsClosing>(writing)?;
    install_method::<GetWriteBufferSize>(writing)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(install_stream_transport, module)?)?;
    module.add_function(wrap_pyfunction!(install_pipe_transports, module)?)
}
