//! Answers as they should be.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use threefold_crawl::fetch::{Budget, Jar, Request, RequestBody};

use super::server::{Reply, client, client_with, get, ok, serve, with};

#[tokio::test]
async fn a_page_comes_with_status_headers_and_body() {
    let server = serve(|_, _| Reply::Keep(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX-Name: caf\xe9\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\ngone".to_vec())).await;
    let answer = client().fetch(server.get("/page?q=1")).await.unwrap();
    assert_eq!((answer.status, &answer.body[..], answer.wire_bytes), (404, &b"gone"[..], 4));
    assert_eq!(answer.headers.get("x-name").unwrap(), b"caf\xe9");
    assert_eq!(answer.headers.get_all("set-cookie").collect::<Vec<_>>(), [b"a=1", b"b=2"]);
    let request = &server.requests()[0];
    assert!(request.starts_with("GET /page?q=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("Host: {}\r\n", server.address)), "{request}");
    assert!(
        request.contains("User-Agent: threefold/") && request.contains("Accept-Encoding: gzip, deflate, br, zstd\r\n")
    );
}

#[tokio::test]
async fn bodies_of_every_framing_are_read_to_their_end() {
    let server = serve(|path, _| match path {
        "/chunked" => Reply::Keep(with(
            "Transfer-Encoding: chunked",
            b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nTrailer: x\r\n\r\n",
        )),
        "/close" => Reply::Close(with("Connection: close", b"hello, world")),
        "/none" => Reply::Keep(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        "/same" => Reply::Keep(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n".to_vec()),
        "/early" => Reply::Keep([&b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"[..], &ok(b"hello, world")].concat()),
        "/old" => Reply::Close(b"HTTP/1.0 200 OK\r\n\r\nhello, world".to_vec()),
        _ => Reply::Keep(ok(&b"0123456789".repeat(100_000))),
    })
    .await;
    let client = client();
    for path in ["/chunked", "/close", "/early", "/old"] {
        assert_eq!(&client.fetch(server.get(path)).await.unwrap().body[..], b"hello, world", "{path}");
    }
    for (path, status) in [("/none", 204), ("/same", 304)] {
        let answer = client.fetch(server.get(path)).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (status, 0));
    }
    let answer = client.fetch(server.get("/large")).await.unwrap();
    assert_eq!(answer.body, b"0123456789".repeat(100_000));
    let head = Request { method: threefold_crawl::fetch::Method::HEAD, ..server.get("/head") };
    let server = serve(|_, _| Reply::Keep(with("Content-Length: 100", b""))).await;
    let head = Request { url: server.url("/"), ..head };
    let answer = client.fetch(head).await.unwrap();
    assert_eq!((answer.status, answer.body.len(), answer.headers.text("content-length")), (200, 0, Some("100")));
}

#[tokio::test]
async fn a_compressed_body_is_decompressed_and_its_wire_bytes_are_counted() {
    let page = b"<p>some words".repeat(1000);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&page).unwrap();
    let small = encoder.finish().unwrap();
    let (length, sent) = (small.len() as u64, small.clone());
    let server =
        serve(move |_, _| Reply::Keep(with(&format!("Content-Encoding: gzip\r\nContent-Length: {length}"), &sent)))
            .await;
    let answer = client().fetch(server.get("/")).await.unwrap();
    assert_eq!((&answer.body[..], answer.wire_bytes), (&page[..], length));
    let raw = client().fetch(Request { decode: false, ..server.get("/") }).await.unwrap();
    assert_eq!(&raw.body[..], &small[..]);
    assert!(!server.requests()[1].contains("Accept-Encoding"));
}

#[tokio::test]
async fn a_download_comes_in_pieces_and_gives_its_connection_back() {
    let server = serve(|_, _| Reply::Keep(ok(&vec![7; 1 << 20]))).await;
    let client = client();
    for _ in 0..2 {
        let mut download = client.open(server.get("/")).await.unwrap();
        let (mut pieces, mut bytes) = (0, 0);
        while let Some(piece) = download.chunk().await.unwrap() {
            pieces += 1;
            bytes += piece.len();
        }
        assert!(pieces > 1 && bytes == 1 << 20, "{pieces} pieces, {bytes} bytes");
    }
    assert_eq!(server.connection_count(), 1);
}

#[tokio::test]
async fn methods_headers_and_bodies_go_out_as_given() {
    let server = serve(|_, _| Reply::Keep(ok(b""))).await;
    let client = client_with(|options| options.headers.push(("X-All".into(), "1".into())));
    let mut request = Request::new("PUT", server.url("/put")).unwrap();
    request.admission = threefold_crawl::fetch::Admission::All;
    request.headers =
        vec![("user-agent".into(), Bytes::from_static(b"mine")), ("X-Own".into(), Bytes::from_static(b"2"))];
    request.body = b"a body".to_vec().into();
    client.fetch(request).await.unwrap();
    let (sender, pieces) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        for piece in ["one ", "two"] {
            sender.send(Ok(Bytes::from_static(piece.as_bytes()))).await.unwrap();
        }
    });
    let request = Request { body: RequestBody::Stream(pieces), ..Request::new("POST", server.url("/stream")).unwrap() };
    client.fetch(Request { admission: threefold_crawl::fetch::Admission::All, ..request }).await.unwrap();
    let seen = server.requests();
    assert!(seen[0].starts_with("PUT /put HTTP/1.1\r\n") && seen[0].ends_with("\r\n\r\na body"), "{}", seen[0]);
    assert!(seen[0].contains("User-Agent: mine\r\n") && !seen[0].contains("threefold/"), "{}", seen[0]);
    assert!(
        seen[0].contains("X-All: 1\r\n")
            && seen[0].contains("X-Own: 2\r\n")
            && seen[0].contains("Content-Length: 6\r\n")
    );
    assert!(
        seen[1].contains("Transfer-Encoding: chunked\r\n") && seen[1].ends_with("4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"),
        "{}",
        seen[1]
    );
}

#[tokio::test]
async fn cookies_come_back_to_the_server_that_set_them() {
    let server = serve(|_, count| {
        Reply::Keep(if count == 0 {
            with("Set-Cookie: session=abc; Path=/\r\nContent-Length: 0", b"")
        } else {
            ok(b"")
        })
    })
    .await;
    let client = client_with(|options| options.jar = Some(Arc::new(Jar::new())));
    client.fetch(server.get("/")).await.unwrap();
    client.fetch(server.get("/next")).await.unwrap();
    let seen = server.requests();
    assert!(!seen[0].contains("Cookie") && seen[1].contains("Cookie: session=abc\r\n"), "{seen:?}");
}

#[tokio::test]
async fn a_login_in_the_address_and_odd_targets_are_sent() {
    let server = serve(|_, _| Reply::Keep(ok(b""))).await;
    let client = client();
    let url = url::Url::parse(&format!("http://me:p%40ss@{}/a|b?q='`^{{}}#top", server.address)).unwrap();
    client.fetch(get(url)).await.unwrap();
    client.fetch(Request { target: Some("/a b/../\"c\"".into()), ..server.get("/") }).await.unwrap();
    let seen = server.requests();
    assert!(seen[0].contains("Authorization: Basic bWU6cEBzcw==\r\n"), "{}", seen[0]);
    assert!(seen[0].starts_with("GET /a|b?q="), "{}", seen[0]);
    assert!(seen[1].starts_with("GET /a%20b/../%22c%22 HTTP/1.1"), "{}", seen[1]);
}

#[tokio::test]
async fn what_can_not_be_sent_is_refused_before_it_is_sent() {
    let server = serve(|_, _| Reply::Keep(ok(b""))).await;
    let client = client();
    for (name, value) in [("a b", "x"), ("", "x"), ("a", "x\r\ny: z"), ("a", "\0")] {
        let headers = vec![(name.to_owned(), Bytes::copy_from_slice(value.as_bytes()))];
        let error = client.fetch(Request { headers, ..server.get("/") }).await.unwrap_err();
        assert_eq!(error.kind(), "request", "{error}");
    }
    assert!(Request::new("GE T", server.url("/")).is_err());
    let ftp = get(url::Url::parse("ftp://a.test/").unwrap());
    assert_eq!(client.fetch(ftp).await.unwrap_err().kind(), "request");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn bodies_that_share_a_small_budget_all_come_whole() {
    let body = b"0123456789".repeat(150_000);
    let sent = ok(&body);
    let server = serve(move |_, _| Reply::Keep(sent.clone())).await;
    // One body beside the free parts: all others wait in the middle.
    let client = client_with(|options| options.budget = Some(Arc::new(Budget::new(2 << 20, 2 << 20))));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..12 {
        let (client, request) = (client.clone(), server.get(&format!("/{number}")));
        tasks.spawn(async move { client.fetch(request).await.unwrap() });
    }
    while let Some(answer) = tasks.join_next().await {
        assert!(answer.unwrap().body == body);
    }
    assert_eq!(server.connection_count(), 12);
}
