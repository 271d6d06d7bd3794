//! From a name to addresses: the client's own table first, then what the system's resolver says, or said a moment ago; private
//! ones only where admitted.

use std::net::{IpAddr, SocketAddr};

use super::error::{ErrorKind, FetchError};
use super::names::Names;
use super::request::Admission;
use crate::url::is_private;

/// Looks names up.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    overrides: Vec<Override>,
    names: Names,
}

#[derive(Debug, PartialEq, Eq)]
struct Override {
    pattern: Pattern,
    address: IpAddr,
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum Pattern {
    Any,
    Name(String),
    /// With the dot in front.
    Under(String),
}

impl Resolver {
    /// Reads `name:address` pairs; an address may have a port, too, which replaces the URL's.
    pub(super) fn new(pairs: &[String]) -> Result<Self, FetchError> {
        let overrides = pairs.iter().map(|pair| Override::read(pair)).collect::<Result<_, _>>()?;
        Ok(Self { overrides, names: Names::default() })
    }

    /// The addresses of a host as a URL has it (an IPv6 address in brackets), all of them admitted, at least one.
    pub(super) async fn find(
        &self,
        host: &str,
        port: u16,
        admission: Admission,
    ) -> Result<Vec<SocketAddr>, FetchError> {
        let addresses = self.look_up(host, port).await?;
        // One private address among public ones is enough: which is dialled must not depend on luck.
        match addresses.iter().find(|address| !admits(admission, address.ip())) {
            Some(address) => Err(private(host, address.ip())),
            None => Ok(addresses),
        }
    }

    /// The addresses of a host, whatever they are.
    pub(super) async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
        if let Some(found) = self.overrides.iter().find(|known| known.pattern.is_of(host)) {
            return Ok(vec![SocketAddr::new(found.address, found.port.unwrap_or(port))]);
        }
        if let Some(address) = literal(host) {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let found = self.names.find(host, || ask_system(host)).await?;
        let mut addresses = found.to_vec();
        for address in &mut addresses {
            address.set_port(port);
        }
        Ok(addresses)
    }

    /// Has a host looked up anew the next time: none of its addresses answered.
    pub(super) fn forget(&self, host: &str) {
        self.names.forget(host);
    }
}

/// At least one address.
async fn ask_system(host: &str) -> Result<Vec<SocketAddr>, FetchError> {
    let found = tokio::net::lookup_host((host, 0)).await;
    let addresses: Vec<_> = found
        .map_err(|error| FetchError::new(ErrorKind::Dns, format!("{host} can't be looked up: {error}")))?
        .collect();
    if addresses.is_empty() {
        return Err(FetchError::new(ErrorKind::Dns, format!("{host} has no address")));
    }
    Ok(addresses)
}

/// Whether a request may go to an address.
pub(super) fn admits(admission: Admission, address: IpAddr) -> bool {
    admission == Admission::All || !is_private(address)
}

/// The address that a host of a URL is, where it is one.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// The refusal of an address.
pub(super) fn private(host: &str, address: IpAddr) -> FetchError {
    FetchError::new(
        ErrorKind::PrivateAddress,
        format!("{host} leads to the private address {address}, which is not admitted"),
    )
}

impl Override {
    fn read(pair: &str) -> Result<Self, FetchError> {
        let refuse = || {
            FetchError::new(
                ErrorKind::Request,
                format!("{pair:?} is no pair of a name and an address (name:127.0.0.1)"),
            )
        };
        let (name, address) = pair.split_once(':').ok_or_else(refuse)?;
        let (address, port) = match (literal(address), address.parse::<SocketAddr>()) {
            (Some(address), _) => (address, None),
            (None, Ok(socket)) => (socket.ip(), Some(socket.port())),
            (None, Err(_)) => return Err(refuse()),
        };
        let name = name.to_ascii_lowercase();
        let pattern = match name.strip_prefix('*') {
            Some("") => Pattern::Any,
            Some(suffix) if suffix.starts_with('.') && suffix.len() > 1 => Pattern::Under(suffix.to_owned()),
            None if !name.is_empty() => Pattern::Name(name),
            _ => return Err(refuse()),
        };
        Ok(Self { pattern, address, port })
    }
}

impl Pattern {
    fn is_of(&self, host: &str) -> bool {
        match self {
            Self::Any => literal(host).is_none(),
            Self::Name(name) => name == host,
            Self::Under(suffix) => host.ends_with(suffix.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(pairs: &[&str], host: &str) -> Result<String, &'static str> {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        let resolver = Resolver::new(&pairs).map_err(|error| error.kind())?;
        let addresses = resolver.find(host, 80, Admission::Public).await.map_err(|error| error.kind())?;
        Ok(addresses[0].to_string())
    }

    #[tokio::test]
    async fn a_name_of_the_table_is_not_looked_up() {
        assert_eq!(found(&["a.test:8.8.8.8"], "a.test").await.unwrap(), "8.8.8.8:80");
        assert_eq!(found(&["*.test:8.8.8.8:81"], "b.a.test").await.unwrap(), "8.8.8.8:81");
        assert_eq!(found(&["*:[2606:4700::1]"], "anything").await.unwrap(), "[2606:4700::1]:80");
        assert_eq!(found(&["a.test:2606:4700::1"], "a.test").await.unwrap(), "[2606:4700::1]:80");
    }

    #[tokio::test]
    async fn what_is_no_pair_is_refused() {
        for pair in ["", "a", "a:", "a:b", ":1.2.3.4", "*a:1.2.3.4", "*.:1.2.3.4", "a:1.2.3.4:x"] {
            assert_eq!(found(&[pair], "a").await.unwrap_err(), "request", "{pair}");
        }
    }

    #[tokio::test]
    async fn private_addresses_are_refused_in_the_table_and_as_literals_too() {
        assert_eq!(found(&["a.test:10.0.0.1"], "a.test").await.unwrap_err(), "private_address");
        assert_eq!(found(&[], "127.0.0.1").await.unwrap_err(), "private_address");
        assert_eq!(found(&[], "[::1]").await.unwrap_err(), "private_address");
        assert_eq!(found(&[], "169.254.169.254").await.unwrap_err(), "private_address");
        assert_eq!(found(&[], "localhost").await.unwrap_err(), "private_address");
    }
}
