//! What one request says.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use url::Url;

use super::error::{ErrorKind, FetchError};
use super::proxy::Proxy;

/// Which addresses a request may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Admission {
    /// Only those that anybody on the internet may ask: no loopback, private or link-local ones.
    #[default]
    Public,
    /// All.
    All,
}

/// Through which proxy a request goes.
#[derive(Debug, Clone, Default)]
pub enum ProxyChoice {
    /// The client's proxy for the host, if it has any.
    #[default]
    Client,
    /// None.
    Direct,
    /// This one.
    Through(Arc<Proxy>),
}

/// Times and sizes of one request that differ from the client's.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For getting a connection; none for as long as it takes.
    pub connect: Option<Duration>,
    /// Between two arrivals of bytes; none for as long as it takes.
    pub read: Option<Duration>,
    /// For the whole request; none for as long as it takes.
    pub total: Option<Duration>,
    /// Of the body after decompression, in bytes.
    pub body_bytes: u64,
}

/// A request's body.
#[derive(Debug, Default)]
pub enum RequestBody {
    /// None.
    #[default]
    Empty,
    /// All of it.
    Bytes(Bytes),
    /// Pieces as they are made, sent with `Transfer-Encoding: chunked` unless the headers name a length; an error ends the request.
    Stream(mpsc::Receiver<io::Result<Bytes>>),
}

impl From<Vec<u8>> for RequestBody {
    fn from(body: Vec<u8>) -> Self {
        if body.is_empty() { Self::Empty } else { Self::Bytes(body.into()) }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Stream(pieces) => Poll::Ready(ready!(pieces.poll_recv(context)).map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// One request.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The address.
    pub url: Url,
    /// Path and query as they are to be sent, where that is not what the URL has.
    pub target: Option<String>,
    /// Headers, in order; they replace the client's of the same name.
    pub headers: Vec<(String, Bytes)>,
    /// The body.
    pub body: RequestBody,
    /// Which addresses it may lead to.
    pub admission: Admission,
    /// Through which proxy it goes.
    pub proxy: ProxyChoice,
    /// Times and sizes other than the client's.
    pub limits: Option<Limits>,
    /// False to have the body as it comes over the wire, and no `Accept-Encoding` but the request's own.
    pub decode: bool,
}

impl Request {
    /// A GET.
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            target: None,
            headers: Vec::new(),
            body: RequestBody::Empty,
            admission: Admission::default(),
            proxy: ProxyChoice::default(),
            limits: None,
            decode: true,
        }
    }

    /// A request of another method; empty for GET.
    ///
    /// # Errors
    /// The method is no token.
    pub fn new(method: &str, url: Url) -> Result<Self, FetchError> {
        let mut request = Self::get(url);
        if !method.is_empty() {
            request.method = Method::from_bytes(method.as_bytes())
                .map_err(|_| FetchError::new(ErrorKind::Request, format!("{method:?} is no HTTP method")))?;
        }
        Ok(request)
    }
}
