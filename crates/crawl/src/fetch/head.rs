//! The head of a request: which line, which headers, in which order.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, Request as Message, Uri};
use percent_encoding::percent_decode_str;

use super::dial::Route;
use super::error::{ErrorKind, FetchError};
use super::options::ClientOptions;
use super::request::{Request, RequestBody};

/// The encodings that `decode` undoes.
const ENCODINGS: HeaderValue = HeaderValue::from_static("gzip, deflate, br, zstd");

/// The headers that every request of a client has, checked once.
#[derive(Debug)]
pub(super) struct Defaults(Vec<(HeaderName, HeaderValue)>);

impl Defaults {
    pub(super) fn new(options: &ClientOptions) -> Result<Self, FetchError> {
        let mut headers = Vec::new();
        if !options.user_agent.is_empty() {
            headers.push((USER_AGENT, value_of("User-Agent", options.user_agent.as_bytes())?));
        }
        for (name, value) in &options.headers {
            let name = name_of(name)?;
            // A header of the options' list is more particular than the option of its name.
            headers.retain(|(known, _)| *known != USER_AGENT || name != USER_AGENT);
            headers.push((name.clone(), value_of(name.as_str(), value.as_bytes())?));
        }
        Ok(Self(headers))
    }
}

/// The request as hyper sends it.
pub(super) fn message(
    request: &Request,
    body: RequestBody,
    route: &Route,
    defaults: &Defaults,
    cookie: Option<&str>,
    is_http2: bool,
) -> Result<Message<RequestBody>, FetchError> {
    let mut message = Message::new(body);
    *message.method_mut() = request.method.clone();
    *message.uri_mut() = uri(request, route, is_http2)?;
    *message.headers_mut() = headers(request, route, defaults, cookie, is_http2)?;
    Ok(message)
}

fn uri(request: &Request, route: &Route, is_http2: bool) -> Result<Uri, FetchError> {
    let url = &request.url;
    // From the path to the end of the query.
    let of_url = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let target = request.target.as_deref().unwrap_or(of_url);
    let refuse = |why: &dyn std::fmt::Display| {
        FetchError::new(ErrorKind::Request, format!("{target:?} can't be asked for: {why}"))
    };
    if !(is_http2 || route.sends_whole_address()) {
        let path = match PathAndQuery::try_from(target) {
            Ok(path) => path,
            Err(_) => PathAndQuery::try_from(escaped(target)).map_err(|error| refuse(&error))?,
        };
        return Ok(path.into());
    }
    let scheme = if route.is_tls { "https" } else { "http" };
    let whole = format!("{scheme}://{}{target}", route.authority());
    match Uri::try_from(whole.as_str()) {
        Ok(uri) => Ok(uri),
        Err(_) => Uri::try_from(escaped(&whole)).map_err(|error| refuse(&error)),
    }
}

/// What can't stand in a request line, percent-encoded.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'^' | b'\\' | b'#') {
            escaped.push(byte as char);
        } else {
            let _infallible = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

fn headers(
    request: &Request,
    route: &Route,
    defaults: &Defaults,
    cookie: Option<&str>,
    is_http2: bool,
) -> Result<HeaderMap, FetchError> {
    let mut map = HeaderMap::with_capacity(8);
    let has = |name: &HeaderName| request.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name.as_str()));
    if !is_http2 && !has(&HOST) {
        map.append(HOST, value_of("Host", route.authority().as_bytes())?);
    }
    for (name, value) in &defaults.0 {
        if !has(name) {
            map.append(name, value.clone());
        }
    }
    if request.decode && !has(&ACCEPT_ENCODING) && !map.contains_key(ACCEPT_ENCODING) {
        map.append(ACCEPT_ENCODING, ENCODINGS);
    }
    for (name, value) in &request.headers {
        let name = name_of(name)?;
        // HTTP/2 names the host in its own way, and has no such thing as a connection's headers.
        let is_of_http1 =
            matches!(name.as_str(), "host" | "connection" | "transfer-encoding" | "keep-alive" | "upgrade");
        if !(is_http2 && is_of_http1) {
            let value = value_of(name.as_str(), value)?;
            map.append(name, value);
        }
    }
    if let Some(cookie) = cookie.filter(|_| !map.contains_key(COOKIE)) {
        map.append(COOKIE, value_of("Cookie", cookie.as_bytes())?);
    }
    if !request.url.username().is_empty() && !map.contains_key(AUTHORIZATION) {
        map.append(AUTHORIZATION, login(request)?);
    }
    if let Some(value) =
        route.proxy.as_ref().filter(|_| route.sends_whole_address()).and_then(|proxy| proxy.authorization())
    {
        map.insert(PROXY_AUTHORIZATION, value.clone());
    }
    Ok(map)
}

/// The name and password of an address, as a header.
fn login(request: &Request) -> Result<HeaderValue, FetchError> {
    let mut login: Vec<u8> = percent_decode_str(request.url.username()).collect();
    login.push(b':');
    login.extend(percent_decode_str(request.url.password().unwrap_or_default()));
    value_of("Authorization", format!("Basic {}", STANDARD.encode(login)).as_bytes())
}

fn name_of(name: &str) -> Result<HeaderName, FetchError> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| FetchError::new(ErrorKind::Request, format!("{name:?} can't be the name of a header")))
}

fn value_of(name: &str, value: &[u8]) -> Result<HeaderValue, FetchError> {
    HeaderValue::from_bytes(value).map_err(|_| {
        FetchError::new(ErrorKind::Request, format!("the value of the header {name} has characters that can't be sent"))
    })
}
