//! The cookies of a crawl or a session, by RFC 6265; kept as JSON between two runs.

use std::io::BufReader;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cookie_store::{CookieStore, RawCookie};
use url::Url;

use super::answer::Headers;

/// What a site may make us keep: cookies in all, and bytes of one.
const COOKIE_COUNT: usize = 3000;
const COOKIE_BYTES: usize = 4096;
/// What is sent with one request at most; servers refuse longer ones.
const HEADER_BYTES: usize = 8192;

/// Cookies, shared by all requests of a client.
#[derive(Debug, Default)]
pub struct Jar {
    store: Mutex<CookieStore>,
    /// How many there are: most crawls have none, and needn't look.
    count: AtomicUsize,
}

impl Jar {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The cookies that [`Self::to_json`] wrote; those that have expired since are left out.
    ///
    /// # Errors
    /// The text is something else.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let store = cookie_store::serde::json::load(BufReader::new(text.as_bytes()))
            .map_err(|error| format!("the cookies can't be read: {error}"))?;
        let count = AtomicUsize::new(store.iter_any().count());
        Ok(Self { store: Mutex::new(store), count })
    }

    /// All cookies as JSON text, those of the session included.
    ///
    /// # Errors
    /// One of them can't be written.
    pub fn to_json(&self) -> Result<String, String> {
        let mut bytes = Vec::new();
        cookie_store::serde::json::save_incl_expired_and_nonpersistent(&self.lock(), &mut bytes)
            .map_err(|error| format!("the cookies can't be written: {error}"))?;
        String::from_utf8(bytes).map_err(|error| error.to_string())
    }

    /// Adds `name=value` for the host of `url`, as if its server had set it for all its paths.
    ///
    /// # Errors
    /// It is no cookie.
    pub fn add(&self, url: &Url, cookie: &str) -> Result<(), String> {
        let text = if cookie.contains(';') { cookie.to_owned() } else { format!("{cookie}; Path=/") };
        let parsed = RawCookie::parse(text).map_err(|error| format!("{cookie:?} is no cookie: {error}"))?;
        self.insert(url, &parsed).map_err(|error| format!("{cookie:?} can't be a cookie of {url}: {error}"))
    }

    /// The `Cookie` header of a request.
    pub fn header(&self, url: &Url) -> Option<String> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut header = String::new();
        for (name, value) in self.lock().get_request_values(url) {
            if header.len() + name.len() + value.len() > HEADER_BYTES {
                break;
            }
            let separator = if header.is_empty() { "" } else { "; " };
            header.extend([separator, name, "=", value]);
        }
        (!header.is_empty()).then_some(header)
    }

    /// Keeps what an answer of `url` sets; what it must not set is passed over.
    pub fn store(&self, url: &Url, headers: &Headers) {
        for value in headers.get_all("set-cookie").filter(|value| value.len() <= COOKIE_BYTES) {
            if let Ok(cookie) = RawCookie::parse(String::from_utf8_lossy(value).into_owned()) {
                let _refused = self.insert(url, &cookie);
            }
        }
    }

    fn insert(&self, url: &Url, cookie: &RawCookie<'static>) -> Result<(), String> {
        if let Some(domain) = cookie.domain().map(|domain| domain.trim_start_matches('.')) {
            let is_suffix =
                psl::suffix(domain.as_bytes()).is_some_and(|suffix| suffix.as_bytes().len() == domain.len());
            if is_suffix && url.host_str() != Some(domain) {
                return Err(format!("{domain} is not one site's domain"));
            }
        }
        let mut store = self.lock();
        if self.count.load(Ordering::Relaxed) >= COOKIE_COUNT {
            return Err("there are too many".to_owned());
        }
        store.insert_raw(cookie, url).map_err(|error| error.to_string())?;
        self.count.store(store.iter_any().count(), Ordering::Release);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, CookieStore> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn set(jar: &Jar, at: &str, cookies: &[&str]) {
        let headers: Vec<_> =
            cookies.iter().map(|cookie| ("set-cookie".to_owned(), Bytes::copy_from_slice(cookie.as_bytes()))).collect();
        jar.store(&url(at), &Headers::from(headers));
    }

    #[test]
    fn a_cookie_goes_back_to_where_it_came_from() {
        let jar = Jar::new();
        assert_eq!(jar.header(&url("http://a.test/")), None);
        set(&jar, "http://a.test/x/y", &["one=1; Path=/", "two=2; Path=/x", "three=3; Secure; Path=/"]);
        assert_eq!(jar.header(&url("http://a.test/")).unwrap(), "one=1");
        let both = jar.header(&url("http://a.test/x")).unwrap();
        assert!(both.contains("one=1") && both.contains("two=2"), "{both}");
        assert_eq!(jar.header(&url("http://b.test/")), None);
    }

    #[test]
    fn a_cookie_for_a_whole_suffix_or_another_site_is_passed_over() {
        let jar = Jar::new();
        set(
            &jar,
            "http://shop.example.co.uk/",
            &["a=1; Domain=co.uk", "b=2; Domain=other.test", "c=3; Domain=example.co.uk"],
        );
        assert_eq!(jar.header(&url("http://www.example.co.uk/")).unwrap(), "c=3");
        assert_eq!(jar.header(&url("http://elsewhere.co.uk/")), None);
    }

    #[test]
    fn cookies_outlive_the_jar_as_json() {
        let jar = Jar::new();
        jar.add(&url("http://a.test/deep/page"), "session=abc").unwrap();
        let again = Jar::from_json(&jar.to_json().unwrap()).unwrap();
        assert_eq!(again.header(&url("http://a.test/")).unwrap(), "session=abc");
        assert!(Jar::from_json("no json").is_err());
    }

    #[test]
    fn a_site_can_not_fill_the_memory() {
        let jar = Jar::new();
        set(&jar, "http://a.test/", &[&format!("long={}", "x".repeat(5000))]);
        assert_eq!(jar.header(&url("http://a.test/")), None);
        for number in 0..100 {
            set(&jar, "http://a.test/", &[&format!("c{number}={}", "x".repeat(1000))]);
        }
        assert!(jar.header(&url("http://a.test/")).unwrap().len() <= HEADER_BYTES);
    }
}
