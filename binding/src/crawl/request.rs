//! `Request`: an address that a program wants visited.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMapping, PyString};
use threefold_crawl::RequestParts;

use super::page::loads;
use crate::kept::Kept;

/// An address to visit, with what its request has besides.
///
/// Args:
///     url: the address; a relative one is resolved against the page that `parse` was given.
///     method: the method.
///     headers: headers of this request alone, by name.
///     body: the body; a string is sent as UTF-8.
///     data: anything that JSON can take: `Page.data` of the answer is a copy of it.
///
/// Raises:
///     TypeError: an argument is of another type.
///     ValueError: the data can't be written as JSON, or the method is none.
#[pyclass(frozen, module = "threefold.crawl", name = "Request")]
pub(crate) struct PyRequest {
    /// UTF-8 can encode it.
    url: Py<PyString>,
    /// None for a plain GET.
    parts: Option<Box<RequestParts>>,
}

/// A request as the engine reads it, without the interpreter.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) url: &'a str,
    pub(super) parts: Option<&'a RequestParts>,
}

impl PyRequest {
    pub(super) fn asked<'a>(&'a self, py: Python<'a>) -> Asked<'a> {
        Asked { url: self.text(py), parts: self.parts.as_deref() }
    }

    fn text<'a>(&'a self, py: Python<'a>) -> &'a str {
        self.url.bind(py).to_str().unwrap_or_default()
    }
}

/// The string itself, or a plain copy of what is a string and more.
fn plain(url: &Bound<'_, PyAny>) -> Option<Py<PyString>> {
    let url = url.cast::<PyString>().ok()?;
    let text = url.to_str().ok()?;
    Some(if url.is_exact_instance_of::<PyString>() { url.clone() } else { PyString::new(url.py(), text) }.unbind())
}

fn headers(given: Option<&Bound<'_, PyMapping>>) -> PyResult<Vec<(String, String)>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    given.items()?.iter().map(|pair| pair.extract()).collect()
}

fn bytes(given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<u8>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    if let Ok(text) = given.cast::<PyString>() {
        return Ok(text.extract::<String>()?.into_bytes());
    }
    match given.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes().to_vec()),
        Err(_other) => Err(PyTypeError::new_err(format!(
            "body must be bytes or a string, not '{}'",
            given.get_type().fully_qualified_name()?
        ))),
    }
}

/// The data as JSON; empty for none.
fn dumped(data: Option<&Bound<'_, PyAny>>) -> PyResult<String> {
    static DUMPS: Kept<PyAny> = Kept::new();
    let Some(data) = data else { return Ok(String::new()) };
    let py = data.py();
    let dumps = DUMPS.get_or_find(py, || py.import("json")?.getattr("dumps"))?;
    dumps.call1((data,))?.extract()
}

#[pymethods]
impl PyRequest {
    #[new]
    #[pyo3(signature = (url, method=None, headers=None, body=None, data=None))]
    fn new(
        url: &Bound<'_, PyAny>,
        method: Option<&str>,
        headers: Option<&Bound<'_, PyMapping>>,
        body: Option<&Bound<'_, PyAny>>,
        data: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let Some(url) = plain(url) else {
            let class = url.get_type().fully_qualified_name()?;
            return Err(PyTypeError::new_err(format!("url must be a string that UTF-8 can encode, not '{class}'")));
        };
        if method.is_none() && headers.is_none() && body.is_none() && data.is_none() {
            return Ok(Self { url, parts: None });
        }
        let method = method.map(str::to_ascii_uppercase).filter(|method| method != "GET").unwrap_or_default();
        if !method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-') {
            return Err(PyValueError::new_err(format!("{method:?} is no method of HTTP")));
        }
        let parts = RequestParts { method, headers: self::headers(headers)?, body: bytes(body)?, data: dumped(data)? };
        Ok(Self { url, parts: (parts != RequestParts::default()).then(|| Box::new(parts)) })
    }

    /// The address.
    #[getter]
    fn url<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        self.url.bind(py)
    }

    /// The method.
    #[getter]
    fn method(&self) -> &str {
        self.parts.as_ref().map(|parts| parts.method.as_str()).filter(|method| !method.is_empty()).unwrap_or("GET")
    }

    /// Headers of this request alone.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let headers = PyDict::new(py);
        for (name, value) in self.parts.iter().flat_map(|parts| &parts.headers) {
            headers.set_item(name, value)?;
        }
        Ok(headers)
    }

    /// The body.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.parts.as_ref().map(|parts| parts.body.as_slice()).unwrap_or_default())
    }

    /// What the page will carry back.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let data = self.parts.as_ref().map(|parts| parts.data.as_str()).filter(|data| !data.is_empty());
        data.map(|data| loads(py)?.call1((data,))).transpose()
    }

    #[allow(clippy::type_complexity, reason = "the arguments of the constructor")]
    fn __reduce__<'py>(
        this: &Bound<'py, Self>,
    ) -> PyResult<(
        Bound<'py, pyo3::types::PyType>,
        (Bound<'py, PyString>, String, Bound<'py, PyDict>, Bound<'py, PyBytes>, Option<Bound<'py, PyAny>>),
    )> {
        let (py, request) = (this.py(), this.get());
        let arguments = (
            request.url.bind(py).clone(),
            request.method().to_owned(),
            request.headers(py)?,
            request.body(py),
            request.data(py)?,
        );
        Ok((this.get_type(), arguments))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<Request {} {}>", self.method(), self.text(py))
    }
}
