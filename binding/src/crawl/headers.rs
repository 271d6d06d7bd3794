//! `Headers`: an answer's headers, by names in any case, with all values of each.

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// The headers of an answer: a mapping that takes names in any case. What came several times is joined by commas; `get_all`
/// has the values apart.
#[pyclass(frozen, mapping, eq, module = "threefold.crawl", name = "Headers")]
#[derive(PartialEq, Eq)]
pub(crate) struct PyHeaders(Vec<(String, String)>);

impl PyHeaders {
    /// From bytes as servers send them: UTF-8, or else Latin-1.
    pub(crate) fn new<B: AsRef<[u8]>>(headers: &[(String, B)]) -> Self {
        let text = |value: &[u8]| match std::str::from_utf8(value) {
            Ok(text) => text.to_owned(),
            Err(_latin) => value.iter().copied().map(char::from).collect(),
        };
        Self(headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), text(value.as_ref()))).collect())
    }

    fn find(&self, name: &str) -> Option<String> {
        let values = self.values_of(name);
        (!values.is_empty()).then(|| values.join(", "))
    }

    fn values_of(&self, name: &str) -> Vec<&str> {
        let matching = self.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        matching.map(|(_, value)| value.as_str()).collect()
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::with_capacity(self.0.len());
        for (name, _) in &self.0 {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }
}

#[pymethods]
impl PyHeaders {
    fn __getitem__(&self, name: &str) -> PyResult<String> {
        self.find(name).ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        name.extract::<&str>().is_ok_and(|name| !self.values_of(name).is_empty())
    }

    fn __len__(&self) -> usize {
        self.names().len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(PyList::new(py, self.names())?.try_iter()?.into_any())
    }

    /// The value of a header, or the default where it did not come.
    ///
    /// Args:
    ///     name: the header's name, in any case.
    ///     default: what to return where there is none.
    #[pyo3(signature = (name, default=None))]
    fn get(&self, name: &str, default: Option<String>) -> Option<String> {
        self.find(name).or(default)
    }

    /// All values of a header, in the order in which they came.
    ///
    /// Args:
    ///     name: the header's name, in any case.
    fn get_all(&self, name: &str) -> Vec<&str> {
        self.values_of(name)
    }

    /// The names, in lower case, each once.
    fn keys(&self) -> Vec<&str> {
        self.names()
    }

    /// The values, those of one name joined.
    fn values(&self) -> Vec<String> {
        self.names().into_iter().filter_map(|name| self.find(name)).collect()
    }

    /// Names with their values, each name once.
    fn items(&self) -> Vec<(&str, String)> {
        self.names().into_iter().filter_map(|name| Some((name, self.find(name)?))).collect()
    }

    /// Names with their values as they came, in order.
    fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let all = PyDict::new(py);
        for (name, value) in self.items() {
            all.set_item(name, value)?;
        }
        Ok(format!("Headers({})", all.repr()?))
    }
}
