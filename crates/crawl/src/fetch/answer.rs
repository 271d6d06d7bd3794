//! What a server answered.

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Version};

/// Headers in order: names in lower case, values as bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Bytes)>);

impl Headers {
    /// The first value of a name (in lower case).
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..])
    }

    /// The first value of a name (in lower case), where it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All values of a name (in lower case).
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| &value[..])
    }

    /// As a list.
    pub fn into_inner(self) -> Vec<(String, Bytes)> {
        self.0
    }
}

impl Deref for Headers {
    type Target = [(String, Bytes)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl From<&HeaderMap> for Headers {
    fn from(map: &HeaderMap) -> Self {
        // One allocation for all values: they outlive the buffer that they were read into, which is much larger.
        let mut all = BytesMut::with_capacity(map.values().map(http::HeaderValue::len).sum());
        let headers = map.iter().map(|(name, value)| {
            all.extend_from_slice(value.as_bytes());
            (name.as_str().to_owned(), all.split().freeze())
        });
        Self(headers.collect())
    }
}

impl From<Vec<(String, Bytes)>> for Headers {
    fn from(headers: Vec<(String, Bytes)>) -> Self {
        Self(headers)
    }
}

/// An answer with its whole body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The status in words, where the server has its own.
    pub reason: Option<String>,
    /// The version of HTTP.
    pub version: Version,
    /// The headers.
    pub headers: Headers,
    /// The body, decompressed.
    pub body: Bytes,
    /// Bytes that came over the wire for the body.
    pub wire_bytes: u64,
    /// From the start of the request to the end of the answer's head.
    pub first_byte: Duration,
    /// From the start of the request to the end of the body.
    pub elapsed: Duration,
    /// The address that answered: of the proxy, where there is one.
    pub address: Option<SocketAddr>,
    /// True where the connection had been used before.
    pub reused: bool,
}
