//! Small values of the most usual types as bytes that need no pickle.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// What a message's byte string is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tag {
    /// A pickle.
    Pickle = 0,
    /// The content of a `bytes` object.
    Bytes = 1,
    /// A `str` in UTF-8.
    Text = 2,
    /// An `int` of eight bytes.
    Int = 3,
    /// A `float` of eight bytes.
    Float = 4,
    /// One of `None`, `False` and `True`.
    Constant = 5,
}

impl Tag {
    const ALL: [Self; 6] = [Self::Pickle, Self::Bytes, Self::Text, Self::Int, Self::Float, Self::Constant];

    pub(crate) fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

const WORD_BYTES: usize = 8;
/// Longer strings are not asked for their UTF-8, because they keep it.
const LONGEST_TEXT: usize = 256;
/// Containers with more elements than this in all are left to the general pickler, whose start they do not feel.
const MOST_ELEMENTS: usize = 64;
const MOST_LEVELS: usize = 4;

/// A number or constant as bytes.
#[inline]
pub(super) fn word_of(object: &Bound<'_, PyAny>) -> Option<(Tag, [u8; WORD_BYTES])> {
    if let Ok(number) = object.cast_exact::<PyInt>() {
        return Some((Tag::Int, number.extract::<i64>().ok()?.to_ne_bytes()));
    }
    if let Ok(number) = object.cast_exact::<PyFloat>() {
        return Some((Tag::Float, number.value().to_ne_bytes()));
    }
    let constant: u64 = match object.cast_exact::<PyBool>() {
        Ok(truth) => 1 + u64::from(truth.is_true()),
        Err(_) if object.is_none() => 0,
        Err(_) => return None,
    };
    Some((Tag::Constant, constant.to_ne_bytes()))
}

/// A short string as bytes; `None` for one that UTF-8 has no bytes for.
#[inline]
pub(super) fn text_of<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    let text = object.cast_exact::<PyString>().ok()?;
    if text.len().ok()? > LONGEST_TEXT { None } else { text.to_str().ok() }
}

/// The value that [`word_of`], [`text_of`] or a `bytes` object's content was made from; `None` if it cannot be.
#[inline]
pub(crate) fn value_of<'py>(py: Python<'py>, tag: Tag, bytes: &[u8]) -> Option<Bound<'py, PyAny>> {
    let word = || bytes.try_into().ok();
    match tag {
        Tag::Pickle => None,
        Tag::Bytes => Some(PyBytes::new(py, bytes).into_any()),
        Tag::Text => Some(PyString::new(py, std::str::from_utf8(bytes).ok()?).into_any()),
        Tag::Int => i64::from_ne_bytes(word()?).into_bound_py_any(py).ok(),
        Tag::Float => f64::from_ne_bytes(word()?).into_bound_py_any(py).ok(),
        Tag::Constant => match u64::from_ne_bytes(word()?) {
            0 => Some(py.None().into_bound(py)),
            number @ 1..=2 => (number == 2).into_bound_py_any(py).ok(),
            _ => None,
        },
    }
}

/// Whether every pickler pickles an object in the same way, and without running any Python code: it consists of the
/// builtin types only, which no pickler asks its reducers about.
pub(super) fn is_plain(object: &Bound<'_, PyAny>) -> bool {
    let mut left = MOST_ELEMENTS;
    is_plain_within(object, &mut left, MOST_LEVELS)
}

fn is_plain_within(object: &Bound<'_, PyAny>, left: &mut usize, levels: usize) -> bool {
    if is_atom(object) {
        return true;
    }
    let Some(levels) = levels.checked_sub(1) else { return false };
    let mut is_item_plain = |item: &Bound<'_, PyAny>| match left.checked_sub(1) {
        Some(fewer) => {
            *left = fewer;
            is_plain_within(item, left, levels)
        }
        None => false,
    };
    if let Ok(items) = object.cast_exact::<PyTuple>() {
        items.iter_borrowed().all(|item| is_item_plain(&item))
    } else if let Ok(items) = object.cast_exact::<PyList>() {
        items.iter().all(|item| is_item_plain(&item))
    } else if let Ok(items) = object.cast_exact::<PyDict>() {
        // A list of its own: another thread of a free-threaded Python may change the dictionary meanwhile.
        items.len() <= MOST_ELEMENTS && items.items().iter().all(|item| is_item_plain(&item))
    } else {
        false
    }
}

fn is_atom(object: &Bound<'_, PyAny>) -> bool {
    object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyString>()
        || object.is_none()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyBytes>()
}
