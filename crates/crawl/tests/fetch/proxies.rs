//! Through HTTP and SOCKS proxies.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::server::{Reply, client_with, get, ok, read_request, serve};

#[tokio::test]
async fn an_http_proxy_gets_the_whole_address_and_the_login() {
    let proxy = serve(|_, _| Reply::Keep(ok(b"from the proxy"))).await;
    let client = client_with(|options| options.proxies = vec![format!("http://me:secret@{}", proxy.address)]);
    let url = url::Url::parse("http://somewhere.invalid/page?x=1").unwrap();
    assert_eq!(&client.fetch(get(url)).await.unwrap().body[..], b"from the proxy");
    let request = &proxy.requests()[0];
    assert!(request.starts_with("GET http://somewhere.invalid/page?x=1 HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains("Host: somewhere.invalid\r\n")
            && request.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn an_http_proxy_that_refuses_a_tunnel_is_a_connect_error() {
    let proxy = serve(|_, _| Reply::Close(b"HTTP/1.1 403 Forbidden\r\n\r\n".to_vec())).await;
    let client = client_with(|options| options.proxies = vec![format!("http://{}", proxy.address)]);
    let error = client.fetch(get(url::Url::parse("https://somewhere.invalid/").unwrap())).await.unwrap_err();
    assert_eq!(error.kind(), "connect", "{error}");
    assert!(proxy.requests()[0].starts_with("CONNECT somewhere.invalid:443 HTTP/1.1\r\n"));
}

/// A proxy that connects wherever it is told, once the name was looked up by the client.
async fn socks_proxy() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut greeting = [0; 3];
                client.read_exact(&mut greeting).await?;
                assert_eq!(greeting, [5, 1, 2]);
                client.write_all(&[5, 2]).await?;
                let mut login = [0; 12];
                client.read_exact(&mut login).await?;
                assert_eq!(&login, b"\x01\x02me\x07secret!".as_slice().first_chunk::<12>().unwrap());
                client.write_all(&[1, 0]).await?;
                let mut wanted = [0; 10];
                client.read_exact(&mut wanted).await?;
                assert_eq!(wanted[..4], [5, 1, 0, 1]);
                let port = u16::from_be_bytes([wanted[8], wanted[9]]);
                let mut server =
                    TcpStream::connect((std::net::Ipv4Addr::new(wanted[4], wanted[5], wanted[6], wanted[7]), port))
                        .await?;
                client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    address
}

#[tokio::test]
async fn a_socks_proxy_connects_to_the_address_that_was_looked_up_here() {
    let server = serve(|_, _| Reply::Keep(ok(b"page"))).await;
    let proxy = socks_proxy().await;
    let client = client_with(|options| {
        options.proxies = vec![format!("socks5://me:secret!@{proxy}")];
        options.resolve = vec!["a.test:127.0.0.1".into()];
    });
    let url = url::Url::parse(&format!("http://a.test:{}/page", server.address.port())).unwrap();
    for _ in 0..2 {
        assert_eq!(&client.fetch(get(url.clone())).await.unwrap().body[..], b"page");
    }
    let requests = server.requests();
    assert!(requests[0].starts_with("GET /page HTTP/1.1\r\n"), "{requests:?}");
    assert_eq!(server.connection_count(), 1);
}

#[tokio::test]
async fn a_tunnel_carries_tls_to_the_server_itself() {
    let (server, authority) = super::secure::tls_server(&[b"http/1.1"]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await?;
        let request = read_request(&mut client).await.unwrap();
        assert!(request.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", server.port())), "{request}");
        let mut stream = TcpStream::connect(server).await?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        copy_bidirectional(&mut client, &mut stream).await
    });
    let client = client_with(|options| {
        options.proxies = vec![format!("http://{proxy}")];
        options.certificate_authorities = Some(authority.path());
    });
    let url = url::Url::parse(&format!("https://localhost:{}/", server.port())).unwrap();
    let answer = client.fetch(get(url)).await.unwrap();
    assert_eq!(&answer.body[..], b"http/1.1");
}
