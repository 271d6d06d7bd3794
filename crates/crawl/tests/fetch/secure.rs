//! TLS: who is trusted, what is shown, which HTTP is agreed on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use threefold_crawl::fetch::Version;
use tokio::net::TcpListener;

use super::server::{client_with, get};

/// A PEM file that goes with the test.
pub(crate) struct PemFile(PathBuf);

impl PemFile {
    pub(crate) fn new(text: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("threefold-fetch-{}-{}.pem", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.clone()
    }
}

impl Drop for PemFile {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(&self.0);
    }
}

/// A server that answers with the protocol that was agreed on, and the certificate to trust it by.
pub(crate) async fn tls_server(protocols: &[&[u8]]) -> (SocketAddr, PemFile) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(made.cert.der().to_vec())], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let agreed = stream.get_ref().1.alpn_protocol().unwrap_or(b"none").to_vec();
                let is_http2 = agreed == b"h2";
                let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let mut text = String::from_utf8_lossy(&agreed).into_owned();
                    if request.uri().path() != "/" {
                        text.push_str(&request.uri().to_string());
                    }
                    async move { Ok::<_, std::convert::Infallible>(hyper::Response::new(Full::new(Bytes::from(text)))) }
                });
                let io = TokioIo::new(stream);
                if is_http2 {
                    let _ended = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(io, service)
                        .await;
                } else {
                    let _ended = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
                }
            });
        }
    });
    (address, PemFile::new(&made.cert.pem()))
}

fn url(address: SocketAddr, path: &str) -> url::Url {
    url::Url::parse(&format!("https://localhost:{}{path}", address.port())).unwrap()
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_is_named_is_trusted() {
    let (server, authority) = tls_server(&[b"http/1.1"]).await;
    let client = client_with(|options| options.certificate_authorities = Some(authority.path()));
    let answer = client.fetch(get(url(server, "/"))).await.unwrap();
    assert_eq!((&answer.body[..], answer.version), (&b"http/1.1"[..], Version::HTTP_11));
    assert!(client.fetch(get(url(server, "/"))).await.unwrap().reused);
}

#[tokio::test]
async fn a_certificate_of_nobody_is_refused_unless_told_otherwise() {
    let (server, _) = tls_server(&[b"http/1.1"]).await;
    let (_, other) = tls_server(&[]).await;
    let strict = client_with(|options| options.certificate_authorities = Some(other.path()));
    let error = strict.fetch(get(url(server, "/"))).await.unwrap_err();
    assert_eq!(error.kind(), "tls", "{error}");
    let lenient = client_with(|options| options.verify_tls = false);
    assert_eq!(lenient.fetch(get(url(server, "/"))).await.unwrap().status, 200);
}

#[tokio::test]
async fn http2_is_used_where_the_server_offers_it() {
    let (server, authority) = tls_server(&[b"h2", b"http/1.1"]).await;
    let client = client_with(|options| options.certificate_authorities = Some(authority.path()));
    let answer = client.fetch(get(url(server, "/"))).await.unwrap();
    assert_eq!((&answer.body[..], answer.version), (&b"h2"[..], Version::HTTP_2));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..50 {
        let (client, request) = (client.clone(), get(url(server, &format!("/{number}?x"))));
        tasks.spawn(async move { (number, client.fetch(request).await.unwrap()) });
    }
    while let Some(done) = tasks.join_next().await {
        let (number, answer) = done.unwrap();
        assert_eq!(answer.body, format!("h2https://localhost:{}/{number}?x", server.port()));
    }
    let old = client_with(|options| {
        options.http2 = false;
        options.certificate_authorities = Some(authority.path());
    });
    assert_eq!(&old.fetch(get(url(server, "/"))).await.unwrap().body[..], b"http/1.1");
}

#[tokio::test]
async fn what_does_not_speak_tls_is_a_tls_error() {
    let server = super::server::serve(|_, _| super::server::Reply::Close(b"no TLS here".to_vec())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _sent = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let client = client_with(|options| options.verify_tls = false);
    assert_eq!(client.fetch(get(url(address, "/"))).await.unwrap_err().kind(), "tls");
    drop(server);
}

#[tokio::test]
async fn files_of_certificates_that_are_none_are_named() {
    let (server, _) = tls_server(&[]).await;
    let nonsense = PemFile::new("no certificate");
    for path in [nonsense.path(), PathBuf::from("/nonexistent.pem")] {
        let client = client_with(|options| options.certificate_authorities = Some(path.clone()));
        let error = client.fetch(get(url(server, "/"))).await.unwrap_err();
        assert_eq!(error.kind(), "request");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}
