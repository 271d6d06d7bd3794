//! Proxies: their addresses as people write them, and the handshakes with them.

use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tower_service::Service;
use url::Url;

use super::error::{ErrorKind, FetchError, chain};
use super::wire::Wire;

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProxyKind {
    Http,
    /// HTTP over TLS.
    Https,
    /// The names are looked up here.
    Socks5,
    /// The names are looked up by the proxy.
    Socks5Names,
}

/// A proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    pub(super) kind: ProxyKind,
    pub(super) host: String,
    pub(super) port: u16,
    /// As written: which connections may be shared.
    pub(super) name: String,
    login: Option<(String, String)>,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Reads `scheme://[name:password@]host[:port]`; a missing scheme is `http`.
    ///
    /// # Errors
    /// It is no such address, or of another scheme.
    pub fn new(text: &str) -> Result<Self, FetchError> {
        let refuse = |why: &str| FetchError::new(ErrorKind::Request, format!("{text:?} is no proxy: {why}"));
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&whole).map_err(|error| refuse(&error.to_string()))?;
        let (kind, port) = match url.scheme() {
            "http" => (ProxyKind::Http, 80),
            "https" => (ProxyKind::Https, 443),
            "socks5" => (ProxyKind::Socks5, 1080),
            "socks5h" => (ProxyKind::Socks5Names, 1080),
            _ => return Err(refuse("its scheme is not one of http, https, socks5, socks5h")),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| refuse("it names no host"))?.to_owned();
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let has_login = !url.username().is_empty() || url.password().is_some();
        let login = has_login.then(|| (decoded(url.username()), decoded(url.password().unwrap_or_default())));
        let authorization = match &login {
            None => None,
            Some((name, password)) => {
                let encoded = STANDARD.encode(format!("{name}:{password}"));
                let mut value = HeaderValue::try_from(format!("Basic {encoded}"))
                    .map_err(|_| refuse("its name and password can't be sent"))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self { kind, host, port: url.port().unwrap_or(port), name: whole, login, authorization })
    }

    /// True where an http request is sent to the proxy itself, with its whole address.
    pub(super) fn takes_whole_addresses(&self) -> bool {
        matches!(self.kind, ProxyKind::Http | ProxyKind::Https)
    }

    /// True where the names of servers are looked up by the proxy.
    pub(super) fn looks_names_up(&self) -> bool {
        self.kind != ProxyKind::Socks5
    }

    /// What a request to the proxy itself has to show.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Has the proxy connect to `host:port`, over a connection to it.
    pub(super) async fn tunnel(&self, wire: Wire, host: &str, port: u16) -> Result<Wire, FetchError> {
        let failed = |why: String| {
            FetchError::new(
                ErrorKind::Connect,
                format!("the proxy {}:{} did not connect to {host}:{port}: {why}", self.host, self.port),
            )
        };
        let target = Uri::try_from(format!("https://{host}:{port}")).map_err(|error| failed(error.to_string()))?;
        // The connection is there already: the proxy's own address is asked for by nobody.
        let itself = Uri::from_static("http://proxy");
        let ready = Connected(Some(wire));
        let tunnelled = if self.takes_whole_addresses() {
            let mut tunnel = Tunnel::new(itself, ready);
            if let Some(authorization) = &self.authorization {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            tunnel.call(target).await.map_err(|error| failed(chain(&error)))?
        } else {
            let mut socks = SocksV5::new(itself, ready);
            if let Some((name, password)) = &self.login {
                socks = socks.with_auth(name.clone(), password.clone());
            }
            socks.call(target).await.map_err(|error| failed(chain(&error)))?
        };
        Ok(tunnelled.into_inner())
    }
}

/// A connection that is there, in the form of something that connects.
struct Connected(Option<Wire>);

impl Service<Uri> for Connected {
    type Response = TokioIo<Wire>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<Wire>>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _target: Uri) -> Self::Future {
        ready(self.0.take().map(TokioIo::new).ok_or_else(|| io::Error::other("the connection was taken")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_as_people_write_it() {
        let proxy = Proxy::new("proxy.test:3128").unwrap();
        assert_eq!((proxy.kind, proxy.host.as_str(), proxy.port), (ProxyKind::Http, "proxy.test", 3128));
        let proxy = Proxy::new("socks5://me:p%40ss@10.0.0.1").unwrap();
        assert_eq!((proxy.kind, proxy.port), (ProxyKind::Socks5, 1080));
        assert_eq!(proxy.login, Some(("me".to_owned(), "p@ss".to_owned())));
        assert_eq!(proxy.authorization.unwrap().to_str().unwrap(), "Basic bWU6cEBzcw==");
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for text in ["", "ftp://a", "http://", "socks4://a:1", "http://a:b"] {
            assert_eq!(Proxy::new(text).unwrap_err().kind(), "request", "{text}");
        }
    }
}
