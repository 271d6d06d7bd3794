//! An answer whose body is still to come.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, Method, Response, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::ext::ReasonPhrase;
use tokio::time::Instant;
use url::Url;

use super::answer::{Answer, Headers};
use super::budget::Share;
use super::client::{Shared, too_late};
use super::connection::{Http1, describe, watched};
use super::decode::{Bounds, DecodeError, Decoder};
use super::error::{ErrorKind, FetchError};
use super::request::{Limits, Request};
use super::watch::Watch;

/// The head of an answer, and what its body comes over.
pub(super) struct Beginning {
    pub(super) response: Response<Incoming>,
    /// The connection, where it belongs to this answer alone.
    pub(super) carrier: Option<Box<Http1>>,
    pub(super) watch: Watch,
    pub(super) started: Instant,
    pub(super) address: SocketAddr,
    pub(super) reused: bool,
}

/// An answer whose body is still to come. Dropped before its end, it closes its connection.
pub struct Download {
    /// The status.
    pub status: u16,
    /// The status in words, where the server has its own.
    pub reason: Option<String>,
    /// The version of HTTP.
    pub version: Version,
    /// The headers.
    pub headers: Headers,
    /// From the start of the request to the end of the answer's head.
    pub first_byte: Duration,
    /// The address that answered: of the proxy, where there is one.
    pub address: SocketAddr,
    /// True where the connection had been used before.
    pub reused: bool,
    url: Url,
    shared: Arc<Shared>,
    place: String,
    body: Incoming,
    carrier: Option<Box<Http1>>,
    watch: Watch,
    started: Instant,
    decoder: Option<Decoder>,
    /// `Content-Length`, where it is true.
    length: Option<u64>,
    limit: u64,
    wire_bytes: u64,
    given_bytes: u64,
    is_over: bool,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Download")
            .field("url", &self.url.as_str())
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Download {
    pub(super) fn new(
        shared: Arc<Shared>,
        place: String,
        beginning: Beginning,
        request: Request,
        limits: Limits,
    ) -> Self {
        let Beginning { response, carrier, watch, started, address, reused } = beginning;
        let (parts, body) = response.into_parts();
        let has_body = request.method != Method::HEAD && !body.is_end_stream();
        let bounds = Bounds { bytes: limits.body_bytes, expansion: shared.options.expansion };
        let decoder = if request.decode && has_body { decoder(&parts.headers, bounds) } else { None };
        Self {
            status: parts.status.as_u16(),
            reason: parts
                .extensions
                .get::<ReasonPhrase>()
                .map(|own| String::from_utf8_lossy(own.as_bytes()).into_owned()),
            version: parts.version,
            headers: Headers::from(&parts.headers),
            first_byte: started.elapsed(),
            address,
            reused,
            url: request.url,
            shared,
            place,
            length: parts.headers.get(CONTENT_LENGTH).filter(|_| has_body).and_then(|_| body.size_hint().exact()),
            body,
            carrier,
            watch,
            started,
            decoder,
            limit: limits.body_bytes,
            wire_bytes: 0,
            given_bytes: 0,
            is_over: false,
        }
    }

    /// The address that was asked for.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Bytes of the body that have come over the wire.
    pub fn wire_bytes(&self) -> u64 {
        self.wire_bytes
    }

    /// The next piece of the body, decompressed; none at its end.
    ///
    /// # Errors
    /// The rest does not come, or is not what it should be.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let (bytes, moved) = self.progress();
        self.watch.restart(bytes, moved);
        loop {
            let Some(piece) = self.piece().await? else {
                let rest = self.decoder.as_mut().map(Decoder::take).unwrap_or_default();
                return Ok((!rest.is_empty()).then(|| rest.into()));
            };
            let made = if let Some(decoder) = &mut self.decoder { decoder.take().into() } else { piece };
            if !made.is_empty() {
                return Ok(Some(made));
            }
        }
    }

    /// The whole of it.
    ///
    /// # Errors
    /// As [`Self::chunk`]; what came is in [`FetchError::received`].
    pub async fn finish(mut self) -> Result<Answer, FetchError> {
        let mut body = Gathered::default();
        let mut failed = None;
        if let Some(length) = self.length.filter(|length| self.decoder.is_none() && *length > self.limit) {
            failed = Some(self.error(
                ErrorKind::TooLarge,
                format!("its body of {length} bytes is larger than the limit of {}", self.limit),
            ));
        }
        let mut share = self.shared.options.budget.clone().map(Share::new);
        while failed.is_none() {
            if let Some(share) = &mut share {
                let held = self.decoder.as_ref().map_or(self.given_bytes, Decoder::held_bytes);
                if share.is_short(held) {
                    let asked = Instant::now();
                    share.cover(held).await;
                    let (bytes, moved) = self.progress();
                    self.watch.leave_out(asked.elapsed(), bytes, moved);
                }
            }
            match self.piece().await {
                Ok(Some(piece)) if self.decoder.is_none() => body.add(piece, self.length, self.limit),
                Ok(Some(_decompressed_later)) => {}
                Ok(None) => break,
                Err(error) => failed = Some(error),
            }
        }
        let decoded = self.decoder.as_mut().map(|decoder| Bytes::from(decoder.take()));
        let answer = Answer {
            status: self.status,
            reason: self.reason.take(),
            version: self.version,
            body: decoded.unwrap_or_else(|| body.whole(self.shared.options.header_bytes)),
            wire_bytes: self.wire_bytes,
            first_byte: self.first_byte,
            elapsed: self.started.elapsed(),
            address: Some(self.address),
            reused: self.reused,
            headers: std::mem::take(&mut self.headers),
        };
        match failed {
            None => Ok(answer),
            Some(mut error) => {
                error.received = Some(Box::new(answer));
                Err(error)
            }
        }
    }

    /// How many bytes have come, and have gone either way, over what carries the body.
    fn progress(&self) -> (u64, u64) {
        match &self.carrier {
            Some(carrier) => (carrier.bytes(), carrier.moved_bytes()),
            None => (self.wire_bytes, self.wire_bytes),
        }
    }

    /// The next bytes as they come; they have gone through the decoder where there is one.
    async fn piece(&mut self) -> Result<Option<Bytes>, FetchError> {
        while !self.is_over {
            let frame = match &mut self.carrier {
                Some(carrier) => carrier.drive(&mut self.watch, 0, self.body.frame()).await,
                None => watched(&mut self.watch, self.wire_bytes, self.body.frame()).await,
            };
            match frame {
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        return self.take_in(bytes).map(Some);
                    }
                }
                Ok(None) => self.end().await?,
                Ok(Some(Err(error))) => return Err(self.broken(&error)),
                Err(expired) => {
                    self.close();
                    return Err(too_late(expired, "not the whole body of the answer").about(&self.url));
                }
            }
        }
        Ok(None)
    }

    fn take_in(&mut self, bytes: Bytes) -> Result<Bytes, FetchError> {
        self.wire_bytes += bytes.len() as u64;
        let result = if let Some(decoder) = &mut self.decoder {
            decoder.push(&bytes)
        } else {
            self.given_bytes += bytes.len() as u64;
            if self.given_bytes > self.limit { Err(DecodeError::TooLarge) } else { Ok(()) }
        };
        result.map_err(|error| self.undecodable(error))?;
        Ok(bytes)
    }

    /// The body is complete: the connection may be used again.
    async fn end(&mut self) -> Result<(), FetchError> {
        self.is_over = true;
        if let Some(mut carrier) = self.carrier.take() {
            if carrier.is_ready().await {
                self.shared.pool.put(std::mem::take(&mut self.place), carrier, Instant::now());
            }
        }
        if let Some(decoder) = &mut self.decoder {
            decoder.finish().map_err(|error| self.undecodable(error))?;
        }
        Ok(())
    }

    fn close(&mut self) {
        self.is_over = true;
        self.carrier = None;
    }

    fn broken(&mut self, error: &hyper::Error) -> FetchError {
        self.close();
        let is_short = error.is_incomplete_message()
            || std::error::Error::source(error)
                .and_then(|source| source.downcast_ref::<io::Error>())
                .is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof);
        if is_short {
            let came = self.wire_bytes;
            let message = match self.length {
                Some(length) => format!("the connection was closed after {came} of the body's {length} bytes"),
                None => format!("the connection was closed after {came} bytes, before the body's end"),
            };
            return self.error(ErrorKind::Closed, message);
        }
        describe(error, self.shared.options.header_bytes).about(&self.url)
    }

    fn undecodable(&mut self, error: DecodeError) -> FetchError {
        self.close();
        match error {
            DecodeError::TooLarge => {
                let message = format!("its body is larger than the limit of {} bytes", self.limit);
                self.error(ErrorKind::TooLarge, message)
            }
            DecodeError::Expands(times) => {
                let message = format!("its compressed body grows more than {times} times");
                self.error(ErrorKind::TooLarge, message)
            }
            DecodeError::Corrupt(why) => {
                let encoding = self.headers.text("content-encoding").unwrap_or("compressed").to_owned();
                self.error(ErrorKind::Decompression, format!("its body is no valid {encoding}: {why}"))
            }
        }
    }

    fn error(&self, kind: ErrorKind, message: String) -> FetchError {
        FetchError::new(kind, message).about(&self.url)
    }
}

fn decoder(headers: &HeaderMap, bounds: Bounds) -> Option<Decoder> {
    if !headers.contains_key(CONTENT_ENCODING) {
        return None;
    }
    Decoder::new(headers.get_all(CONTENT_ENCODING).iter().map(http::HeaderValue::as_bytes), bounds)
}

/// Pieces of a body that become one.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    rest: BytesMut,
}

impl Gathered {
    fn add(&mut self, piece: Bytes, length: Option<u64>, limit: u64) {
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = piece;
            return;
        }
        if self.rest.is_empty() {
            // What a server announces is not given to it in advance beyond this.
            let announced = length.unwrap_or(0).min(limit).min(1 << 20);
            self.rest.reserve(usize::try_from(announced).unwrap_or(0).max(self.first.len() + piece.len()));
            self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&piece);
    }

    /// A small body in a large buffer gets one of its own size, so that a kept page costs what it has.
    fn whole(self, buffer_bytes: usize) -> Bytes {
        if !self.rest.is_empty() {
            return self.rest.freeze();
        }
        if self.first.len() < buffer_bytes / 2 { Bytes::copy_from_slice(&self.first) } else { self.first }
    }
}
