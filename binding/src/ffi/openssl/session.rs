//! A connection whose records go through OpenSSL itself.

use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::Arc;

use pyo3::prelude::*;
use threefold_sys::stream::Room;

use super::functions::{Functions, Library, Ssl};
use super::object::connection_of;
use super::pipe::{Pipe, new_bio};

const SSL_ERROR_WANT_READ: c_int = 2;

/// A connection's place in OpenSSL, and its ciphertext.
pub(crate) struct Session {
    functions: &'static Functions,
    ssl: NonNull<Ssl>,
    /// The interpreter's object, which frees OpenSSL's connection when it goes.
    object: Py<PyAny>,
    pipe: Arc<Pipe>,
}

// SAFETY: every method that uses the connection shows that it has the interpreter's lock, which builds with an OpenSSL that is
// called here have.
unsafe impl Send for Session {}
// SAFETY: as above.
unsafe impl Sync for Session {}

/// Why no more is decrypted.
pub(crate) enum Stop {
    /// All that has arrived is.
    Drained,
    /// All but a part of a record, which OpenSSL has.
    Part,
    /// There is no more room.
    Full,
    /// The interpreter's own call is to say: an end, or an error.
    Other,
}

/// What came of an attempt to encrypt.
pub(crate) enum Sealed {
    /// So many bytes were.
    Bytes(usize),
    /// The other end must be heard first.
    Nothing,
    /// The interpreter's own call is to say: an error.
    Other,
}

impl Session {
    /// Takes over the records of an `_ssl._SSLSocket` between two buffers, which are not used any more; `None` if anything is
    /// not as it is known to be.
    pub(crate) fn open(object: &Bound<'_, PyAny>) -> Option<Self> {
        let library = Library::get(object.py())?;
        let ssl = connection_of(library, object)?;
        let functions = &library.functions;
        let pipe = Arc::default();
        let (source, sink) = (new_bio(library, &pipe), new_bio(library, &pipe));
        // SAFETY: the BIOs are new, and each is given away once: to be freed, or to the connection, which is alive and has no
        // call under way, since nobody but us knows it yet. That frees the BIOs it had; the interpreter's buffers hold
        // references of their own. Without reading ahead, nothing waits in OpenSSL but a part of one record.
        unsafe {
            if source.is_null() || sink.is_null() {
                (functions.free_bio)(source);
                (functions.free_bio)(sink);
                return None;
            }
            (functions.set_bio)(ssl.as_ptr(), source, sink);
            (functions.set_read_ahead)(ssl.as_ptr(), 0);
        }
        Some(Self { functions, ssl, object: object.clone().unbind(), pipe })
    }

    /// Keeps ciphertext that has arrived.
    pub(crate) fn put(&self, ciphertext: &[u8]) {
        self.pipe.keep(ciphertext);
    }

    /// How many bytes have arrived that OpenSSL has not taken yet.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pipe.pending_bytes()
    }

    /// Decrypts behind what is in the room: what was kept, and then `rest`, of which the part is left that was not needed.
    pub(crate) fn decrypt(&self, py: Python<'_>, room: &mut Room<'_>, rest: &mut &[u8]) -> Stop {
        let (left_bytes, stop) = self.pipe.lend(rest, || self.fill(py, room));
        *rest = rest.get(rest.len() - left_bytes..).unwrap_or_default();
        stop
    }

    fn fill(&self, _attached: Python<'_>, room: &mut Room<'_>) -> Stop {
        loop {
            let memory = room.rest();
            let mut count = 0;
            self.forget_errors();
            // SAFETY: attached; the object keeps the connection alive. `memory` is ours to write to during the call, whose
            // contract it is that `count` bytes of it are written if it succeeds.
            let is_done = unsafe {
                let is_done =
                    (self.functions.read)(self.ssl.as_ptr(), memory.as_mut_ptr().cast(), memory.len(), &raw mut count);
                if is_done == 1 {
                    room.note_filled(count);
                }
                is_done
            };
            if is_done != 1 {
                return if self.wants_more(is_done) { Stop::Part } else { Stop::Other };
            }
            if room.is_full() {
                return Stop::Full;
            }
            // There was room for more of the record, so that was its end.
            if self.pipe.is_empty() {
                return Stop::Drained;
            }
        }
    }

    /// Encrypts bytes.
    pub(crate) fn encrypt(&self, _attached: Python<'_>, plaintext: &[u8]) -> Sealed {
        let mut count = 0;
        self.forget_errors();
        // SAFETY: attached; the object keeps the connection alive; the bytes are read during the call.
        let is_done = unsafe {
            (self.functions.write)(self.ssl.as_ptr(), plaintext.as_ptr().cast(), plaintext.len(), &raw mut count)
        };
        if is_done == 1 {
            Sealed::Bytes(count)
        } else if self.wants_more(is_done) {
            Sealed::Nothing
        } else {
            Sealed::Other
        }
    }

    /// What went wrong in this thread before, and nobody has asked for, is not this connection's.
    #[inline]
    fn forget_errors(&self) {
        // SAFETY: both look at this thread's list of errors only.
        unsafe {
            if (self.functions.peek_error)() != 0 {
                (self.functions.clear_errors)();
            }
        }
    }

    /// Whether a call has not succeeded because more must arrive.
    fn wants_more(&self, is_done: c_int) -> bool {
        // SAFETY: called with the lock held since the call that `is_done` is of, and in its thread.
        unsafe { (self.functions.get_error)(self.ssl.as_ptr(), is_done) == SSL_ERROR_WANT_READ }
    }

    pub(crate) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.object)
    }

    /// Whether there is no memory yet for what is to go out.
    pub(crate) fn has_no_memory(&self) -> bool {
        self.pipe.has_no_memory()
    }

    /// Takes empty memory for what is to go out.
    pub(crate) fn set_memory(&self, memory: Vec<u8>) {
        self.pipe.set_memory(memory);
    }

    /// Takes out what is to go out, with its memory.
    pub(crate) fn take_outgoing(&self) -> Vec<u8> {
        self.pipe.take_outgoing()
    }
}
