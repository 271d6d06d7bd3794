//! Fetches `/p/0.html` to `/p/N.html` of a server again and again: `fetch_pages URL PAGES REQUESTS CONCURRENCY`. For measuring
//! what a fetch costs; it prints nothing but the number of bytes.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use threefold_crawl::fetch::{Admission, Client, ClientOptions, FetchError, Request};
use url::Url;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, numbers @ ..] = &arguments[..] else {
        return Err(std::io::Error::other("URL PAGES REQUESTS CONCURRENCY"));
    };
    let numbers: Vec<u64> = numbers.iter().filter_map(|number| number.parse().ok()).collect();
    let [pages, requests, concurrency] = numbers[..] else {
        return Err(std::io::Error::other("three numbers are missing"));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bytes = runtime.block_on(run(server.clone(), pages, requests, concurrency)).map_err(std::io::Error::other)?;
    writeln!(std::io::stdout(), "{bytes}")
}

async fn run(server: String, pages: u64, requests: u64, concurrency: u64) -> Result<u64, FetchError> {
    let client = Client::new(ClientOptions::default())?;
    let (next, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..concurrency {
        let (client, server, next, bytes) = (client.clone(), server.clone(), Arc::clone(&next), Arc::clone(&bytes));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests {
                    return Ok::<_, FetchError>(());
                }
                let Ok(url) = Url::parse(&format!("{server}/p/{}.html", number % pages)) else { return Ok(()) };
                let answer = client.fetch(Request { admission: Admission::All, ..Request::get(url) }).await?;
                bytes.fetch_add(answer.body.len() as u64, Ordering::Relaxed);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap_or(Ok(()))?;
    }
    Ok(bytes.load(Ordering::Relaxed))
}
