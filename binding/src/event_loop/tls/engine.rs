//! The interpreter's TLS object of a connection, with the two buffers between it and the socket, or OpenSSL's itself.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple, PyType};
use threefold_sys::stream::Room;

use crate::ffi::openssl::{Sealed, Session};
use crate::ffi::windows::{Window, call_with_bytes, call_with_room};
use crate::kept::{Kept, intern};

/// What of the TLS object is called per record: bound methods, looked up once.
pub(super) struct Engine {
    window: Py<Window>,
    /// `_SSLSocket.read(len, buffer)`.
    read: Py<PyAny>,
    /// `_SSLSocket.write(data)`.
    write: Py<PyAny>,
    /// The buffer of what has arrived, and its `write`.
    incoming: Py<PyAny>,
    put: Py<PyAny>,
    /// `read` of the buffer of what is to go out.
    take: Py<PyAny>,
    /// OpenSSL's connection behind the TLS object, if it can be called; the two buffers are not used then.
    session: Option<Session>,
}

/// What came of an attempt to decrypt.
pub(super) enum Decrypted {
    /// Some, which are in the room.
    Bytes,
    /// More must arrive before there is any.
    Nothing,
    /// The other end has said that nothing more comes.
    End,
    /// What arrived is wrong, or the connection can't go on.
    Failure(PyErr),
}

impl Engine {
    /// Of an `ssl.SSLObject` and its two `ssl.MemoryBIO`s, before its first call.
    pub(super) fn new(
        object: &Bound<'_, PyAny>,
        incoming: &Bound<'_, PyAny>,
        outgoing: &Bound<'_, PyAny>,
        is_direct: bool,
    ) -> PyResult<Self> {
        let py = object.py();
        // The object behind the object: the outer one's methods are Python's, and only call these.
        let inner = object.getattr("_sslobj")?;
        Ok(Self {
            window: Window::create(py)?,
            read: inner.getattr("read")?.unbind(),
            write: inner.getattr("write")?.unbind(),
            put: incoming.getattr("write")?.unbind(),
            incoming: incoming.clone().unbind(),
            take: outgoing.getattr("read")?.unbind(),
            session: if is_direct { Session::open(&inner) } else { None },
        })
    }

    /// OpenSSL's connection, if it can be called.
    #[inline]
    pub(super) fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Takes over ciphertext that has arrived.
    pub(super) fn put(&self, py: Python<'_>, ciphertext: &[u8]) -> PyResult<()> {
        if let Some(session) = &self.session {
            session.put(ciphertext);
            return Ok(());
        }
        call_with_bytes(self.window.bind(py), ciphertext, |window| self.put.bind(py).call1((window,))).map(drop)
    }

    /// How many bytes of ciphertext have arrived that the TLS object has not taken yet.
    pub(super) fn pending_bytes(&self, py: Python<'_>) -> PyResult<usize> {
        if let Some(session) = &self.session {
            return Ok(session.pending_bytes());
        }
        self.incoming.bind(py).getattr(intern!(py, "pending"))?.extract()
    }

    /// Decrypts behind what is in the room: a record's content at most.
    pub(super) fn read(&self, py: Python<'_>, room: &mut Room<'_>) -> Decrypted {
        // Length 0 stands for all that there is room for.
        let outcome = call_with_room(self.window.bind(py), room, |window| self.read.bind(py).call1((0_u8, window)));
        match outcome {
            Ok(0) => Decrypted::End,
            Ok(_count) => Decrypted::Bytes,
            Err(error) if wants_more(py, &error) => Decrypted::Nothing,
            Err(error) => Decrypted::Failure(error),
        }
    }

    /// Encrypts bytes; how many, which is none while the other end must be heard first.
    pub(super) fn write(&self, py: Python<'_>, plaintext: &[u8]) -> PyResult<usize> {
        if let Some(session) = &self.session {
            match session.encrypt(py, plaintext) {
                Sealed::Bytes(count) => return Ok(count),
                Sealed::Nothing => return Ok(0),
                // It finds what is wrong as it was left, and gives the error its class.
                Sealed::Other => {}
            }
        }
        match call_with_bytes(self.window.bind(py), plaintext, |window| self.write.bind(py).call1((window,))) {
            Ok(count) => count.extract(),
            Err(error) if wants_more(py, &error) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Takes out the ciphertext that is to go out.
    pub(super) fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(self.take.bind(py).call0()?.cast_into()?)
    }

    pub(super) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        [&self.read, &self.write, &self.incoming, &self.put, &self.take]
            .into_iter()
            .try_for_each(|each| visit.call(each))?;
        self.session.as_ref().map_or(Ok(()), |session| session.traverse(visit))
    }
}

/// Whether an error only says that the other end must be heard first.
fn wants_more(py: Python<'_>, error: &PyErr) -> bool {
    static AGAIN: Kept<PyTuple> = Kept::new();
    let again = AGAIN.get_or_find(py, || -> PyResult<_> {
        let ssl = py.import("ssl")?;
        let class = |name: &str| Ok::<_, PyErr>(ssl.getattr(name)?.cast_into::<PyType>()?);
        PyTuple::new(py, [class("SSLWantReadError")?, class("SSLSyscallError")?])
    });
    again.is_ok_and(|again| error.matches(py, again).unwrap_or(false))
}
