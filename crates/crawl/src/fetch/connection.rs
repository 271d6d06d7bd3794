//! One connection: hyper's state machine, polled by the task that waits for the answer.
//!
//! The usual way to use hyper is a task for each connection and a channel between it and the request. Here the request's own
//! task polls the connection, so a request costs one write, one or two reads and no wake-up of another task.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use http::{Request as Message, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::error::{ErrorKind, FetchError, chain};
use super::request::RequestBody;
use super::watch::{Expired, Watch};
use super::wire::{Meter, Metered, Wire};

/// A connection that may take a request.
#[derive(Debug)]
pub(super) enum Connection {
    One(Box<Http1>),
    Two(Http2),
}

/// HTTP/1.1: one request at a time.
#[derive(Debug)]
pub(super) struct Http1 {
    sender: http1::SendRequest<RequestBody>,
    driver: http1::Connection<TokioIo<Metered>, RequestBody>,
    is_over: bool,
    meter: Arc<Meter>,
    pub(super) address: SocketAddr,
    /// True once it has carried a request.
    pub(super) is_used: bool,
}

/// HTTP/2: any number of requests; a task of its own polls it.
#[derive(Debug, Clone)]
pub(super) struct Http2 {
    sender: http2::SendRequest<RequestBody>,
    pub(super) address: SocketAddr,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was not sent: another connection may take it, with the body that is given back.
    Unsent(RequestBody),
    /// The connection had been kept, and was closed before a byte of the answer came.
    Lost(FetchError),
    /// Anything else.
    Final(FetchError),
    /// Time ran out.
    Expired(Expired),
}

impl Http1 {
    pub(super) async fn new(wire: Wire, address: SocketAddr, buffer_bytes: usize) -> Result<Self, FetchError> {
        let meter = Arc::new(Meter::default());
        let metered = Metered { wire, meter: Arc::clone(&meter) };
        let (sender, driver) = http1::Builder::new()
            .read_buf_exact_size(Some(buffer_bytes))
            .title_case_headers(true)
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .ignore_invalid_headers_in_responses(true)
            .handshake(TokioIo::new(metered))
            .await
            .map_err(|error| describe(&error, buffer_bytes))?;
        Ok(Self { sender, driver, is_over: false, meter, address, is_used: false })
    }

    /// Bytes that have gone over it in both directions.
    pub(super) fn moved_bytes(&self) -> u64 {
        self.meter.moved_bytes()
    }

    /// Bytes that have come over it in all.
    pub(super) fn bytes(&self) -> u64 {
        self.meter.read_bytes()
    }

    /// Whether it can take a request now; notices that the server has closed it.
    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|context| {
            self.poll_driver(context);
            Poll::Ready(())
        })
        .await;
        !self.is_over && self.sender.is_ready()
    }

    fn poll_driver(&mut self, context: &mut std::task::Context<'_>) {
        if !self.is_over && Pin::new(&mut self.driver).poll(context).is_ready() {
            // How it ended is told to the request, if there is one.
            self.is_over = true;
        }
    }

    /// Waits for `wanted`, which comes over this connection.
    pub(super) async fn drive<F: Future>(
        &mut self,
        watch: &mut Watch,
        begun_at: u64,
        wanted: F,
    ) -> Result<F::Output, Expired> {
        let mut wanted = pin!(wanted);
        poll_fn(|context| {
            if let Poll::Ready(output) = wanted.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            self.poll_driver(context);
            if let Poll::Ready(output) = wanted.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            let bytes = self.bytes();
            watch.poll(context, bytes, self.meter.moved_bytes(), bytes > begun_at).map(Err)
        })
        .await
    }

    /// Sends a request and waits for the answer's head.
    pub(super) async fn send(
        &mut self,
        message: Message<RequestBody>,
        watch: &mut Watch,
        buffer_bytes: usize,
    ) -> Result<Response<Incoming>, Failure> {
        let begun_at = self.bytes();
        let was_used = std::mem::replace(&mut self.is_used, true);
        let sending = self.sender.try_send_request(message);
        let mut error = match self.drive(watch, begun_at, sending).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => error,
            Err(expired) => return Err(Failure::Expired(expired)),
        };
        if let Some(message) = error.take_message() {
            return Err(Failure::Unsent(message.into_body()));
        }
        let described = describe(error.error(), buffer_bytes);
        let is_lost = was_used && self.bytes() == begun_at && described.error_kind() == ErrorKind::Closed;
        Err(if is_lost { Failure::Lost(described) } else { Failure::Final(described) })
    }
}

impl Http2 {
    pub(super) async fn new(wire: Wire, address: SocketAddr, header_bytes: usize) -> Result<Self, FetchError> {
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
            .handshake(TokioIo::new(wire))
            .await
            .map_err(|error| describe(&error, header_bytes))?;
        // It ends when the last sender is gone; its error is told to the requests.
        tokio::spawn(async move {
            let _told_to_the_requests = driver.await;
        });
        Ok(Self { sender, address })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends a request and waits for the answer's head.
    pub(super) async fn send(
        &mut self,
        message: Message<RequestBody>,
        watch: &mut Watch,
        header_bytes: usize,
    ) -> Result<Response<Incoming>, Failure> {
        let mut error = match watched(watch, 0, self.sender.try_send_request(message)).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => error,
            Err(expired) => return Err(Failure::Expired(expired)),
        };
        if let Some(message) = error.take_message() {
            return Err(Failure::Unsent(message.into_body()));
        }
        let described = describe(error.error(), header_bytes);
        // A server that goes away says up to which request it has read; hyper gives no more of it than this.
        let is_lost = described.error_kind() == ErrorKind::Closed;
        Err(if is_lost { Failure::Lost(described) } else { Failure::Final(described) })
    }
}

/// Waits for `wanted`, of whose bytes so many have come, which another task sees to.
pub(super) async fn watched<F: Future>(watch: &mut Watch, bytes: u64, wanted: F) -> Result<F::Output, Expired> {
    let mut wanted = pin!(wanted);
    poll_fn(|context| match wanted.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => watch.poll(context, bytes, bytes, bytes > 0).map(Err),
    })
    .await
}

/// hyper's error as ours; the sentence begins with what happened.
pub(super) fn describe(error: &hyper::Error, header_bytes: usize) -> FetchError {
    let io_error = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    // hyper's own question for this is for its servers only.
    if error.is_parse() && error.to_string().contains("too large") {
        let message = format!("the answer's head has more than {header_bytes} bytes or 100 headers");
        return FetchError::new(ErrorKind::TooLarge, message);
    }
    if error.is_user() {
        return FetchError::new(ErrorKind::Request, format!("the request could not be sent: {}", chain(error)));
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return FetchError::new(ErrorKind::Closed, "the connection was closed before the answer was complete");
    }
    let kind = match io_error.map(std::io::Error::kind) {
        Some(std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput) | None => ErrorKind::Protocol,
        Some(_) => ErrorKind::Closed,
    };
    let what = match kind {
        ErrorKind::Closed => "the connection broke before the answer was complete",
        _ => "the answer is no valid HTTP",
    };
    FetchError::new(kind, format!("{what}: {}", chain(error)))
}
