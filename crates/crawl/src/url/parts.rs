//! The parts of an address that is already in WHATWG's serialised form: slices, without parsing it again.

use std::borrow::Cow;

/// The parts of a serialised `http` or `https` URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// Scheme, authority and path up to where the path begins: `http://user@host:81`.
    pub(crate) origin: &'a str,
    /// Host and port as written, without user and password; a scheme's own port is never written.
    pub(crate) host: &'a str,
    /// From the first slash after the host; never empty.
    pub(crate) path: &'a str,
    /// After the question mark, where there is one.
    pub(crate) query: Option<&'a str>,
}

/// The address without its fragment.
pub(crate) fn without_fragment(url: &str) -> &str {
    match memchr::memchr(b'#', url.as_bytes()) {
        Some(at) => &url[..at],
        None => url,
    }
}

impl<'a> Parts<'a> {
    /// The parts, or none for what no crawl fetches (another scheme, not serialised).
    pub(crate) fn of(url: &'a str) -> Option<Self> {
        let url = without_fragment(url);
        let after_scheme = if url.starts_with("http://") {
            7
        } else if url.starts_with("https://") {
            8
        } else {
            return None;
        };
        let path_at = after_scheme + memchr::memchr(b'/', &url.as_bytes()[after_scheme..])?;
        let authority = &url[after_scheme..path_at];
        let host = memchr::memrchr(b'@', authority.as_bytes()).map_or(authority, |at| &authority[at + 1..]);
        let rest = &url[path_at..];
        let (path, query) = match memchr::memchr(b'?', rest.as_bytes()) {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        Some(Self { origin: &url[..path_at], host, path, query })
    }

    /// The host alone.
    pub(crate) fn host_name(&self) -> &'a str {
        match self.host.rfind(':') {
            Some(at) if !self.host[at..].contains(']') => &self.host[..at],
            _ => self.host,
        }
    }

    /// Up to and with the last slash of the path.
    pub(crate) fn folder(&self) -> &'a str {
        let end = memchr::memrchr(b'/', self.path.as_bytes()).map_or(self.path.len(), |at| at + 1);
        &self.path[..end]
    }
}

/// The server of an address: `scheme://host`, with the port where it is not the scheme's own; user and password left out.
/// For what is no serialised `http` or `https` URL it is the text itself.
pub fn host_key(url: &str) -> Cow<'_, str> {
    match Parts::of(url) {
        None => Cow::Borrowed(url),
        Some(parts) if parts.origin.contains('@') => {
            let scheme = if url.starts_with("https") { "https" } else { "http" };
            Cow::Owned(format!("{scheme}://{}", parts.host))
        }
        Some(parts) => Cow::Borrowed(parts.origin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_address_are_found() {
        let parts = Parts::of("http://me:pw@example.org:81/a/b?c=d/e#f").unwrap();
        assert_eq!(parts.origin, "http://me:pw@example.org:81");
        assert_eq!((parts.host, parts.host_name()), ("example.org:81", "example.org"));
        assert_eq!((parts.path, parts.folder(), parts.query), ("/a/b", "/a/", Some("c=d/e")));
        assert_eq!(Parts::of("https://[::1]/").unwrap().host_name(), "[::1]");
        assert_eq!(Parts::of("https://[::1]:8/").unwrap().host_name(), "[::1]");
        assert_eq!(Parts::of("mailto:a@b"), None);
        assert_eq!(Parts::of("http:"), None);
    }

    #[test]
    fn a_server_is_known_without_user_and_password() {
        assert_eq!(host_key("http://me:pw@example.org:81/a"), "http://example.org:81");
        assert_eq!(host_key("https://example.org/a@b"), "https://example.org");
    }
}
