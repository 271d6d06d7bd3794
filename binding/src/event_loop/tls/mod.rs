//! TLS connections: the native part of their transport, over a stream transport of ours or any other.
//!
//! The handshake, the end and all that happens per connection are Python's (`threefold/asyncio/_tls_protocol.py`); here
//! are records. What encrypts is the OpenSSL behind the interpreter's own `_ssl`, called itself where it can be and through
//! the interpreter otherwise, so that every setting of a context means what it says; `docs/design/tls.md` has the reasons.
//!
//! | file | what is there |
//! |---|---|
//! | `connection` | what a transport keeps, and what Python asks of it |
//! | `engine` | the interpreter's TLS object with its two buffers of ciphertext, or OpenSSL's itself |
//! | `incoming`, `delivery` | ciphertext that arrives becomes plaintext, and who gets that |
//! | `outgoing` | writing |
//! | `methods` | the native methods of a transport's class |

mod connection;
mod delivery;
mod engine;
mod incoming;
mod methods;
mod outgoing;

use pyo3::prelude::*;

pub(super) use connection::TlsCore;
pub(super) use incoming::take;
pub(super) use outgoing::write;

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    crate::ffi::windows::install(module.py());
    connection::register(module)?;
    methods::register(module)
}
