//! One connection to whichever of a host's addresses answers first, as RFC 8305 ("happy eyeballs") wants it: an address that
//! swallows everything costs a quarter of a second, not the time of the whole request.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::error::{ErrorKind, FetchError};

/// So long an address is alone before the next one is tried beside it (RFC 8305, section 8).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to the addresses in turn, each a little after the one before; the first that answers is taken.
pub(super) async fn connect(name: &str, addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), FetchError> {
    if let [address] = addresses {
        return attempt(*address).await.map_err(|error| refused(name, *address, &error));
    }
    let mut waiting = in_turn(addresses).into_iter();
    let mut attempts = JoinSet::new();
    let mut last = None;
    loop {
        match waiting.next() {
            Some(address) => drop(attempts.spawn(async move { (address, attempt(address).await) })),
            None if attempts.is_empty() => break,
            None => {}
        }
        let ending = attempts.join_next();
        let ended = if waiting.len() > 0 { timeout(STAGGER, ending).await.unwrap_or(None) } else { ending.await };
        match ended {
            // The others are given up with the set.
            Some(Ok((_, Ok(connected)))) => return Ok(connected),
            Some(Ok((address, Err(error)))) => last = Some(refused(name, address, &error)),
            // It panicked, or it is the next one's turn.
            Some(Err(_)) | None => {}
        }
    }
    Err(last
        .unwrap_or_else(|| FetchError::new(ErrorKind::Connect, format!("no connection to {name}: it has no address"))))
}

async fn attempt(address: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok((stream, address))
}

fn refused(name: &str, address: SocketAddr, error: &io::Error) -> FetchError {
    FetchError::new(ErrorKind::Connect, format!("no connection to {name}: {address}: {error}"))
}

/// The addresses in the resolver's order, but IPv6 and IPv4 by turns, beginning with the first one's kind.
fn in_turn(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_first_kind =
        |address: &SocketAddr| addresses.first().is_some_and(|first| first.is_ipv6() == address.is_ipv6());
    let (first, second): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(is_first_kind);
    let mut second = second.into_iter();
    let mut ordered = Vec::with_capacity(addresses.len());
    for address in first {
        ordered.push(address);
        ordered.extend(second.next());
    }
    ordered.extend(second);
    ordered
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// A socket that listens and has no room: who connects waits for ever.
    struct Silent {
        address: SocketAddr,
        _held: (TcpListener, Vec<TcpStream>),
    }

    async fn silent() -> Silent {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut filling = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            filling.push(stream);
        }
        Silent { address, _held: (listener, filling) }
    }

    #[tokio::test]
    async fn an_address_that_swallows_everything_does_not_hold_the_others_up() {
        let (silent, works) = (silent().await, std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let started = Instant::now();
        let (_, address) = connect("a", &[silent.address, works.local_addr().unwrap()]).await.unwrap();
        assert_eq!(address, works.local_addr().unwrap());
        assert!((STAGGER..20 * STAGGER).contains(&started.elapsed()), "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn after_a_refusal_the_next_address_is_tried_at_once() {
        let works = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let refuses = SocketAddr::from(([127, 0, 0, 1], 1));
        let (_, address) = connect("a", &[refuses, refuses, works.local_addr().unwrap()]).await.unwrap();
        assert_eq!(address, works.local_addr().unwrap());
        let error = connect("a.example:1", &[refuses, refuses]).await.unwrap_err().to_string();
        assert!(error.starts_with("no connection to a.example:1: 127.0.0.1:1: "), "{error}");
        assert!(connect("a", &[]).await.unwrap_err().to_string().ends_with("it has no address"));
    }

    #[test]
    fn the_kinds_of_addresses_take_turns() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let found = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"].map(address);
        assert_eq!(in_turn(&found), ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"].map(address));
    }
}
