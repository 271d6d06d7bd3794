//! What a page has: its encoding, links, title, declared fields; and what a sitemap lists.
