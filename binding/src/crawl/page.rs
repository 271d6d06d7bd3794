//! `Page`: a fetched page as a program sees it; nothing is converted before it is asked for.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use threefold_crawl::{EntryId, Page, PageError};

use super::document::{Document, PyElement, select};
use super::headers::PyHeaders;
use crate::kept::{Kept, intern};

/// From this size on a body is decoded without the interpreter.
const LARGE: usize = 1 << 14;

/// A page that was fetched, or could not be.
#[pyclass(frozen, weakref, module = "threefold.crawl", name = "Page")]
pub(crate) struct PyPage {
    pub(crate) page: Page,
    body: OnceLock<Py<PyBytes>>,
    text: OnceLock<Py<PyString>>,
    document: OnceLock<Arc<Document>>,
}

impl PyPage {
    pub(crate) fn new(page: Page) -> Self {
        Self { page, body: OnceLock::new(), text: OnceLock::new(), document: OnceLock::new() }
    }

    /// The body as a string, however long that takes.
    fn decode(&self) -> String {
        threefold_crawl::extract::decode(&self.page.body, self.page.charset, self.content_type().as_deref())
    }

    fn content_type(&self) -> Option<String> {
        let (_, value) = self.page.headers.iter().find(|(name, _)| name == "content-type")?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    fn document(&self, py: Python<'_>) -> Arc<Document> {
        if let Some(document) = self.document.get() {
            return Arc::clone(document);
        }
        let parsed = py.detach(|| Arc::new(Document::parse(&self.decode())));
        Arc::clone(self.document.get_or_init(|| parsed))
    }
}

#[pymethods]
impl PyPage {
    /// The address that was asked for.
    #[getter]
    fn url(&self) -> &str {
        &self.page.url
    }

    /// The address that answered, after redirects.
    #[getter]
    fn final_url(&self) -> &str {
        &self.page.final_url
    }

    /// The status; 0 where there was no answer.
    #[getter]
    fn status(&self) -> u16 {
        self.page.status
    }

    /// Whether there was an answer, and one that is no error: a status below 400.
    #[getter]
    fn ok(&self) -> bool {
        self.page.error.is_none() && (1..400).contains(&self.page.status)
    }

    /// The answer's headers.
    #[getter]
    fn headers(&self) -> PyHeaders {
        PyHeaders::new(&self.page.headers)
    }

    /// The body, decompressed.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> &Bound<'py, PyBytes> {
        if let Some(body) = self.body.get() {
            return body.bind(py);
        }
        let made = PyBytes::new(py, &self.page.body).unbind();
        self.body.get_or_init(|| made).bind(py)
    }

    /// The body as text, decoded as browsers do.
    #[getter]
    fn text<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        if let Some(text) = self.text.get() {
            return text.bind(py);
        }
        let decoded = if self.page.body.len() < LARGE { self.decode() } else { py.detach(|| self.decode()) };
        let made = PyString::new(py, &decoded).unbind();
        self.text.get_or_init(|| made).bind(py)
    }

    /// The name of the text's encoding in the WHATWG standard; None for what is no text.
    #[getter]
    fn encoding(&self) -> Option<&'static str> {
        self.page.charset
    }

    /// The links that were found, absolute and without fragment, each once, in order.
    #[getter]
    fn links<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.page.links)
    }

    /// The text of the title; None where there is none.
    #[getter]
    fn title(&self) -> Option<&str> {
        self.page.title.as_deref()
    }

    /// The values of the crawl's declared fields, by name; None where it has none.
    #[getter]
    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.page.fields.as_deref().map(|fields| loads(py)?.call1((fields,))).transpose()
    }

    /// How many links it is away from a seed.
    #[getter]
    fn depth(&self) -> u32 {
        self.page.depth
    }

    /// The address of the page that it was found on; None for a seed.
    #[getter]
    fn parent(&self) -> Option<&str> {
        self.page.parent.as_deref()
    }

    /// Seconds from the start of the request to the end of the body.
    #[getter]
    fn elapsed(&self) -> f64 {
        self.page.elapsed.as_secs_f64()
    }

    /// Why there is no answer, in words; None where there is one.
    #[getter]
    fn error(&self) -> Option<&str> {
        self.page.error.as_ref().map(|error| error.message.as_str())
    }

    /// The kind of the error: "dns", "connect", "tls", "timeout", "too_slow", "too_large", "decompression", "protocol",
    /// "closed" or "status"; None where there is no error.
    #[getter]
    fn error_kind(&self) -> Option<&'static str> {
        self.page.error.as_ref().map(|error| error.kind)
    }

    /// What the `Request` that it answers carried for the program; None where there is none.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let data = self.page.request.as_ref().map(|request| request.data.as_str()).filter(|data| !data.is_empty());
        data.map(|data| loads(py)?.call1((data,))).transpose()
    }

    /// The elements that a CSS selector matches, in document order.
    ///
    /// Args:
    ///     selector: a CSS selector, such as "table.prices td".
    ///
    /// Raises:
    ///     ValueError: it is no selector.
    fn css(&self, py: Python<'_>, selector: &str) -> PyResult<Vec<PyElement>> {
        let document = self.document(py);
        select(py, &document, None, selector)
    }

    /// What an XPath expression finds, by lxml.
    ///
    /// Args:
    ///     expression: an XPath 1.0 expression, such as "//td/text()".
    ///     **variables: what `$name` in it stands for.
    ///
    /// Raises:
    ///     ImportError: lxml is not installed.
    #[pyo3(signature = (expression, /, **variables))]
    fn xpath<'py>(
        this: &Bound<'py, Self>,
        expression: &str,
        variables: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        static XPATH: Kept<PyAny> = Kept::new();
        let py = this.py();
        let xpath = XPATH.get_or_find(py, || py.import("threefold.crawl._xpath")?.getattr("xpath"))?;
        xpath.call((this, expression, variables), None)
    }

    /// The body as JSON.
    ///
    /// Raises:
    ///     ValueError: it is none.
    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        loads(py)?.call1((self.text(py),))
    }

    /// An address as this page means it: relative ones are resolved against its own.
    ///
    /// Args:
    ///     url: an absolute or relative address.
    ///
    /// Raises:
    ///     ValueError: it is no address.
    fn join(&self, url: &str) -> PyResult<String> {
        super::answers::join(&self.page, url).map_err(PyValueError::new_err)
    }

    fn __repr__(&self) -> String {
        match &self.page.error {
            Some(error) => format!("<Page {} ({})>", self.page.url, error.kind),
            None => format!("<Page {} {}>", self.page.status, self.page.url),
        }
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        static RESTORE: Kept<PyAny> = Kept::new();
        let restore = RESTORE.get_or_find(py, || py.import("threefold._threefold")?.getattr("_page_from"))?;
        Ok((restore.clone(), (self.to_dict(py)?,)))
    }
}

impl PyPage {
    /// All of it, for another process.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let page = &self.page;
        let dict = PyDict::new(py);
        dict.set_item(intern!(py, "entry"), page.entry.0)?;
        dict.set_item(intern!(py, "url"), &*page.url)?;
        dict.set_item(intern!(py, "final_url"), &*page.final_url)?;
        dict.set_item(intern!(py, "status"), page.status)?;
        let headers = page.headers.iter().map(|(name, value)| (name.as_str(), PyBytes::new(py, value)));
        dict.set_item(intern!(py, "headers"), headers.collect::<Vec<_>>())?;
        dict.set_item(intern!(py, "body"), self.body(py))?;
        dict.set_item(intern!(py, "links"), &page.links)?;
        dict.set_item(intern!(py, "title"), &page.title)?;
        dict.set_item(intern!(py, "charset"), page.charset)?;
        dict.set_item(intern!(py, "fields"), &page.fields)?;
        dict.set_item(intern!(py, "depth"), page.depth)?;
        dict.set_item(intern!(py, "parent"), page.parent.as_deref())?;
        dict.set_item(intern!(py, "elapsed"), page.elapsed.as_secs_f64())?;
        dict.set_item(intern!(py, "data"), page.request.as_ref().map(|request| request.data.as_str()))?;
        dict.set_item(intern!(py, "error"), page.error.as_ref().map(|error| (error.kind, error.message.as_str())))?;
        Ok(dict)
    }
}

/// A page that another process has sent.
#[pyfunction]
#[pyo3(name = "_page_from")]
fn page_from(state: &Bound<'_, PyDict>) -> PyResult<PyPage> {
    let field = |name: &str| state.get_item(name)?.ok_or_else(|| PyKeyError::new_err(name.to_owned()));
    let headers: Vec<(String, Bound<'_, PyBytes>)> = field("headers")?.extract()?;
    let url: String = field("url")?.extract()?;
    let final_url: String = field("final_url")?.extract()?;
    let parent: Option<String> = field("parent")?.extract()?;
    let charset: Option<String> = field("charset")?.extract()?;
    let body = field("body")?.cast_into::<PyBytes>()?;
    let data: Option<String> = field("data")?.extract()?;
    let error: Option<(String, String)> = field("error")?.extract()?;
    let page = Page {
        entry: EntryId(field("entry")?.extract()?),
        url: url.into(),
        final_url: final_url.into(),
        status: field("status")?.extract()?,
        headers: headers.into_iter().map(|(name, value)| (name, value.as_bytes().to_vec().into())).collect(),
        body: body.as_bytes().to_vec().into(),
        links: field("links")?.extract()?,
        title: field("title")?.extract()?,
        charset: charset
            .and_then(|label| encoding_rs::Encoding::for_label(label.as_bytes()))
            .map(encoding_rs::Encoding::name),
        fields: field("fields")?.extract()?,
        depth: field("depth")?.extract()?,
        parent: parent.map(Into::into),
        elapsed: Duration::try_from_secs_f64(field("elapsed")?.extract()?).unwrap_or_default(),
        wire_bytes: 0,
        request: data.map(|data| Box::new(threefold_crawl::RequestParts { data, ..Default::default() })),
        error: error.map(|(kind, message)| PageError { kind: known_kind(&kind), message }),
    };
    let page = PyPage::new(page);
    // The bytes are there as an object already.
    let _first = page.body.set(body.unbind());
    Ok(page)
}

/// The kinds of errors are a closed list; one that another version knows is a broken protocol for this one.
fn known_kind(kind: &str) -> &'static str {
    const KINDS: [&str; 10] =
        ["dns", "connect", "tls", "timeout", "too_slow", "too_large", "decompression", "protocol", "closed", "status"];
    KINDS.into_iter().find(|known| *known == kind).unwrap_or("protocol")
}

/// `json.loads`.
pub(super) fn loads(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOADS: Kept<PyAny> = Kept::new();
    LOADS.get_or_find(py, || py.import("json")?.getattr("loads"))
}

/// Pages as a list, in one go.
pub(crate) fn list(py: Python<'_>, pages: Vec<Page>) -> PyResult<Bound<'_, PyList>> {
    let pages: Vec<_> = pages.into_iter().map(|page| Py::new(py, PyPage::new(page))).collect::<PyResult<_>>()?;
    PyList::new(py, pages)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyPage>()?;
    module.add_class::<PyElement>()?;
    module.add_class::<PyHeaders>()?;
    module.add_class::<super::request::PyRequest>()?;
    module.add_function(wrap_pyfunction!(page_from, module)?)
}
