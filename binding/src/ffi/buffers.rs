//! The bytes of Python objects: copied out of them, read into new ones, lent to views.

use std::mem::MaybeUninit;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBufferError, PyMemoryError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};
use threefold_sys::source::Source;
use threefold_sys::stream::Room;
use threefold_sys::target::{Filled, Target};

/// The bytes of a buffer in one piece; `None` if it is in several. Python code may write to them at any time.
pub(crate) fn source_of(buffer: &PyBuffer<u8>) -> Option<Source<'_>> {
    // SAFETY: the buffer's owner keeps the memory where it is, and readable, until the buffer is dropped.
    buffer.is_c_contiguous().then(|| unsafe { Source::new(buffer.buf_ptr().cast(), buffer.len_bytes()) })
}

/// A `bytes` object of `len` bytes that `fill` writes.
pub(crate) fn new_bytes<F>(py: Python<'_>, len: usize, fill: F) -> PyResult<Bound<'_, PyBytes>>
where
    F: for<'one> FnOnce(Target<'one>) -> PyResult<Filled<'one>>,
{
    // SAFETY: the content is ours alone until it is returned; before it is, there is a proof that all of it was written.
    unsafe {
        let object = uninitialised_bytes(py, len)?;
        let _proof = fill(Target::new(ffi::PyBytes_AsString(object.as_ptr()).cast(), len))?;
        Ok(object)
    }
}

/// A new `bytes` object of `len` bytes, which is nobody else's.
///
/// # Safety
/// Its content must be written before anybody reads it, and before the object is given away.
unsafe fn uninitialised_bytes(py: Python<'_>, len: usize) -> PyResult<Bound<'_, PyBytes>> {
    let size = ffi::Py_ssize_t::try_from(len).map_err(|_| PyMemoryError::new_err(()))?;
    // SAFETY: attached; null is permitted and leaves the content uninitialised. A new reference to a `bytes` object, or null
    // with an error.
    unsafe {
        let object = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size);
        Ok(Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked())
    }
}

/// A `bytearray` of `len` bytes that `fill` writes.
pub(crate) fn new_bytearray<F>(py: Python<'_>, len: usize, fill: F) -> PyResult<Bound<'_, PyByteArray>>
where
    F: for<'one> FnOnce(Target<'one>) -> PyResult<Filled<'one>>,
{
    // SAFETY: attached; null is permitted and leaves the content uninitialised. A new reference, or null with an error.
    // Then as for `new_bytes`.
    unsafe {
        let size = ffi::Py_ssize_t::try_from(len)?;
        let object = Bound::from_owned_ptr_or_err(py, ffi::PyByteArray_FromStringAndSize(std::ptr::null(), size))?;
        let _proof = fill(Target::new(ffi::PyByteArray_AsString(object.as_ptr()).cast(), len))?;
        Ok(object.cast_into_unchecked())
    }
}

/// Whether nobody else has an object, nor its buffer; not known, and so false, where threads run without the interpreter's lock.
pub(crate) fn is_ours_alone(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: attached, and the object lives. Who has its buffer has a reference, too.
    cfg!(not(Py_GIL_DISABLED)) && unsafe { ffi::Py_REFCNT(object.as_ptr()) } == 1
}

/// A `bytearray` that nobody else has, with content that `fill` writes.
pub(crate) fn refilled_bytearray<'py, F>(object: Bound<'py, PyByteArray>, fill: F) -> PyResult<Bound<'py, PyByteArray>>
where
    F: for<'one> FnOnce(Target<'one>) -> PyResult<Filled<'one>>,
{
    if !is_ours_alone(object.as_any()) {
        return new_bytearray(object.py(), object.len(), fill);
    }
    // SAFETY: nobody else has it, nor gets it until it is returned; it has as many bytes.
    let _proof = fill(unsafe { Target::new(ffi::PyByteArray_AsString(object.as_ptr()).cast(), object.len()) })?;
    Ok(object)
}

/// A class whose instances have bytes that others may look at in place, but not write to.
pub(crate) trait Exported: pyo3::PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync {
    /// The bytes: always the same ones, for as long as the instance lives.
    fn source(&self) -> Option<Source<'_>>;
}

/// Lets instances be the target of a memoryview.
pub(crate) fn install_buffer<C: Exported>(py: Python<'_>) {
    let class = py.get_type::<C>().as_type_ptr();
    // SAFETY: attached; the type is a heap type of our own that has no instance and no subclass yet, so its slots may
    // be set; every heap type has room for the buffer slots.
    unsafe {
        if let Some(slots) = (*class).tp_as_buffer.as_mut() {
            slots.bf_getbuffer = Some(export::<C>);
        }
    }
}

/// What CPython calls for a view. The view keeps the instance alive, and that its bytes.
unsafe extern "C" fn export<C: Exported>(
    this: *mut ffi::PyObject,
    view: *mut ffi::Py_buffer,
    flags: std::ffi::c_int,
) -> std::ffi::c_int {
    // SAFETY: CPython calls slots attached, with an instance of the class and a view to be filled; `source` promises
    // bytes that stay readable while the instance lives, and the view is marked as read-only.
    unsafe {
        let instance = Borrowed::from_ptr(Python::assume_attached(), this).cast_unchecked::<C>();
        let bytes = instance.get().source().map(|source| (source.start(), ffi::Py_ssize_t::try_from(source.len())));
        if let Some((start, Ok(len))) = bytes {
            return ffi::PyBuffer_FillInfo(view, this, start.cast_mut().cast(), len, 1, flags);
        }
        if let Some(view) = view.as_mut() {
            view.obj = std::ptr::null_mut();
        }
        ffi::PyErr_SetString(ffi::PyExc_BufferError, c"the bytes are not there".as_ptr());
        -1
    }
}

/// A new `bytes` object of a length, which `fill` reads from a stream; its memory is not touched before.
pub(crate) fn bytes_read(
    py: Python<'_>,
    len: usize,
    fill: impl FnOnce(&mut Room<'_>) -> PyResult<()>,
) -> PyResult<Bound<'_, PyBytes>> {
    // SAFETY: given away only when all of it was read.
    let bytes = unsafe { uninitialised_bytes(py, len)? };
    // SAFETY: the object has that many bytes, of which nobody else knows; as uninitialised ones they may be anything.
    let memory = unsafe {
        let start = ffi::PyBytes_AsString(bytes.as_ptr()).cast::<MaybeUninit<u8>>();
        std::slice::from_raw_parts_mut(start, len)
    };
    let mut room = Room::new(memory);
    fill(&mut room)?;
    // The object of an empty length is a shared one, which nothing was written to.
    if room.is_full() { Ok(bytes) } else { Err(PyBufferError::new_err("the bytes were not read to the end")) }
}

/// Takes the first bytes out of a `bytearray`, `most_bytes` at most.
///
/// # Errors
/// `BufferError` while somebody has a view of it; `MemoryError`.
pub(crate) fn take_front<'py>(buffer: &Bound<'py, PyByteArray>, most_bytes: usize) -> PyResult<Bound<'py, PyBytes>> {
    let len = buffer.len();
    let count = len.min(most_bytes);
    // SAFETY: attached, and nothing runs between the look at the length and the copy; `count` bytes are there.
    let bytes = unsafe {
        let start = ffi::PyByteArray_AsString(buffer.as_ptr());
        let size = ffi::Py_ssize_t::try_from(count)?;
        Bound::from_owned_ptr_or_err(buffer.py(), ffi::PyBytes_FromStringAndSize(start, size))?
    };
    if count == len {
        buffer.resize(0)?;
    } else {
        // SAFETY: attached, and a `bytearray` is a sequence; -1 with an exception if its length is fixed by a view.
        let status = unsafe { ffi::PySequence_DelSlice(buffer.as_ptr(), 0, ffi::Py_ssize_t::try_from(count)?) };
        if status != 0 {
            return Err(PyErr::fetch(buffer.py()));
        }
    }
    Ok(bytes.cast_into()?)
}

/// Lets `look` see the content of a `bytearray`; it must call no Python code.
pub(crate) fn with_content<T>(buffer: &Bound<'_, PyByteArray>, look: impl FnOnce(&[u8]) -> T) -> T {
    if cfg!(Py_GIL_DISABLED) {
        return look(&buffer.to_vec());
    }
    // SAFETY: attached, and nothing else runs until `look` is over: the bytes stay where they are, and as they are.
    look(unsafe { buffer.as_bytes() })
}

/// Where bytes begin in others, at a place or behind it.
pub(crate) fn place_in(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let (first, more) = wanted.split_first()?;
    let mut from = from;
    loop {
        let rest = bytes.get(from..)?;
        // SAFETY: as many bytes as it says; the C library reads no more.
        let found = unsafe { memchr(rest.as_ptr().cast(), i32::from(*first), rest.len()) };
        if found.is_null() {
            return None;
        }
        let place = found.addr() - bytes.as_ptr().addr();
        if bytes.get(place + 1..)?.starts_with(more) {
            return Some(place);
        }
        from = place + 1;
    }
}

unsafe extern "C" {
    /// The C library's search for a byte.
    fn memchr(bytes: *const std::ffi::c_void, wanted: std::ffi::c_int, len: usize) -> *const std::ffi::c_void;
    /// Gives a `bytes` object that nobody else knows another length; on failure it is gone.
    fn _PyBytes_Resize(bytes: *mut *mut ffi::PyObject, size: ffi::Py_ssize_t) -> std::ffi::c_int;
}

/// A new `bytes` object of what `fill` reads, `most_bytes` at most; nothing if it reads nothing.
pub(crate) fn bytes_received<T>(
    py: Python<'_>,
    most_bytes: usize,
    fill: impl FnOnce(&mut Room<'_>) -> T,
) -> PyResult<(T, Option<Bound<'_, PyBytes>>)> {
    // SAFETY: what was not written is cut off before the object is given away.
    let bytes = unsafe { uninitialised_bytes(py, most_bytes.max(2))? };
    // SAFETY: the object has at least that many bytes, of which nobody else knows; uninitialised ones may be anything.
    let memory = unsafe {
        let start = ffi::PyBytes_AsString(bytes.as_ptr()).cast::<MaybeUninit<u8>>();
        std::slice::from_raw_parts_mut(start, most_bytes)
    };
    let mut room = Room::new(memory);
    let outcome = fill(&mut room);
    let len = room.bytes().len();
    if len == 0 {
        return Ok((outcome, None));
    }
    let mut object = bytes.into_ptr();
    // SAFETY: attached; the only reference to a `bytes` object of two or more bytes, which is never a shared one. On
    // failure the pointer is null, and an exception is set.
    let bytes = unsafe {
        _PyBytes_Resize(&raw mut object, ffi::Py_ssize_t::try_from(len)?);
        Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked()
    };
    Ok((outcome, Some(bytes)))
}

/// Lets `fill` read from a stream into a part of a writable buffer.
///
/// Whoever else reads or writes that memory meanwhile sees it change, as with `os.readv`.
pub(crate) fn read_into<T>(
    buffer: &PyBuffer<u8>,
    offset: usize,
    len: usize,
    fill: impl FnOnce(&mut Room<'_>) -> T,
) -> PyResult<T> {
    let is_inside = offset.checked_add(len).is_some_and(|end| end <= buffer.len_bytes());
    if buffer.readonly() || !buffer.is_c_contiguous() || !is_inside {
        return Err(PyBufferError::new_err("the buffer is not a writable, contiguous one of that length"));
    }
    if len == 0 {
        return Ok(fill(&mut Room::new(&mut [])));
    }
    // SAFETY: the buffer is held, so that its memory stays where it is; it is contiguous and writable, and the part lies
    // inside; only the kernel writes through the slice, and nothing is read through it but what the kernel has written.
    let memory = unsafe {
        let start = buffer.buf_ptr().cast::<MaybeUninit<u8>>().add(offset);
        std::slice::from_raw_parts_mut(start, len)
    };
    Ok(fill(&mut Room::new(memory)))
}

/// The bytes of a contiguous buffer, for the kernel to read.
///
/// Whoever writes to that memory meanwhile changes what the kernel sees, as with `os.write`.
pub(crate) fn slice_of(buffer: &PyBuffer<u8>) -> PyResult<&[u8]> {
    if !buffer.is_c_contiguous() {
        return Err(PyBufferError::new_err("the buffer is not contiguous"));
    }
    if buffer.len_bytes() == 0 {
        return Ok(&[]);
    }
    // SAFETY: the buffer is held for as long as it is borrowed, so that its memory stays where it is; it is contiguous
    // and initialised. Only the kernel reads through the slice, so that a change made meanwhile meets no assumption.
    Ok(unsafe { std::slice::from_raw_parts(buffer.buf_ptr().cast::<u8>(), buffer.len_bytes()) })
}

/// Receives from a socket into a writable, contiguous buffer, without waiting; `None`: nothing is there yet.
pub(crate) fn receive_into(buffer: &PyBuffer<u8>, descriptor: std::os::fd::RawFd) -> std::io::Result<Option<usize>> {
    if buffer.readonly() || !buffer.is_c_contiguous() || buffer.len_bytes() == 0 {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the buffer is held, so that its memory stays where it is; it is contiguous, writable and not empty; only the
    // kernel writes through the slice, and nothing is read through it.
    let memory =
        unsafe { std::slice::from_raw_parts_mut(buffer.buf_ptr().cast::<MaybeUninit<u8>>(), buffer.len_bytes()) };
    threefold_sys::datagram::receive(descriptor, memory).map(|data| data.map(<[u8]>::len))
}
