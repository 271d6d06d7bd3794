//! Kept connections, and those that the server closed meanwhile.

use threefold_crawl::fetch::Request;

use super::server::{Reply, client, client_with, ok, serve, with};

#[tokio::test]
async fn requests_one_after_another_use_one_connection() {
    let server = serve(|_, _| Reply::Keep(ok(b"page"))).await;
    let client = client();
    for count in 0..10 {
        let answer = client.fetch(server.get("/")).await.unwrap();
        assert_eq!(answer.reused, count > 0);
    }
    assert_eq!(server.connection_count(), 1);
}

#[tokio::test]
async fn a_connection_that_the_server_closes_or_confuses_is_not_used_again() {
    let server = serve(|path, _| match path {
        "/close" => Reply::Keep(with("Connection: close\r\nContent-Length: 4", b"page")),
        _ => Reply::Keep([ok(b"page"), b"and more".to_vec()].concat()),
    })
    .await;
    let client = client();
    for path in ["/close", "/close", "/more", "/more"] {
        assert_eq!(&client.fetch(server.get(path)).await.unwrap().body[..], b"page");
    }
    assert_eq!(server.connection_count(), 4);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced_without_an_error() {
    // The second request on each connection is read, and never answered.
    let server = serve(|_, count| if count == 0 { Reply::Keep(ok(b"page")) } else { Reply::Close(Vec::new()) }).await;
    let client = client();
    for _ in 0..4 {
        assert_eq!(&client.fetch(server.get("/")).await.unwrap().body[..], b"page");
    }
    assert_eq!(server.requests().len(), 7);
}

#[tokio::test]
async fn what_changes_something_is_not_sent_a_second_time() {
    let server = serve(|_, count| if count == 0 { Reply::Keep(ok(b"page")) } else { Reply::Close(Vec::new()) }).await;
    let client = client();
    client.fetch(server.get("/")).await.unwrap();
    let post = Request { method: threefold_crawl::fetch::Method::POST, ..server.get("/") };
    assert_eq!(client.fetch(post).await.unwrap_err().kind(), "closed");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_new_connection_that_closes_without_an_answer_is_an_error() {
    let server = serve(|_, _| Reply::Close(Vec::new())).await;
    let error = client().fetch(server.get("/")).await.unwrap_err();
    assert_eq!(error.kind(), "closed", "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn connections_that_idle_for_too_long_or_are_too_many_are_closed() {
    let server = serve(|_, _| Reply::Keep(ok(b"page"))).await;
    let short = client_with(|options| options.idle_timeout = std::time::Duration::ZERO);
    short.fetch(server.get("/")).await.unwrap();
    short.fetch(server.get("/")).await.unwrap();
    assert_eq!(server.connection_count(), 2);
    let none = client_with(|options| options.idle_count = 0);
    none.fetch(server.get("/")).await.unwrap();
    none.fetch(server.get("/")).await.unwrap();
    assert_eq!(server.connection_count(), 4);
}

#[tokio::test]
async fn many_requests_at_once_each_get_their_own_answer() {
    let server = serve(|path, _| Reply::Keep(ok(path.as_bytes()))).await;
    let client = client();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let (client, request) = (client.clone(), server.get(&format!("/{number}")));
        tasks.spawn(async move { (number, client.fetch(request).await.unwrap().body) });
    }
    while let Some(done) = tasks.join_next().await {
        let (number, body) = done.unwrap();
        assert_eq!(body, format!("/{number}"));
    }
}
