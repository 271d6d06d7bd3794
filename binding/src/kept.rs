//! Python objects that are looked up once and kept, without letting another thread run on the way.
//!
//! PyO3's own cells (`PyOnceLock::get_or_init`, `pyo3::intern!`) detach from the interpreter before the first look-up.
//! Another thread may then run, and fork: its child would wait for ever for a look-up that no thread of it finishes.

use std::sync::OnceLock;

use pyo3::prelude::*;

/// A Python object, once it was found.
pub(crate) struct Kept<T>(OnceLock<Py<T>>);

impl<T> Kept<T> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The object; `find` runs if it is not known yet, in several threads if they come together.
    pub(crate) fn get_or_find<'py, E>(
        &self,
        py: Python<'py>,
        find: impl FnOnce() -> Result<Bound<'py, T>, E>,
    ) -> Result<&Bound<'py, T>, E> {
        let object = if let Some(object) = self.0.get() {
            object
        } else {
            let found = find()?.unbind();
            // Nothing runs inside the cell, so nobody can fork while it is half full.
            self.0.get_or_init(|| found)
        };
        Ok(object.bind(py))
    }
}

/// A `str` that is made and interned once.
macro_rules! intern {
    ($py:expr, $text:literal) => {{
        static TEXT: $crate::kept::Kept<pyo3::types::PyString> = $crate::kept::Kept::new();
        let Ok::<_, std::convert::Infallible>(text) =
            TEXT.get_or_find($py, || Ok(pyo3::types::PyString::intern($py, $text)));
        text
    }};
}
pub(crate) use intern;
