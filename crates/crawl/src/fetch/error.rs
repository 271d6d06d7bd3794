//! Why there is no answer, or not all of it.

use super::answer::Answer;
use crate::page::PageError;

/// The kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The name can't be looked up.
    Dns,
    /// No connection.
    Connect,
    /// No TLS over it.
    Tls,
    /// The time is up.
    Timeout,
    /// The answer comes more slowly than the minimum.
    TooSlow,
    /// The head or the body is larger than the limit, or expands beyond it.
    TooLarge,
    /// The body is not what its `Content-Encoding` says.
    Decompression,
    /// The answer is no HTTP.
    Protocol,
    /// The connection was closed before the answer was complete.
    Closed,
    /// The address is private, and the request may not lead there.
    PrivateAddress,
    /// The request or an option can't be sent or used as it is.
    Request,
}

impl ErrorKind {
    /// The name under which a report counts it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::TooSlow => "too_slow",
            Self::TooLarge => "too_large",
            Self::Decompression => "decompression",
            Self::Protocol => "protocol",
            Self::Closed => "closed",
            Self::PrivateAddress => "private_address",
            Self::Request => "request",
        }
    }
}

/// Why a fetch has no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    kind: ErrorKind,
    message: String,
    /// True where time ran out, or a refusal came, before there was a connection.
    before_connection: bool,
    /// What had come, where the answer's head was complete.
    pub received: Option<Box<Answer>>,
}

impl FetchError {
    /// An error of a kind, with a sentence that says what was done, to what, and what happened.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), before_connection: false, received: None }
    }

    /// The error with the address in front, where its sentence doesn't name it.
    pub(super) fn about(mut self, url: &url::Url) -> Self {
        if !self.message.starts_with("http") {
            self.message = format!("{url}: {}", self.message);
        }
        self
    }

    pub(super) fn before_connection(mut self) -> Self {
        self.before_connection = true;
        self
    }

    /// The kind's name: one of those of [`PageError`], or `private_address`, `request`.
    pub fn kind(&self) -> &'static str {
        self.kind.as_str()
    }

    /// The kind.
    pub fn error_kind(&self) -> ErrorKind {
        self.kind
    }

    /// True where it happened while a connection was being made.
    pub fn is_before_connection(&self) -> bool {
        self.before_connection
    }
}

impl From<FetchError> for PageError {
    fn from(error: FetchError) -> Self {
        Self { kind: error.kind.as_str(), message: error.message }
    }
}

/// The sentences of an error and its causes, without those that repeat one another.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
