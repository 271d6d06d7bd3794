//! Windows: our memory as a Python buffer, for the length of one call of the interpreter's own native code.

use std::mem::MaybeUninit;

use pyo3::ffi;
use pyo3::prelude::*;
use threefold_sys::stream::Room;
use threefold_wait::Latch;

/// What can be seen through a window: its address, its length, and whether it may be written to.
#[derive(Clone, Copy)]
struct View {
    start: usize,
    len: usize,
    is_writable: bool,
}

/// A Python object whose buffer is what it was opened to, once.
///
/// It is for functions that use their argument's buffer while they run and keep neither: those of the interpreter's
/// `_ssl`. A view is given out to the first who asks for a buffer, and then the window is closed; so nobody who finds the
/// object by another way gets a look at memory that is gone.
#[pyclass(frozen, module = "threefold._threefold")]
pub(crate) struct Window {
    view: Latch<Option<View>>,
}

impl Window {
    /// A window that is closed.
    ///
    /// # Errors
    /// There is no memory.
    pub(crate) fn create(py: Python<'_>) -> PyResult<Py<Self>> {
        Py::new(py, Self { view: Latch::new(None) })
    }

    fn open(&self, view: View) {
        *self.view.close() = Some(view);
    }
}

/// Calls a function of the interpreter with bytes of ours, which it only reads.
///
/// # Errors
/// The function's.
pub(crate) fn call_with_bytes<'py>(
    window: &Bound<'py, Window>,
    bytes: &[u8],
    call: impl FnOnce(&Bound<'py, Window>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    window.get().open(View { start: bytes.as_ptr().expose_provenance(), len: bytes.len(), is_writable: false });
    let outcome = call(window);
    *window.get().view.close() = None;
    outcome
}

/// Calls a function of the interpreter with room that it writes to from the beginning; it returns how many bytes, and never
/// more than there are.
///
/// # Errors
/// The function's.
pub(crate) fn call_with_room<'py>(
    window: &Bound<'py, Window>,
    room: &mut Room<'_>,
    call: impl FnOnce(&Bound<'py, Window>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<usize> {
    let rest: &mut [MaybeUninit<u8>] = room.rest();
    let len = rest.len();
    window.get().open(View { start: rest.as_mut_ptr().expose_provenance(), len, is_writable: true });
    let outcome = call(window);
    *window.get().view.close() = None;
    let count = outcome?.extract::<usize>()?;
    // SAFETY: the callers' functions are the interpreter's own `read` of TLS connections, whose contract is that so many
    // bytes were written to the buffer.
    unsafe { room.note_filled(count.min(len)) };
    Ok(count)
}

/// What CPython calls for a view.
unsafe extern "C" fn export(
    this: *mut ffi::PyObject,
    view: *mut ffi::Py_buffer,
    flags: std::ffi::c_int,
) -> std::ffi::c_int {
    // SAFETY: CPython calls slots attached, with an instance of the class and a view to be filled. The memory is there for
    // the length of the call for which the window is open, and whoever takes the view closes the window.
    unsafe {
        let instance = Borrowed::from_ptr(Python::assume_attached(), this).cast_unchecked::<Window>();
        let seen = instance.get().view.close().take();
        if let Some((seen, Ok(len))) = seen.map(|seen| (seen, ffi::Py_ssize_t::try_from(seen.len))) {
            let start = std::ptr::with_exposed_provenance_mut(seen.start);
            return ffi::PyBuffer_FillInfo(view, this, start, len, i32::from(!seen.is_writable), flags);
        }
        if let Some(view) = view.as_mut() {
            view.obj = std::ptr::null_mut();
        }
        ffi::PyErr_SetString(ffi::PyExc_BufferError, c"the window is closed".as_ptr());
        -1
    }
}

/// Gives windows their buffers.
pub(crate) fn install(py: Python<'_>) {
    let class = py.get_type::<Window>().as_type_ptr();
    // SAFETY: attached; the type is a heap type of our own that has no instance and no subclass yet, so its slots may be
    // set; every heap type has room for the buffer slots.
    unsafe {
        if let Some(slots) = (*class).tp_as_buffer.as_mut() {
            slots.bf_getbuffer = Some(export);
        }
    }
}
