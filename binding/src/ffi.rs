//! The binding's only `unsafe`: methods with CPython's fastest calling convention, awaitables likewise, a look at the
//! current frame, the memory of Python's buffers, and OpenSSL where its own module has loaded it.
//!
//! `#[pymethods]` cost 20 to 30 ns a call more than a bare `METH_FASTCALL` function (`docs/design/binding-style.md`),
//! which is as much as a whole uncontended lock operation. So each hot method exists twice: the `#[pymethods]` one is
//! complete, and a [`FastMethod`] in front of it answers the common case or says [`Fast::Slow`].

pub(crate) mod attached;
pub(crate) mod backed;
mod buffers;
pub(crate) mod contexts;
pub(crate) mod datagrams;
pub(crate) mod futures;
pub(crate) mod handles;
pub(crate) mod openssl;
pub(crate) mod tasks;
pub(crate) mod windows;

use std::ffi::{CStr, CString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::types::{PyCode, PyDict, PyType};

pub(crate) use buffers::{
    Exported, bytes_read, bytes_received, install_buffer, is_ours_alone, new_bytearray, new_bytes, place_in, read_into,
    receive_into, refilled_bytearray, slice_of, source_of, take_front, with_content,
};

/// Whether this is the interpreter that the process began with.
pub(crate) fn is_main_interpreter(_py: Python<'_>) -> bool {
    // SAFETY: attached, so there is a current interpreter; the two are only compared.
    unsafe { ffi::PyInterpreterState_Get() == ffi::PyInterpreterState_Main() }
}

/// Whether Python knows this thread: it has started it, or the thread is attached now.
pub(crate) fn is_thread_known() -> bool {
    // SAFETY: it looks up what belongs to this thread, and needs no interpreter for it.
    unsafe { !ffi::PyGILState_GetThisThreadState().is_null() }
}

/// The answer of a fast method.
pub(crate) enum Fast {
    /// `None`.
    Nothing,
    /// `True` or `False`.
    Bool(bool),
    /// A reference that the caller takes over.
    Object(Py<PyAny>),
    /// Not the common case: ask the complete method.
    Slow,
}

/// The receiver and the positional arguments of a fast call.
pub(crate) struct Arguments<'a, 'py> {
    py: Python<'py>,
    receiver: *mut ffi::PyObject,
    positional: &'a [*mut ffi::PyObject],
}

impl<'py> Arguments<'_, 'py> {
    /// The interpreter, outside PyO3's bookkeeping.
    #[inline]
    pub(crate) fn py(&self) -> Python<'py> {
        self.py
    }

    /// A new reference to the object whose method is called.
    #[inline]
    pub(crate) fn receiver<M: FastMethod>(&self) -> Py<M::Class> {
        // SAFETY: attached; the method descriptor has checked the receiver's class before it called `trampoline::<M>`.
        unsafe { Bound::from_borrowed_ptr(self.py, self.receiver).cast_into_unchecked().unbind() }
    }

    /// How many there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.positional.len()
    }

    /// A new reference to one of the arguments.
    #[inline]
    pub(crate) fn at<'a>(&self, py: Python<'a>, index: usize) -> Option<Bound<'a, PyAny>> {
        let argument = *self.positional.get(index)?;
        // SAFETY: `trampoline` is called attached, with valid borrowed references that are alive for the call.
        Some(unsafe { Bound::from_borrowed_ptr(py, argument) })
    }

    /// Whether there is none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.positional.is_empty()
    }

    /// A new reference to the only argument.
    #[inline]
    pub(crate) fn only(&self) -> Option<Py<PyAny>> {
        let [argument] = self.positional else { return None };
        // SAFETY: `trampoline` is called attached, with valid borrowed references that are alive for the call.
        Some(unsafe { Bound::from_borrowed_ptr(self.py, *argument) }.unbind())
    }

    /// Whether the only argument is this very object.
    #[inline]
    pub(crate) fn is_only(&self, singleton: Singleton) -> bool {
        // SAFETY: attached, as above; both are immortal or never freed while the interpreter runs.
        let expected = unsafe {
            match singleton {
                Singleton::True => ffi::Py_True(),
                Singleton::False => ffi::Py_False(),
            }
        };
        matches!(self.positional, [argument] if *argument == expected)
    }
}

/// Objects that are compared by identity.
#[derive(Clone, Copy)]
pub(crate) enum Singleton {
    True,
    False,
}

/// A method that answers the common case without the framework's entry and exit.
///
/// `call` runs attached but outside PyO3's bookkeeping: it must not drop a `Py`, call Python, wait, or panic, except
/// inside `Python::attach`.
pub(crate) trait FastMethod {
    /// The class it belongs to.
    type Class: pyo3::PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync;
    /// Its name in Python.
    const NAME: &'static CStr;

    /// Answers the common case.
    fn call(this: &Self::Class, arguments: &Arguments<'_, '_>) -> Fast;

    /// Where the complete method is kept.
    fn complete() -> &'static OnceLock<Py<PyAny>>;
}

/// Declares a fast method: `fast_method!(AcquireLock, Lock, c"acquire", |lock, arguments| ...)`.
macro_rules! fast_method {
    ($name:ident, $class:ty, $python:literal, |$this:ident, $arguments:ident| $body:expr) => {
        pub(crate) struct $name;

        impl $crate::ffi::FastMethod for $name {
            type Class = $class;
            const NAME: &'static std::ffi::CStr = $python;

            #[inline]
            fn call($this: &$class, $arguments: &$crate::ffi::Arguments<'_, '_>) -> $crate::ffi::Fast {
                $body
            }

            fn complete() -> &'static std::sync::OnceLock<pyo3::Py<pyo3::PyAny>> {
                static COMPLETE: std::sync::OnceLock<pyo3::Py<pyo3::PyAny>> = std::sync::OnceLock::new();
                &COMPLETE
            }
        }
    };
}
pub(crate) use fast_method;

/// Puts the fast method in front of the complete one of the same name, signature and documentation.
pub(crate) fn install<M: FastMethod>(py: Python<'_>) -> PyResult<()> {
    let class = py.get_type::<M::Class>();
    let name = M::NAME.to_string_lossy();
    let complete = class.getattr("__dict__")?.get_item(&*name)?;
    let documentation = documentation_of(&name, &complete)?;
    if M::complete().set(complete.unbind()).is_err() {
        return Ok(());
    }
    let descriptor = new_descriptor::<M>(&class, documentation)?;
    class.setattr(&*name, descriptor)
}

/// Puts the fast method in front of a complete one of another class, which takes the receiver as its first argument.
pub(crate) fn install_before<M: FastMethod>(complete: &Bound<'_, PyAny>) -> PyResult<()> {
    let class = complete.py().get_type::<M::Class>();
    let name = M::NAME.to_string_lossy();
    let documentation = documentation_of(&name, complete).unwrap_or_default();
    if M::complete().set(complete.clone().unbind()).is_err() {
        return Ok(());
    }
    class.setattr(&*name, new_descriptor::<M>(&class, documentation)?)
}

/// The documentation string in the form from which CPython reads the text signature.
fn documentation_of(name: &str, complete: &Bound<'_, PyAny>) -> PyResult<CString> {
    let signature: Option<String> = complete.getattr("__text_signature__")?.extract()?;
    let text: Option<String> = complete.getattr("__doc__")?.extract()?;
    let signature = signature.unwrap_or_else(|| "($self)".to_owned());
    Ok(CString::new(format!("{name}{signature}\n--\n\n{}", text.unwrap_or_default()))?)
}

fn new_descriptor<'py, M: FastMethod>(
    class: &Bound<'py, PyType>,
    documentation: CString,
) -> PyResult<Bound<'py, PyAny>> {
    // A method definition must outlive its type, which lives as long as the process.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: M::NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: trampoline::<M> },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: documentation.into_raw(),
    }));
    // SAFETY: attached (we hold a `Bound`); the type is valid; the definition is leaked and its flags match the
    // function's signature. The result is a new reference or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(class.py(), ffi::PyDescr_NewMethod(class.as_type_ptr(), definition)) }
}

/// What CPython calls. The method descriptor has checked that `this` is an instance of the class.
#[allow(clippy::cast_sign_loss, reason = "CPython counts arguments from 0 on")]
unsafe extern "C" fn trampoline<M: FastMethod>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    argument_count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    if keyword_names.is_null() {
        // SAFETY: CPython calls methods attached, with an instance of the descriptor's class that stays alive during
        // the call, and with `argument_count` valid arguments (the pointer may be null only when there are none).
        let answer = unsafe {
            let py = Python::assume_attached();
            let receiver = this;
            let this = Borrowed::from_ptr(py, receiver);
            let positional =
                if argument_count == 0 { &[] } else { std::slice::from_raw_parts(arguments, argument_count as usize) };
            M::call(this.cast_unchecked::<M::Class>().get(), &Arguments { py, receiver, positional })
        };
        // SAFETY: attached; each branch returns one new reference.
        unsafe {
            match answer {
                Fast::Nothing => return ffi::Py_NewRef(ffi::Py_None()),
                Fast::Bool(true) => return ffi::Py_NewRef(ffi::Py_True()),
                Fast::Bool(false) => return ffi::Py_NewRef(ffi::Py_False()),
                Fast::Object(object) => return object.into_ptr(),
                Fast::Slow => {}
            }
        }
    }
    // SAFETY: the arguments are passed on as they came.
    unsafe { call_complete(M::complete(), this, arguments, argument_count, keyword_names) }
}

#[cold]
#[allow(clippy::cast_sign_loss, reason = "CPython counts arguments from 0 on")]
unsafe fn call_complete(
    complete: &'static OnceLock<Py<PyAny>>,
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    argument_count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(complete) = complete.get() else { return std::ptr::null_mut() };
    // SAFETY: attached; `keyword_names` is null or a tuple; the arguments are `argument_count` positional ones followed
    // by one for each keyword, all alive during the call, which gets them behind `this` in an array of their own.
    unsafe {
        let keyword_count = if keyword_names.is_null() { 0 } else { ffi::PyTuple_GET_SIZE(keyword_names) };
        let positional_count = argument_count as usize;
        let count = positional_count + keyword_count as usize;
        let mut all = Vec::with_capacity(count + 1);
        all.push(this);
        if count > 0 {
            all.extend_from_slice(std::slice::from_raw_parts(arguments, count));
        }
        ffi::PyObject_Vectorcall(complete.as_ptr(), all.as_ptr(), positional_count + 1, keyword_names)
    }
}

/// Whether nobody else has an object, not even weakly; not known, and so false, where threads run without the interpreter's
/// lock.
#[inline]
pub(crate) fn is_nobody_elses<T>(object: &Bound<'_, T>) -> bool {
    // SAFETY: attached, and the object lives; its weak references stand where its class says, if it can have some.
    unsafe {
        let weak = (*ffi::Py_TYPE(object.as_ptr())).tp_weaklistoffset;
        let has_weak = || !(*object.as_ptr().byte_offset(weak).cast::<*mut ffi::PyObject>()).is_null();
        cfg!(not(Py_GIL_DISABLED)) && ffi::Py_REFCNT(object.as_ptr()) == 1 && (weak == 0 || !has_weak())
    }
}

/// The dictionary in which an object keeps its attributes.
///
/// # Errors
/// It has none.
#[inline]
pub(crate) fn dictionary_of<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    // SAFETY: attached, and the object is valid; a new reference, or null with an exception.
    let dictionary = unsafe {
        Bound::from_owned_ptr_or_err(object.py(), ffi::PyObject_GenericGetDict(object.as_ptr(), std::ptr::null_mut()))?
    };
    Ok(dictionary.cast_into()?)
}

/// The answer of a step of an awaitable.
pub(crate) enum Step {
    /// It is over, with this value.
    Value(Py<PyAny>),
    /// It is over, with this error.
    Error(PyErr),
    /// Not yet: the event loop waits for this.
    Yield(Py<PyAny>),
}

/// An awaitable that is often over at its first step.
pub(crate) trait Awaitable: pyo3::PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync {
    /// Tries to finish without waiting. As [`FastMethod::call`], outside PyO3's bookkeeping.
    fn step_fast(&self, py: Python<'_>) -> Option<Step>;

    /// Takes a step.
    fn step(&self, py: Python<'_>) -> Step;

    /// A step was the last one, and had a value. As [`FastMethod::call`], outside PyO3's bookkeeping.
    fn note_end(_this: &Bound<'_, Self>) {}
}

/// Puts a `__next__` in front of PyO3's that takes a step without the framework's entry and exit, and makes `__await__`
/// and `__iter__` return the object itself.
pub(crate) fn install_awaitable<C: Awaitable>(py: Python<'_>) {
    let class = py.get_type::<C>().as_type_ptr();
    // SAFETY: attached; the type is a heap type of our own that has no instance and no subclass yet, so its slots may
    // be set; PyO3 has given it an async suite and a `tp_iternext` since the class has `__await__` and `__next__`.
    unsafe {
        if let Some(suite) = (*class).tp_as_async.as_mut() {
            (*class).tp_iternext = Some(next::<C>);
            (*class).tp_iter = Some(ffi::PyObject_SelfIter);
            suite.am_await = Some(ffi::PyObject_SelfIter);
            suite.am_send = Some(send::<C>);
        }
    }
}

/// What CPython calls for the next step. Null without an exception means the end, with `None`.
unsafe extern "C" fn next<C: Awaitable>(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython calls slots attached, with an instance of the class that stays alive during the call.
    let (py, this) = unsafe {
        let py = Python::assume_attached();
        (py, Borrowed::from_ptr(py, this).cast_unchecked::<C>())
    };
    let step = take_step(py, this.get());
    if matches!(step, Step::Value(_)) {
        C::note_end(&this);
    }
    answer(py, step)
}

/// What CPython calls for the next step where it can take the value without an exception.
unsafe extern "C" fn send<C: Awaitable>(
    this: *mut ffi::PyObject,
    _value: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    // SAFETY: as above; `result` is where a new reference is wanted, or null with an exception set.
    unsafe {
        let py = Python::assume_attached();
        let this = Borrowed::from_ptr(py, this).cast_unchecked::<C>();
        match take_step(py, this.get()) {
            Step::Yield(future) => {
                *result = future.into_ptr();
                ffi::PySendResult::PYGEN_NEXT
            }
            Step::Value(value) => {
                C::note_end(&this);
                *result = value.into_ptr();
                ffi::PySendResult::PYGEN_RETURN
            }
            Step::Error(error) => {
                *result = std::ptr::null_mut();
                error.restore(py);
                ffi::PySendResult::PYGEN_ERROR
            }
        }
    }
}

#[inline]
fn take_step<C: Awaitable>(py: Python<'_>, this: &C) -> Step {
    this.step_fast(py).unwrap_or_else(|| {
        Python::attach(|py| {
            let step = catch_unwind(AssertUnwindSafe(|| this.step(py)));
            step.unwrap_or_else(|_| Step::Error(PanicException::new_err("a wait panicked")))
        })
    })
}

fn answer(py: Python<'_>, step: Step) -> *mut ffi::PyObject {
    match step {
        Step::Yield(future) => return future.into_ptr(),
        // SAFETY: attached; the reference is handed over.
        Step::Value(value) => unsafe { stop_iteration(value.into_ptr()) },
        Step::Error(error) => error.restore(py),
    }
    std::ptr::null_mut()
}

/// Raises the end of an iteration with a value, which is taken over. Without an exception the value is `None`.
unsafe fn stop_iteration(value: *mut ffi::PyObject) {
    // SAFETY: attached, and `value` is a valid reference of ours, released at the end. A tuple or an exception as the
    // value would be taken for the exception's arguments or the exception itself, so those are wrapped first.
    unsafe {
        if ffi::Py_IsNone(value) != 0 {
            ffi::Py_DECREF(value);
            return;
        }
        if ffi::PyTuple_Check(value) != 0 || ffi::PyExceptionInstance_Check(value) != 0 {
            let exception = ffi::PyObject_CallFunctionObjArgs(
                ffi::PyExc_StopIteration,
                value,
                std::ptr::null_mut::<ffi::PyObject>(),
            );
            if !exception.is_null() {
                ffi::PyErr_SetObject(ffi::PyExc_StopIteration, exception);
                ffi::Py_DECREF(exception);
            }
        } else {
            ffi::PyErr_SetObject(ffi::PyExc_StopIteration, value);
        }
        ffi::Py_DECREF(value);
    }
}

/// A Python function that is running: where it is, and who called it.
pub(crate) struct Frame<'py>(Bound<'py, PyAny>);

impl<'py> Frame<'py> {
    /// The innermost Python function that runs on this thread.
    pub(crate) fn current(py: Python<'py>) -> Option<Self> {
        // SAFETY: attached; the result is borrowed, or null when no Python code runs.
        unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyEval_GetFrame().cast()) }.map(Self)
    }

    /// The function that called this one.
    pub(crate) fn caller(&self) -> Option<Self> {
        // SAFETY: attached, and `self` is a frame; the result is a new reference, or null without an exception.
        unsafe { Bound::from_owned_ptr_or_opt(self.0.py(), ffi::PyFrame_GetBack(self.0.as_ptr().cast()).cast()) }
            .map(Self)
    }

    /// Its code.
    pub(crate) fn code(&self) -> Bound<'py, PyCode> {
        // SAFETY: attached, and `self` is a frame; the result is a new reference to a code object, never null.
        unsafe {
            Bound::from_owned_ptr(self.0.py(), ffi::PyFrame_GetCode(self.0.as_ptr().cast()).cast())
                .cast_into_unchecked()
        }
    }

    /// Index of the instruction that is running.
    pub(crate) fn instruction(&self) -> i32 {
        // SAFETY: attached, and `self` is a frame.
        unsafe { ffi::PyFrame_GetLasti(self.0.as_ptr().cast()) }
    }

    /// The line that is running.
    pub(crate) fn line(&self) -> i32 {
        // SAFETY: attached, and `self` is a frame.
        unsafe { ffi::PyFrame_GetLineNumber(self.0.as_ptr().cast()) }
    }
}

/// Makes the main thread raise what [`crate::interrupt::take`] returns, soon; false if it cannot be asked.
pub(crate) fn call_soon_in_main_thread(_py: Python<'_>) -> bool {
    // SAFETY: attached; the function has the right signature, ignores its argument, and lives as long as the process.
    unsafe { ffi::Py_AddPendingCall(Some(raise_kept), std::ptr::null_mut()) == 0 }
}

extern "C" fn raise_kept(_argument: *mut std::ffi::c_void) -> std::ffi::c_int {
    Python::attach(|py| match crate::interrupt::take() {
        Some(error) => {
            error.restore(py);
            -1
        }
        None => 0,
    })
}
