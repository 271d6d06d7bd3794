//! Records through the OpenSSL that the interpreter's `_ssl` has loaded, without a call of the interpreter.
//!
//! The interpreter's object stays what a program has of a connection: settings, certificates, names, callbacks. Its records
//! are read and written here; so are the handshake's and the end's ciphertext, of which the interpreter decides. Where
//! anything is not as it is known to be, there is no [`Session`], and the interpreter's own calls do everything.
//! `docs/design/tls.md` has the reasons and the figures.
//!
//! | file | what is there |
//! |---|---|
//! | `functions` | OpenSSL's functions, found where `_ssl` has them from |
//! | `object` | OpenSSL's connection inside the interpreter's object, and the proof that it is one |
//! | `pipe` | ciphertext between OpenSSL and memory of ours |
//! | `session` | decrypting and encrypting |

mod functions;
mod object;
mod pipe;
mod session;

pub(crate) use session::{Sealed, Session, Stop};
