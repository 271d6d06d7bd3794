//! Native methods of classes that are made in Python: what they work on stands in a slot of each instance.
//!
//! So a class can have a base with slots of its own, such as `asyncio.Transport`, with which no native class combines, and
//! its hot methods still begin in native code.

use std::ffi::{CStr, CString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::handles::{offset, slot};

/// A native class whose instances stand in a slot of instances of a class made in Python.
pub(crate) trait Backing: pyo3::PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync {
    /// The slot's name.
    const SLOT: &'static str;

    /// The classes made in Python.
    fn places() -> &'static Places;
}

/// The most classes that one native class stands behind.
const CLASS_COUNT: usize = 3;

/// The classes whose instances have the slot, each with where it is, in bytes from an instance's begin.
pub(crate) struct Places([OnceLock<(Py<PyType>, usize)>; CLASS_COUNT]);

impl Places {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self([const { OnceLock::new() }; CLASS_COUNT])
    }

    #[inline]
    fn known(&self) -> impl Iterator<Item = &(Py<PyType>, usize)> {
        self.0.iter().map_while(OnceLock::get)
    }

    /// Where instances of just this class have the slot.
    #[inline]
    fn of_class(&self, class: *mut ffi::PyTypeObject) -> Option<usize> {
        self.known().find(|(known, _place)| std::ptr::eq(known.as_ptr(), class.cast())).map(|(_class, place)| *place)
    }

    /// Where an instance of a class or of one derived from it has the slot.
    #[inline]
    fn of_instance(&self, instance: &Bound<'_, PyAny>) -> Option<usize> {
        self.of_class(instance.get_type_ptr()).or_else(|| self.inherited(instance))
    }

    #[cold]
    fn inherited(&self, instance: &Bound<'_, PyAny>) -> Option<usize> {
        let is_base = |class: &Py<PyType>| instance.is_instance(class.bind(instance.py())).unwrap_or_default();
        self.known().find(|(class, _place)| is_base(class)).map(|(_class, place)| *place)
    }
}

/// A method of a class made in Python that works on the native object behind an instance.
pub(crate) trait BackedMethod {
    /// What stands behind.
    type Backing: Backing;
    /// Its name in Python.
    const NAME: &'static CStr;
    /// The name of its parameter, if it has one.
    const PARAMETER: Option<&'static str>;
    /// What it does, for `help`.
    const DOCUMENTATION: &'static str;

    /// Does it. Without a parameter, `argument` is the instance.
    fn call<'py>(
        backing: &Bound<'py, Self::Backing>,
        instance: &Bound<'py, PyAny>,
        argument: &Bound<'py, PyAny>,
    ) -> PyResult<Py<PyAny>>;
}

/// Declares a method: `backed_method!(Write, StreamCore, c"write", Some("data"), "Write.", write)`.
macro_rules! backed_method {
    ($name:ident, $backing:ty, $python:literal, $parameter:expr, $documentation:literal, $function:path) => {
        struct $name;

        impl $crate::ffi::backed::BackedMethod for $name {
            type Backing = $backing;
            const NAME: &'static std::ffi::CStr = $python;
            const PARAMETER: Option<&'static str> = $parameter;
            const DOCUMENTATION: &'static str = $documentation;

            #[inline]
            fn call<'py>(
                backing: &pyo3::Bound<'py, $backing>,
                instance: &pyo3::Bound<'py, pyo3::PyAny>,
                argument: &pyo3::Bound<'py, pyo3::PyAny>,
            ) -> pyo3::PyResult<pyo3::Py<pyo3::PyAny>> {
                $function(backing, instance, argument)
            }
        }
    };
}
pub(crate) use backed_method;

/// Remembers where instances of the class keep what stands behind them.
///
/// # Errors
/// The class has no such slot, or there are too many classes.
pub(crate) fn install_backing<B: Backing>(class: &Bound<'_, PyType>) -> PyResult<()> {
    let place = offset(class, B::SLOT)?;
    for one in &B::places().0 {
        if one.get_or_init(|| (class.clone().unbind(), place)).0.is(class) {
            return Ok(());
        }
    }
    Err(PyTypeError::new_err(format!("{class} is one class too many")))
}

/// Adds a method to the class, or puts it in the place of an inherited one.
///
/// # Errors
/// Python's own.
pub(crate) fn install_method<M: BackedMethod>(class: &Bound<'_, PyType>) -> PyResult<()> {
    let parameter = M::PARAMETER.map(|parameter| format!(", {parameter}")).unwrap_or_default();
    add_method(class, M::NAME, &parameter, M::DOCUMENTATION, enter::<M>)
}

type Entry = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

fn add_method(
    class: &Bound<'_, PyType>,
    name: &'static CStr,
    parameter: &str,
    documentation: &str,
    entry: Entry,
) -> PyResult<()> {
    let text = name.to_string_lossy();
    let documentation = CString::new(format!("{text}($self{parameter})\n--\n\n{documentation}"))?;
    // A method definition must outlive its type, which lives as long as the process.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: entry },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: documentation.into_raw(),
    }));
    // SAFETY: attached (we hold a `Bound`); the type is valid; the definition is leaked and its flags match the function's
    // signature. The result is a new reference or null with an exception set.
    let descriptor =
        unsafe { Bound::from_owned_ptr_or_err(class.py(), ffi::PyDescr_NewMethod(class.as_type_ptr(), definition))? };
    class.setattr(&*text, descriptor)
}

/// What CPython calls. The method's descriptor has checked that `this` is an instance of the class.
unsafe extern "C" fn enter<M: BackedMethod>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as CPython calls it.
    unsafe {
        answer(this, arguments, count, keyword_names, |instance, given, keywords| {
            if let Some(keywords) = keywords {
                check_keywords(&keywords, M::NAME, M::PARAMETER)?;
            }
            let argument = match given.at_most_one(M::NAME, M::PARAMETER)? {
                Some(argument) => argument,
                None if M::PARAMETER.is_none() => instance,
                None => {
                    let name = M::NAME.to_string_lossy();
                    return Err(PyTypeError::new_err(format!("{name}() missing 1 required positional argument")));
                }
            };
            M::call(&behind::<M::Backing>(instance)?, instance, argument)
        })
    }
}

/// Calls `work` with the instance, its arguments and the names of those that have one.
///
/// # Safety
/// As CPython calls a `METH_FASTCALL | METH_KEYWORDS` method.
#[inline]
#[allow(clippy::cast_sign_loss, reason = "CPython counts arguments from 0 on")]
unsafe fn answer(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
    work: impl for<'py> FnOnce(&Bound<'py, PyAny>, &Given<'py>, Option<Bound<'py, PyAny>>) -> PyResult<Py<PyAny>>,
) -> *mut ffi::PyObject {
    let step = |py: Python<'_>| {
        // SAFETY: CPython calls methods attached, with valid references that live during the call: `count` positional
        // ones, followed by one for each name in the tuple of keywords, which may be null.
        let (instance, given, keywords) = unsafe {
            let keywords = Bound::from_borrowed_ptr_or_opt(py, keyword_names);
            let all = count + if keyword_names.is_null() { 0 } else { ffi::PyTuple_GET_SIZE(keyword_names) };
            let only = if all == 1 { Bound::from_borrowed_ptr_or_opt(py, *arguments) } else { None };
            (Bound::from_borrowed_ptr(py, this), Given { all: all as usize, only }, keywords)
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&instance, &given, keywords)));
        match outcome.unwrap_or_else(|_panicked| Err(PanicException::new_err("a method panicked"))) {
            Ok(result) => result.into_ptr(),
            Err(error) => {
                error.restore(py);
                std::ptr::null_mut()
            }
        }
    };
    // SAFETY: CPython calls methods attached. `attach` would refuse while the interpreter ends, when objects' ends still
    // close transports.
    unsafe { Python::attach_unchecked(step) }
}

/// A method of a class made in Python with one parameter that may be left out, or with none.
pub(crate) trait OptionalMethod {
    /// Its name in Python.
    const NAME: &'static CStr;
    /// Its parameter's name, and its default in words.
    const PARAMETER: Option<(&'static str, &'static str)>;
    /// What it does, for `help`.
    const DOCUMENTATION: &'static str;

    /// Does it.
    fn call<'py>(instance: &Bound<'py, PyAny>, argument: Option<&Bound<'py, PyAny>>) -> PyResult<Py<PyAny>>;
}

/// Declares such a method: `optional_method!(Read, c"read", Some(("n", "-1")), "Read.", read)`.
macro_rules! optional_method {
    ($name:ident, $python:literal, $parameter:expr, $documentation:literal, $function:path) => {
        struct $name;

        impl $crate::ffi::backed::OptionalMethod for $name {
            const NAME: &'static std::ffi::CStr = $python;
            const PARAMETER: Option<(&'static str, &'static str)> = $parameter;
            const DOCUMENTATION: &'static str = $documentation;

            #[inline]
            fn call<'py>(
                instance: &pyo3::Bound<'py, pyo3::PyAny>,
                argument: Option<&pyo3::Bound<'py, pyo3::PyAny>>,
            ) -> pyo3::PyResult<pyo3::Py<pyo3::PyAny>> {
                $function(instance, argument)
            }
        }
    };
}
pub(crate) use optional_method;

/// Adds such a method to the class, in the place of an inherited one.
///
/// # Errors
/// Python's own.
pub(crate) fn install_optional<M: OptionalMethod>(class: &Bound<'_, PyType>) -> PyResult<()> {
    let parameter = match M::PARAMETER {
        Some((name, "")) => format!(", {name}"),
        Some((name, default)) => format!(", {name}={default}"),
        None => String::new(),
    };
    add_method(class, M::NAME, &parameter, M::DOCUMENTATION, enter_optional::<M>)
}

/// What CPython calls. The method's descriptor has checked that `this` is an instance of the class.
unsafe extern "C" fn enter_optional<M: OptionalMethod>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as CPython calls it.
    unsafe {
        answer(this, arguments, count, keyword_names, |instance, given, keywords| {
            let parameter = M::PARAMETER.map(|(name, _default)| name);
            if let Some(keywords) = keywords {
                check_keywords(&keywords, M::NAME, parameter)?;
            }
            let argument = given.at_most_one(M::NAME, parameter)?;
            M::call(instance, argument)
        })
    }
}

/// How many arguments were given, and the only one.
struct Given<'py> {
    all: usize,
    only: Option<Bound<'py, PyAny>>,
}

impl<'py> Given<'py> {
    #[inline]
    fn at_most_one(&self, method: &CStr, parameter: Option<&str>) -> PyResult<Option<&Bound<'py, PyAny>>> {
        match (&self.only, parameter) {
            (Some(argument), Some(_)) => Ok(Some(argument)),
            (None, _) if self.all == 0 => Ok(None),
            _ => {
                let (name, most, given) = (method.to_string_lossy(), usize::from(parameter.is_some()), self.all);
                Err(PyTypeError::new_err(format!("{name}() takes {most} positional arguments but {given} were given")))
            }
        }
    }
}

/// A parameter may be named.
#[cold]
fn check_keywords(names: &Bound<'_, PyAny>, method: &CStr, parameter: Option<&str>) -> PyResult<()> {
    for name in names.try_iter()? {
        let name: String = name?.extract()?;
        if Some(name.as_str()) != parameter {
            let method = method.to_string_lossy();
            return Err(PyTypeError::new_err(format!("{method}() got an unexpected keyword argument '{name}'")));
        }
    }
    Ok(())
}

/// What stands behind any object, if it is an instance of the class with the slot.
#[inline]
pub(crate) fn find_backing<'py, B: Backing>(object: &Bound<'py, PyAny>) -> Option<Bound<'py, B>> {
    let place = B::places().of_class(object.get_type_ptr())?;
    in_slot(object, place).ok()
}

/// What stands behind an instance.
#[inline]
fn behind<'py, B: Backing>(instance: &Bound<'py, PyAny>) -> PyResult<Bound<'py, B>> {
    match B::places().of_instance(instance) {
        Some(place) => in_slot(instance, place),
        None => Err(PyTypeError::new_err(format!("{} has no such slot", instance.get_type()))),
    }
}

/// What stands in a slot, which an instance must have there.
#[inline]
fn in_slot<'py, B: Backing>(instance: &Bound<'py, PyAny>, place: usize) -> PyResult<Bound<'py, B>> {
    // SAFETY: attached; both callers have the place from the instance's class or a base of it, and a slot holds a valid
    // reference or null.
    let object = unsafe { Bound::from_borrowed_ptr_or_opt(instance.py(), *slot(instance.as_ptr(), place)) };
    match object {
        Some(object) => Ok(object.cast_into()?),
        None => Err(PyRuntimeError::new_err(format!("{} was not initialised", instance.get_type()))),
    }
}
