//! The native methods of a TLS transport's class.

use pyo3::prelude::*;
use pyo3::types::PyType;

use super::connection::TlsCore;
use super::outgoing;
use crate::ffi::backed::{backed_method, install_backing, install_method};
use crate::kept::intern;

type Answer = PyResult<Py<PyAny>>;

#[allow(clippy::unnecessary_wraps, reason = "as methods are declared")]
fn pause_reading(core: &Bound<'_, TlsCore>, _transport: &Bound<'_, PyAny>, _none: &Bound<'_, PyAny>) -> Answer {
    core.get().state.close().is_reading_paused = true;
    Ok(core.py().None())
}

fn resume_reading(core: &Bound<'_, TlsCore>, _transport: &Bound<'_, PyAny>, _none: &Bound<'_, PyAny>) -> Answer {
    let (py, this) = (core.py(), core.get());
    if std::mem::replace(&mut this.state.close().is_reading_paused, false) {
        if let Some(below) = this.below(py) {
            // In the next turn: who resumes may not be ready for what has arrived before it returns.
            below.protocol.bind(py).call_method0(intern!(py, "_resume_soon"))?;
        }
    }
    Ok(py.None())
}

fn is_reading(core: &Bound<'_, TlsCore>, _transport: &Bound<'_, PyAny>, _none: &Bound<'_, PyAny>) -> Answer {
    let is_reading = !core.get().state.close().is_reading_paused;
    Ok(is_reading.into_pyobject(core.py())?.to_owned().into_any().unbind())
}

fn get_write_buffer_size(core: &Bound<'_, TlsCore>, _transport: &Bound<'_, PyAny>, _none: &Bound<'_, PyAny>) -> Answer {
    let size = core.get().state.close().writing.queued_bytes;
    Ok(size.into_pyobject(core.py())?.into_any().unbind())
}

backed_method!(Write, TlsCore, c"write", Some("data"), "Write bytes; what cannot go out is queued.", outgoing::write);
backed_method!(
    WriteLines,
    TlsCore,
    c"writelines",
    Some("list_of_data"),
    "Write the pieces one behind the other; small ones share records.",
    outgoing::write_lines
);
backed_method!(
    PauseReading,
    TlsCore,
    c"pause_reading",
    None,
    "Deliver nothing until reading is resumed.",
    pause_reading
);
backed_method!(ResumeReading, TlsCore, c"resume_reading", None, "Deliver what arrives again.", resume_reading);
backed_method!(IsReading, TlsCore, c"is_reading", None, "Return whether what arrives is delivered.", is_reading);
backed_method!(
    GetWriteBufferSize,
    TlsCore,
    c"get_write_buffer_size",
    None,
    "Return how many bytes are queued as plaintext.",
    get_write_buffer_size
);

/// Gives the class of TLS transports its native methods.
///
/// Args:
///     transport: the class, which keeps a `TlsCore` in a slot `_core`.
#[pyfunction]
fn install_tls_transport(transport: &Bound<'_, PyType>) -> PyResult<()> {
    install_backing::<TlsCore>(transport)?;
    install_method::<Write>(transport)?;
    install_method::<WriteLines>(transport)?;
    install_method::<PauseReading>(transport)?;
    install_method::<ResumeReading>(transport)?;
    install_method::<IsReading>(transport)?;
    install_method::<GetWriteBufferSize>(transport)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(install_tls_transport, module)?)
}
