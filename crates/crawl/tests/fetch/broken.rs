//! Servers that lie, break off, drip or flood: each ends with the right kind of error, in time.

use std::io::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use super::server::{Reply, client, client_with, ok, serve, with};

async fn kind_of(reply: Reply) -> (String, String, Vec<u8>) {
    let server = serve(move |_, _| reply.clone()).await;
    let client = client_with(|options| {
        options.request_timeout = Some(Duration::from_secs(60));
        options.body_bytes = 1 << 20;
    });
    let error = client.fetch(server.get("/")).await.unwrap_err();
    let came = error.received.as_ref().map(|answer| answer.body.to_vec()).unwrap_or_default();
    (error.kind().to_owned(), error.to_string(), came)
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_with_what_came() {
    for reply in [
        with("Content-Length: 100", b"the beginning"),
        with("Transfer-Encoding: chunked", b"d\r\nthe beginning\r\n"),
        with("Transfer-Encoding: chunked", b"64\r\nthe beginning"),
    ] {
        let (kind, message, came) = kind_of(Reply::Close(reply)).await;
        assert_eq!((kind.as_str(), &came[..]), ("closed", &b"the beginning"[..]), "{message}");
        assert!(message.starts_with("http://127.0.0.1:"), "{message}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_a_protocol_error() {
    for reply in [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\0\0",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n",
    ] {
        let (kind, message, _) = kind_of(Reply::Hang(reply.to_vec())).await;
        assert_eq!(kind, "protocol", "{:?}: {message}", String::from_utf8_lossy(reply));
    }
}

#[tokio::test]
async fn a_head_without_end_is_too_large() {
    let reply = Reply::Trickle(
        b"HTTP/1.1 200 OK\r\n".to_vec(),
        b"X-Filler: abcdefghijklmnopqrstuvwxyz\r\n".repeat(50),
        Duration::ZERO,
    );
    let (kind, message, _) = kind_of(reply).await;
    assert_eq!(kind, "too_large", "{message}");
}

#[tokio::test]
async fn a_body_without_end_is_too_large_whatever_it_says() {
    let zeros = vec![0; 10_000];
    for head in ["Content-Length: 99999999999", "Connection: close"] {
        let first = with(head, b"");
        let (kind, message, came) = kind_of(Reply::Trickle(first, zeros.clone(), Duration::ZERO)).await;
        assert_eq!(kind, "too_large", "{message}");
        assert!(came.len() <= 1 << 20);
    }
    let chunk = [b"2710\r\n", &zeros[..], b"\r\n"].concat();
    let (kind, message, _) =
        kind_of(Reply::Trickle(with("Transfer-Encoding: chunked", b""), chunk, Duration::ZERO)).await;
    assert_eq!(kind, "too_large", "{message}");
}

#[tokio::test]
async fn a_compression_bomb_is_too_large_and_garbage_is_a_decompression_error() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; 16 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    let head = format!("Content-Encoding: gzip\r\nContent-Length: {}", bomb.len());
    let (kind, message, _) = kind_of(Reply::Keep(with(&head, &bomb))).await;
    assert_eq!(kind, "too_large", "{message}");
    let (kind, message, _) =
        kind_of(Reply::Keep(with("Content-Encoding: gzip\r\nContent-Length: 7", b"garbage"))).await;
    assert_eq!(kind, "decompression", "{message}");
    let half = &bomb[..bomb.len() / 4];
    let head = format!("Content-Encoding: gzip\r\nContent-Length: {}", half.len());
    let server = serve(move |_, _| Reply::Keep(with(&head, half_of(&bomb)))).await;
    let error = client().fetch(server.get("/")).await.unwrap_err();
    assert_eq!(error.kind(), "decompression", "{error}");
}

fn half_of(bomb: &[u8]) -> &[u8] {
    &bomb[..bomb.len() / 4]
}

#[tokio::test]
async fn a_server_that_says_nothing_runs_out_of_time() {
    let replies = [
        Reply::Hang(Vec::new()),
        Reply::Hang(b"HTTP/1.1 200".to_vec()),
        Reply::Hang(with("Content-Length: 9", b"part")),
    ];
    for (number, reply) in replies.into_iter().enumerate() {
        let server = serve(move |_, _| reply.clone()).await;
        let client = client_with(|options| options.request_timeout = Some(Duration::from_millis(300)));
        let error = client.fetch(server.get("/")).await.unwrap_err();
        assert_eq!(error.kind(), "timeout", "{error}");
        assert_eq!(error.received.is_some(), number == 2);
    }
}

#[tokio::test]
async fn a_server_that_drips_is_too_slow_in_head_and_body() {
    for first in [b"HTTP/1.1 200 OK\r\n".to_vec(), with("Content-Length: 1000000", b"")] {
        let server = serve(move |_, _| Reply::Trickle(first.clone(), b"x".to_vec(), Duration::from_millis(20))).await;
        let client = client_with(|options| {
            options.minimum_speed = 1_000_000;
            options.speed_window = Duration::from_millis(150);
        });
        let error = client.fetch(server.get("/")).await.unwrap_err();
        assert_eq!(error.kind(), "too_slow", "{error}");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_and_a_name_that_nobody_has_are_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error =
        client().fetch(super::server::get(url::Url::parse(&format!("http://{address}/")).unwrap())).await.unwrap_err();
    assert_eq!(error.kind(), "connect", "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    let error =
        client().fetch(super::server::get(url::Url::parse("http://nobody.invalid/").unwrap())).await.unwrap_err();
    assert_eq!(error.kind(), "dns", "{error}");
}

#[test]
fn random_bytes_never_do_more_than_fail() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let parts = prop_oneof![
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"Content-Length: 5\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"Content-Encoding: gzip, br, zstd\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"5\r\nhello\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..30),
    ];
    proptest!(ProptestConfig::with_cases(200), |(parts in proptest::collection::vec(parts, 0..12))| {
        let bytes = parts.concat();
        runtime.block_on(async {
            let server = serve(move |_, _| Reply::Close(bytes.clone())).await;
            let client = client();
            let _any_outcome = client.fetch(server.get("/")).await;
            let _with_a_kept_connection = client.fetch(server.get("/")).await;
        });
    });
}

#[tokio::test]
async fn a_limit_in_the_request_counts_instead_of_the_clients() {
    let server = serve(|_, _| Reply::Keep(ok(&[0; 1000]))).await;
    let limits = threefold_crawl::fetch::Limits {
        connect: None,
        read: Some(Duration::from_secs(60)),
        total: None,
        body_bytes: 999,
    };
    let request = threefold_crawl::fetch::Request { limits: Some(limits), ..server.get("/") };
    assert_eq!(client().fetch(request).await.unwrap_err().kind(), "too_large");
    let server = serve(|_, _| Reply::Hang(with("Content-Length: 9", b"part"))).await;
    let limits = threefold_crawl::fetch::Limits { read: Some(Duration::from_millis(100)), ..limits };
    let request = threefold_crawl::fetch::Request { limits: Some(limits), ..server.get("/") };
    assert_eq!(client().fetch(request).await.unwrap_err().kind(), "timeout");
}
