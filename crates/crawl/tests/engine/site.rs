//! A small web site in the test's own process: answers come from a function, every request is written down.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request as the site saw it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The header lines, as they came.
    pub head: String,
    /// When it came.
    pub time: Instant,
}

impl Asked {
    /// The value of a header; empty where it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let same = |line: &&str| line.split(':').next().is_some_and(|field| field.eq_ignore_ascii_case(name));
        self.head.lines().find(same).and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
    }
}

/// What the site answers.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    delay: Duration,
}

impl Reply {
    /// A page of HTML.
    pub(crate) fn html(body: impl Into<String>) -> Self {
        Self::status(200).with("Content-Type", "text/html; charset=utf-8").body(body.into())
    }

    /// A page with nothing but these links.
    pub(crate) fn links<T: AsRef<str>>(targets: &[T]) -> Self {
        let mut anchors = String::new();
        for target in targets {
            let _ = write!(anchors, "<a href=\"{}\">x</a>", target.as_ref());
        }
        Self::html(format!("<!doctype html><title>t</title>{anchors}"))
    }

    /// A redirect.
    pub(crate) fn redirect(status: u16, target: impl Into<String>) -> Self {
        Self::status(status).with("Location", target)
    }

    /// An empty answer.
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), delay: Duration::ZERO }
    }

    /// With one header more.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With this body.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Answered so much later.
    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A running site; gone when dropped.
pub(crate) struct Site {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    most_at_once: Arc<AtomicUsize>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Site {
    /// Starts a site on a free port of 127.0.0.1.
    pub(crate) fn start(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1", handler)
    }

    /// Starts a site on a free port of the address.
    pub(crate) fn start_on(address: &str, handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((address, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let most_at_once = Arc::new(AtomicUsize::new(0));
        let at_once = Arc::new(AtomicUsize::new(0));
        let handler: Arc<Handler> = Arc::new(handler);
        let (log, most) = (Arc::clone(&asked), Arc::clone(&most_at_once));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, most, at_once, handler) =
                    (Arc::clone(&log), Arc::clone(&most), Arc::clone(&at_once), Arc::clone(&handler));
                tokio::spawn(async move { serve(stream, &log, &most, &at_once, &*handler).await });
            }
        });
        Self { address, asked, most_at_once, runtime: Some(runtime) }
    }

    /// An address on the site.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The paths that were asked for, in order, robots.txt left out.
    pub(crate) fn paths(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|each| each.path.clone()).filter(|path| path != "/robots.txt").collect()
    }

    /// The paths that were asked for, each once, sorted, robots.txt left out.
    pub(crate) fn path_set(&self) -> Vec<String> {
        let mut paths = self.paths();
        paths.sort();
        paths.dedup();
        paths
    }

    /// All requests, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many requests were in work at once, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Asked>>,
    most_at_once: &AtomicUsize,
    at_once: &AtomicUsize,
    handler: &Handler,
) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Some(asked) = request(&mut stream, &mut buffer).await {
        most_at_once.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        log.lock().unwrap().push(asked.clone());
        let reply = handler(&asked);
        if !reply.delay.is_zero() {
            tokio::time::sleep(reply.delay).await;
        }
        at_once.fetch_sub(1, Ordering::SeqCst);
        let mut answer = format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
        for (name, value) in &reply.headers {
            let _ = write!(answer, "{name}: {value}\r\n");
        }
        answer.push_str("\r\n");
        let mut answer = answer.into_bytes();
        if asked.method != "HEAD" && reply.status != 304 {
            answer.extend_from_slice(&reply.body);
        }
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    let end = loop {
        if let Some(position) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break position + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end);
    let mut words = head.split(' ');
    let asked = Asked { method: words.next()?.to_owned(), path: words.next()?.to_owned(), head, time: Instant::now() };
    let length: usize = asked.header("content-length").parse().unwrap_or(0);
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    buffer.drain(..length);
    Some(asked)
}
