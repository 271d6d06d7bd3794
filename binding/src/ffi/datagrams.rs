//! `sendto` of a datagram transport: a native method on a Python class that keeps its native part in a slot.

use std::sync::OnceLock;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::call_complete;
use super::handles::{add, offset, slot};

/// The native part of a datagram transport.
pub(crate) trait Sends: pyo3::PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync {
    /// Sends a datagram at once, to an address or to the peer.
    fn send(&self, data: &[u8], address: Option<&Bound<'_, PyAny>>) -> Sent;
}

/// What became of a datagram.
pub(crate) enum Sent {
    /// It left.
    Done,
    /// The kernel refused it: to be told to the protocol.
    Failed(PyErr),
    /// Not the common case: ask the complete method.
    Slow,
}

struct Installed {
    native_part: usize,
    complete: OnceLock<Py<PyAny>>,
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// Puts a fast `sendto` in front of a class's own; its instances have their native part in the slot `_end`.
///
/// # Errors
/// The class has no such slot.
pub(crate) fn install<S: Sends>(class: &Bound<'_, PyType>) -> PyResult<()> {
    let complete = OnceLock::from(class.getattr("sendto")?.unbind());
    if INSTALLED.set(Installed { native_part: offset(class, "_end")?, complete }).is_err() {
        return Err(PyTypeError::new_err("the datagram transport is installed once"));
    }
    add(class, c"sendto", sendto::<S>)
}

unsafe extern "C" fn sendto<S: Sends>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(installed) = INSTALLED.get() else { return std::ptr::null_mut() };
    // SAFETY: CPython calls methods attached, with an instance of the descriptor's class and valid arguments, all alive
    // during the call, also while the interpreter ends, when `attach` would refuse. The slot holds a valid reference or null. Nothing runs that could change a `bytearray` while it is
    // read.
    unsafe {
        let end = *slot(this, installed.native_part);
        let is_common = keyword_names.is_null() && (count == 1 || count == 2) && !end.is_null();
        if let (true, Some(data)) = (is_common, if is_common { bytes_of(*arguments) } else { None }) {
            let sent = Python::attach_unchecked(|py| {
                let end = Borrowed::from_ptr(py, end);
                let Ok(end) = end.cast::<S>() else { return Sent::Slow };
                let address = (count == 2).then(|| Bound::from_borrowed_ptr(py, *arguments.add(1)));
                end.get().send(data, address.filter(|address| !address.is_none()).as_ref())
            });
            match sent {
                Sent::Done => return ffi::Py_NewRef(ffi::Py_None()),
                Sent::Failed(error) => return note_error(this, error),
                Sent::Slow => {}
            }
        }
        call_complete(&installed.complete, this, arguments, count, keyword_names)
    }
}

/// The bytes of a `bytes` or `bytearray` that is not empty.
///
/// # Safety
/// Attached; `data` is valid, and nobody changes it while the result is used.
#[allow(clippy::cast_sign_loss, reason = "a length")]
unsafe fn bytes_of<'a>(data: *mut ffi::PyObject) -> Option<&'a [u8]> {
    // SAFETY: the caller's; the class is looked at first.
    unsafe {
        let (start, length) = if ffi::PyBytes_CheckExact(data) != 0 {
            (ffi::PyBytes_AsString(data), ffi::PyBytes_Size(data))
        } else if ffi::PyByteArray_CheckExact(data) != 0 {
            (ffi::PyByteArray_AsString(data), ffi::PyByteArray_Size(data))
        } else {
            return None;
        };
        (length > 0).then(|| std::slice::from_raw_parts(start.cast(), length as usize))
    }
}

/// Tells the transport, which tells its protocol.
///
/// # Safety
/// Attached; `this` is a transport of ours.
unsafe fn note_error(this: *mut ffi::PyObject, error: PyErr) -> *mut ffi::PyObject {
    let tell = |py: Python<'_>| {
        // SAFETY: the caller's.
        let transport = unsafe { Bound::from_borrowed_ptr(py, this) };
        match transport.call_method1("_note_error", (error.into_value(py),)) {
            Ok(nothing) => nothing.into_ptr(),
            Err(error) => {
                error.restore(py);
                std::ptr::null_mut()
            }
        }
    };
    // SAFETY: the caller's: attached. `attach` would refuse while the interpreter ends.
    unsafe { Python::attach_unchecked(tell) }
}
