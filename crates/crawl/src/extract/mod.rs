//! What a page has: its encoding, links, title, declared fields; and what a sitemap lists.

mod attribute;
mod charset;
mod fields;
mod link;
mod page;
mod rawtext;
mod robots;
mod scan;
mod sitemap;
mod srcset;

pub use charset::{charset, decode, is_html};
pub use fields::{FieldError, Fields};
pub use link::{Link, LinkKind};
pub use page::{Extracted, Source, page};
pub use robots::MetaRobots;
pub use sitemap::{Sitemap, SitemapEntry, SitemapError, sitemap};
