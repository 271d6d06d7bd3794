//! A parsed page: CSS selectors, and the elements they find.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use scraper::{ElementRef, Html, Selector};

/// Where an element is in its document: how many elements come before it.
type Node = ego_tree::NodeId;

/// A page's tree. Only Rust runs under its lock, and without the interpreter.
pub(crate) struct Document(Mutex<Html>);

impl Document {
    pub(crate) fn parse(text: &str) -> Self {
        Self(Mutex::new(Html::parse_document(text)))
    }

    fn with<T: Send>(&self, py: Python<'_>, node: Node, read: impl Send + Fn(ElementRef<'_>) -> T) -> Option<T> {
        py.detach(|| {
            let html = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let element = html.tree.get(node).and_then(ElementRef::wrap);
            element.map(read)
        })
    }
}

/// The elements that a selector matches, in the whole document or below one element.
///
/// # Errors
/// `ValueError`: it is no selector.
pub(crate) fn select(
    py: Python<'_>,
    document: &Arc<Document>,
    below: Option<Node>,
    selector: &str,
) -> PyResult<Vec<PyElement>> {
    let parsed = Selector::parse(selector).map_err(|_| {
        let hint = if selector.contains("::") { ": what ::text is in fields, an element has as `text`" } else { "" };
        PyValueError::new_err(format!("{selector:?} is no CSS selector{hint}"))
    })?;
    let nodes: Vec<Node> = py.detach(|| {
        let html = document.0.lock().unwrap_or_else(PoisonError::into_inner);
        match below {
            None => html.select(&parsed).map(|element| element.id()).collect(),
            Some(node) => {
                let element = html.tree.get(node).and_then(ElementRef::wrap);
                element.map(|element| element.select(&parsed).map(|found| found.id()).collect()).unwrap_or_default()
            }
        }
    });
    Ok(nodes.into_iter().map(|node| PyElement { document: Arc::clone(document), node }).collect())
}

/// An element of a page.
#[pyclass(frozen, module = "threefold.crawl", name = "Element")]
pub(crate) struct PyElement {
    document: Arc<Document>,
    node: Node,
}

#[pymethods]
impl PyElement {
    /// The element's name, in lower case: "a".
    #[getter]
    fn name(&self, py: Python<'_>) -> String {
        self.document.with(py, self.node, |element| element.value().name().to_owned()).unwrap_or_default()
    }

    /// The text in it and below it, as it stands in the page.
    #[getter]
    fn text(&self, py: Python<'_>) -> String {
        self.document.with(py, self.node, |element| element.text().collect::<String>()).unwrap_or_default()
    }

    /// The element with all that is in it, as HTML.
    #[getter]
    fn html(&self, py: Python<'_>) -> String {
        self.document.with(py, self.node, |element| element.html()).unwrap_or_default()
    }

    /// The element's attributes, by name.
    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let pairs: Vec<(String, String)> = self
            .document
            .with(py, self.node, |element| {
                element.value().attrs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
            })
            .unwrap_or_default();
        let attributes = PyDict::new(py);
        for (name, value) in pairs {
            attributes.set_item(name, value)?;
        }
        Ok(attributes)
    }

    /// The value of an attribute, or the default where it has none.
    ///
    /// Args:
    ///     name: the attribute's name, in lower case.
    ///     default: what to return where there is none.
    #[pyo3(signature = (name, default=None))]
    fn get(&self, py: Python<'_>, name: &str, default: Option<String>) -> Option<String> {
        let found = self.document.with(py, self.node, |element| element.attr(name).map(str::to_owned));
        found.flatten().or(default)
    }

    /// The elements below it that a CSS selector matches, in document order.
    ///
    /// Args:
    ///     selector: a CSS selector.
    ///
    /// Raises:
    ///     ValueError: it is no selector.
    fn css(&self, py: Python<'_>, selector: &str) -> PyResult<Vec<PyElement>> {
        select(py, &self.document, Some(self.node), selector)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<Element {}>", self.name(py))
    }
}
