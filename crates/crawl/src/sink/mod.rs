//! Where pages and items go: the port to a program, and files.

mod csv;
mod export;
mod row;
mod table;
mod warc;

use std::future::Future;
use std::pin::Pin;

pub use export::OutputFormat;
pub(crate) use export::{Exporter, Mark};
pub use row::page_row;
pub use warc::archive_page;

use crate::entry::{EntryId, Item, NewEntry};
use crate::page::Page;

/// What a program made of a page.
#[derive(Debug, Default)]
pub struct Made {
    /// The page's entry.
    pub entry: Option<EntryId>,
    /// Items to export.
    pub items: Vec<Item>,
    /// Addresses to visit, besides the links that the crawl follows by itself.
    pub requests: Vec<NewEntry>,
    /// The error of the program's function, in words; its page is marked with it and the crawl goes on.
    pub error: Option<String>,
}

/// The port through which pages leave the crawl. The engine delivers each page once and goes on fetching until `deliver`
/// waits: a sink bounds what it holds by bytes.
pub trait Sink: Send + Sync + 'static {
    /// True where the program says later what it made of each page (`Made`), so that its entry stays open until then.
    fn answers(&self) -> bool;

    /// Takes a page; waits while the sink is full.
    fn deliver(&self, page: Page) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}
