//! From a request to a connection: where to, through what, and whether it may.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use url::Position;

use super::connect::connect;
use super::connection::{Connection, Http1, Http2};
use super::error::{ErrorKind, FetchError};
use super::options::ClientOptions;
use super::proxy::{Proxy, ProxyKind};
use super::request::{Admission, ProxyChoice, Request};
use super::resolve::{Resolver, private};
use super::tls::Tls;
use super::wire::Wire;
use crate::url::is_private_host;

/// Where a request goes.
#[derive(Debug)]
pub(super) struct Route {
    /// As the URL has it, an IPv6 address in brackets.
    pub(super) host: String,
    pub(super) port: u16,
    authority: String,
    pub(super) is_tls: bool,
    pub(super) proxy: Option<Arc<Proxy>>,
}

impl Route {
    /// The way of a request; `proxies` are the client's.
    pub(super) fn new(request: &Request, proxies: &[Arc<Proxy>]) -> Result<Self, FetchError> {
        let url = &request.url;
        let is_tls = match url.scheme() {
            "https" => true,
            "http" => false,
            other => {
                return Err(FetchError::new(
                    ErrorKind::Request,
                    format!("{url} can't be fetched: {other} is not HTTP"),
                ));
            }
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port().unwrap_or(if is_tls { 443 } else { 80 });
        let proxy = match &request.proxy {
            ProxyChoice::Direct => None,
            ProxyChoice::Through(proxy) => Some(Arc::clone(proxy)),
            ProxyChoice::Client if proxies.is_empty() => None,
            // A host keeps its proxy, so that its cookies and connections stay with one address.
            ProxyChoice::Client => {
                let sum = host.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
                proxies.get(sum % proxies.len()).cloned()
            }
        };
        // A proxy looks names up itself: what can be refused are addresses and names that are private by themselves.
        let is_looked_up_elsewhere = proxy.as_ref().is_some_and(|proxy| proxy.looks_names_up());
        if is_looked_up_elsewhere && request.admission == Admission::Public && is_private_host(url) {
            let message = format!("{host} is a private address, which is not admitted");
            return Err(FetchError::new(ErrorKind::PrivateAddress, message));
        }
        let authority = url[Position::BeforeHost..Position::AfterPort].to_owned();
        Ok(Self { host, port, authority, is_tls, proxy })
    }

    /// Connections of one place may be used for one another's requests.
    pub(super) fn place(&self) -> String {
        let proxy = self.proxy.as_ref().map_or("", |proxy| proxy.name.as_str());
        let scheme = if self.is_tls { "https " } else { "http " };
        let mut place = String::with_capacity(scheme.len() + self.authority.len() + 1 + proxy.len());
        place.extend([scheme, &self.authority, " ", proxy]);
        place
    }

    /// Host and port, the port left out where it is the scheme's own.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// True where the request is sent to the proxy itself.
    pub(super) fn sends_whole_address(&self) -> bool {
        !self.is_tls && self.proxy.as_ref().is_some_and(|proxy| proxy.takes_whole_addresses())
    }
}

/// What makes connections.
#[derive(Debug)]
pub(super) struct Dialler {
    pub(super) resolver: Resolver,
    pub(super) tls: Tls,
}

impl Dialler {
    /// A new connection.
    pub(super) async fn dial(
        &self,
        route: &Route,
        admission: Admission,
        options: &ClientOptions,
        limit: Option<Duration>,
    ) -> Result<Connection, FetchError> {
        let making = self.make(route, admission, options);
        let result = match limit {
            None => making.await,
            Some(limit) => timeout(limit, making).await.unwrap_or_else(|_| {
                let message = format!("no connection to {} within {} s", route.authority(), limit.as_secs_f64());
                Err(FetchError::new(ErrorKind::Timeout, message))
            }),
        };
        result.map_err(FetchError::before_connection)
    }

    async fn make(
        &self,
        route: &Route,
        admission: Admission,
        options: &ClientOptions,
    ) -> Result<Connection, FetchError> {
        let (wire, address) = match &route.proxy {
            None => {
                let addresses = self.resolver.find(&route.host, route.port, admission).await?;
                self.connect(&route.host, route.authority(), &addresses).await?
            }
            Some(proxy) => self.through(proxy, route, admission, options).await?,
        };
        let (wire, is_http2) =
            if route.is_tls { self.tls.shake_hands(options, wire, &route.host, false).await? } else { (wire, false) };
        if is_http2 {
            return Http2::new(wire, address, options.header_bytes).await.map(Connection::Two);
        }
        Http1::new(wire, address, options.header_bytes).await.map(|made| Connection::One(Box::new(made)))
    }

    async fn connect(
        &self,
        host: &str,
        name: &str,
        addresses: &[SocketAddr],
    ) -> Result<(Wire, SocketAddr), FetchError> {
        let connected = connect(name, addresses).await.inspect_err(|_| self.resolver.forget(host));
        connected.map(|(stream, address)| (Wire::Tcp(stream), address))
    }

    async fn through(
        &self,
        proxy: &Proxy,
        route: &Route,
        admission: Admission,
        options: &ClientOptions,
    ) -> Result<(Wire, SocketAddr), FetchError> {
        // The proxy was named by the user: it may be anywhere.
        let name = format!("the proxy {}:{}", proxy.host, proxy.port);
        let found = self.resolver.find(&proxy.host, proxy.port, Admission::All).await;
        let addresses =
            found.map_err(|error| FetchError::new(ErrorKind::Connect, format!("no connection to {name}: {error}")))?;
        let (mut wire, address) = self.connect(&proxy.host, &name, &addresses).await?;
        if proxy.kind == ProxyKind::Https {
            (wire, _) = self.tls.shake_hands(options, wire, &proxy.host, true).await?;
        }
        if route.sends_whole_address() {
            return Ok((wire, address));
        }
        if proxy.looks_names_up() {
            return Ok((proxy.tunnel(wire, &route.host, route.port).await?, address));
        }
        let target = self.resolver.find(&route.host, route.port, admission).await?;
        let Some(target) = target.first() else { return Err(private(&route.host, address.ip())) };
        Ok((proxy.tunnel(wire, &target.ip().to_string(), target.port()).await?, address))
    }
}
