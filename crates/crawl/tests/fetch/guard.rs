//! Private addresses are not dialled unless the request may.

use threefold_crawl::fetch::{Admission, Request};

use super::server::{Reply, client, client_with, get, ok, serve};

#[tokio::test]
async fn a_private_address_is_refused_however_it_is_written() {
    let server = serve(|_, _| Reply::Keep(ok(b"secret"))).await;
    let port = server.address.port();
    let client = client_with(|options| options.resolve = vec!["inside.test:127.0.0.1".into()]);
    for host in
        ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "inside.test"]
    {
        let url = url::Url::parse(&format!("http://{host}:{port}/")).unwrap();
        let error = client.fetch(Request::get(url.clone())).await.unwrap_err();
        assert_eq!(error.kind(), "private_address", "{host}: {error}");
        assert!(client.is_private(&url).await.unwrap(), "{host}");
    }
    assert_eq!(server.connection_count(), 0);
}

#[tokio::test]
async fn a_connection_made_with_more_freedom_is_not_lent_to_a_request_with_less() {
    let server = serve(|_, _| Reply::Keep(ok(b"secret"))).await;
    let client = client();
    client.fetch(server.get("/")).await.unwrap();
    let strict = Request { admission: Admission::Public, ..server.get("/") };
    assert_eq!(client.fetch(strict).await.unwrap_err().kind(), "private_address");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_table_of_names_replaces_the_look_up() {
    let server = serve(|_, _| Reply::Keep(ok(b"page"))).await;
    let client = client_with(|options| options.resolve = vec!["*.test:127.0.0.1".into()]);
    for host in ["a.test", "b.a.test"] {
        let url = url::Url::parse(&format!("http://{host}:{}/", server.address.port())).unwrap();
        assert_eq!(client.fetch(get(url)).await.unwrap().status, 200);
    }
    assert!(server.requests()[0].contains("Host: a.test:"));
    assert_eq!(server.connection_count(), 2);
}

#[tokio::test]
async fn behind_a_proxy_private_literals_are_refused_before_it_is_asked() {
    let server = serve(|_, _| Reply::Keep(ok(b"page"))).await;
    let client = client_with(|options| options.proxies = vec![format!("http://{}", server.address)]);
    let url = url::Url::parse("http://169.254.169.254/latest").unwrap();
    assert_eq!(client.fetch(Request::get(url)).await.unwrap_err().kind(), "private_address");
    assert_eq!(server.connection_count(), 0);
}
