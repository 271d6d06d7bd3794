//! A page as a row of the output, where no fields are declared.

use serde::Serialize;

use crate::entry::Item;
use crate::page::Page;

/// The keys of a row, in their order.
pub(super) const PAGE_COLUMNS: [&str; 11] =
    ["url", "final_url", "status", "title", "depth", "parent", "elapsed_ms", "content_type", "bytes", "links", "error"];

#[derive(Serialize)]
struct PageRow<'a> {
    url: &'a str,
    final_url: &'a str,
    status: Option<u16>,
    title: Option<&'a str>,
    depth: u32,
    parent: Option<&'a str>,
    elapsed_ms: f64,
    content_type: Option<std::borrow::Cow<'a, str>>,
    bytes: usize,
    links: usize,
    error: Option<&'a str>,
}

/// The row of a page as an item.
pub fn page_row(page: &Page) -> Item {
    let content_type = page.headers.iter().find(|(name, _)| name == "content-type");
    let row = PageRow {
        url: &page.url,
        final_url: &page.final_url,
        status: (page.status > 0).then_some(page.status),
        title: page.title.as_deref(),
        depth: page.depth,
        parent: page.parent.as_deref(),
        elapsed_ms: (page.elapsed.as_secs_f64() * 1e6).round() / 1e3,
        content_type: content_type.map(|(_, value)| String::from_utf8_lossy(value)),
        bytes: page.body.len(),
        links: page.links.len(),
        error: page.error.as_ref().map(|error| error.message.as_str()),
    };
    // Numbers and text only: nothing in it can't be written as JSON.
    Item { json: serde_json::to_string(&row).unwrap_or_default() }
}
