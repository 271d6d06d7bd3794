//! Which socket object a descriptor was registered for, and the memory that data is received in.

use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use pyo3::prelude::*;
use pyo3::types::PyWeakrefReference;
use threefold_wait::Latch;

use crate::kept::{Kept, intern};

/// How much is received at once without memory of its own.
pub(in super::super) const ROOM_BYTES: usize = 256 * 1024;

/// What a loop knows of the sockets that its tasks wait for.
#[derive(Default)]
pub(in super::super) struct Sockets {
    /// By descriptor.
    known: Latch<Vec<Option<Known>>>,
    room: Latch<Option<Box<[MaybeUninit<u8>]>>>,
}

struct Known {
    socket: Py<PyWeakrefReference>,
    is_stream: bool,
}

impl Sockets {
    /// Whether the descriptor is known as this socket object's, and then, whether that is a stream.
    pub(in super::super) fn known(&self, py: Python<'_>, descriptor: RawFd, socket: &Py<PyAny>) -> Option<bool> {
        let index = usize::try_from(descriptor).ok()?;
        let known = self.known.close();
        let known = known.get(index)?.as_ref()?;
        // The reference that is made and dropped here is never the last one: `socket` is held.
        let is_same = known.socket.bind(py).upgrade().is_some_and(|known| known.is(socket));
        is_same.then_some(known.is_stream)
    }

    /// Remembers whose descriptor it is.
    pub(in super::super) fn remember(&self, descriptor: RawFd, socket: &Bound<'_, PyAny>) -> PyResult<()> {
        let Ok(index) = usize::try_from(descriptor) else { return Ok(()) };
        let kind: i32 = socket.getattr(intern!(socket.py(), "type"))?.extract()?;
        let is_stream = kind == stream_kind(socket.py())?.extract::<i32>()?;
        let new = Known { socket: PyWeakrefReference::new(socket)?.unbind(), is_stream };
        let mut known = self.known.close();
        if index >= known.len() {
            known.resize_with(index + 1, || None);
        }
        let previous = known.get_mut(index).and_then(|place| place.replace(new));
        drop(known);
        drop(previous);
        Ok(())
    }

    /// Lends the memory that data is received in.
    pub(in super::super) fn with_room<T>(&self, receive: impl FnOnce(&mut [MaybeUninit<u8>]) -> T) -> T {
        let mut room = self.room.close().take().unwrap_or_else(|| Box::new_uninit_slice(ROOM_BYTES));
        let result = receive(&mut room);
        *self.room.close() = Some(room);
        result
    }
}

fn stream_kind(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static KIND: Kept<PyAny> = Kept::new();
    KIND.get_or_find(py, || py.import("socket")?.getattr("SOCK_STREAM"))
}
