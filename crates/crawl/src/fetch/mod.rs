//! One hop of HTTP: connections, TLS, the address guard, proxies, decompression, limits.
//!
//! A request goes through these files: `client` (pool, one retry) -> `dial` (`resolve` and `names`, guard, `connect`, `proxy`,
//! `tls`) -> `connection` (hyper, polled by the task that waits for the answer: no second task, no channel between two of them)
//! -> `download` (body, `decode`, limits) and, when the body is at its end, back into the `pool`.

mod answer;
mod budget;
mod client;
mod connect;
mod connection;
mod cookies;
mod decode;
mod dial;
mod download;
mod error;
mod head;
mod names;
mod options;
mod pool;
mod proxy;
mod request;
mod resolve;
mod tls;
mod watch;
mod wire;

pub use answer::{Answer, Headers};
pub use budget::Budget;
pub use client::Client;
pub use cookies::Jar;
pub use download::Download;
pub use error::{ErrorKind, FetchError};
pub use http::{Method, Version};
pub use options::ClientOptions;
pub use proxy::Proxy;
pub use request::{Admission, Limits, ProxyChoice, Request, RequestBody};
