//! Which socket object a descriptor was registered for, and the memory that data is received in.

use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use pyo3::prelude::*;
use pyo3::types::PyWeakrefReference;
use threefold_event_loop::watch::Side;
use threefold_wait::Latch;

use crate::kept::{Kept, intern};

/// How much is received at once without memory of its own.
pub(in super::super) const ROOM_BYTES: usize = 256 * 1024;

// Linux's numbers of families and protocols.
const UNIX: i32 = 1;
const INTERNET: i32 = 2;
const INTERNET_6: i32 = 10;
const TCP: i32 = 6;
const MULTIPATH_TCP: i32 = 262;

/// What a loop knows of the sockets that its tasks wait for.
#[derive(Default)]
pub(in super::super) struct Sockets {
    /// By descriptor.
    known: Latch<Vec<Option<Known>>>,
    room: Latch<Option<Box<[MaybeUninit<u8>]>>>,
}

struct Known {
    socket: Py<PyWeakrefReference>,
    kind: Kind,
}

/// What may be concluded of a socket.
#[derive(Clone, Copy)]
pub(in super::super) struct Kind {
    /// An attempt that came short has found all there was. Otherwise only one that found nothing says so: a read from a
    /// Unix socket ends where descriptors were sent along, and what SCTP brings is messages.
    pub(super) ends_short: bool,
    /// Whether all that can be read is told of by edge.
    reads_by_edge: bool,
    /// Whether all room for writing is told of by edge. That the receiver of a Unix datagram has room is told to nobody.
    writes_by_edge: bool,
}

impl Kind {
    pub(super) fn of(socket: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = socket.py();
        let family: i32 = socket.getattr(intern!(py, "family"))?.extract()?;
        let protocol: i32 = socket.getattr(intern!(py, "proto"))?.extract()?;
        let is_stream = socket.getattr(intern!(py, "type"))?.eq(stream_kind(py)?)?;
        let is_internet = family == INTERNET || family == INTERNET_6;
        Ok(Self {
            ends_short: is_internet && is_stream && [0, TCP, MULTIPATH_TCP].contains(&protocol),
            reads_by_edge: is_internet || family == UNIX,
            writes_by_edge: is_internet || (family == UNIX && is_stream),
        })
    }

    /// Whether the socket may be watched by edge for what an operation waits for.
    pub(super) fn is_told_by_edge(self, side: Side) -> bool {
        match side {
            Side::Read => self.reads_by_edge,
            Side::Write => self.writes_by_edge,
        }
    }
}

impl Sockets {
    /// What is known of the descriptor, if it is known as this socket object's.
    pub(in super::super) fn known(&self, py: Python<'_>, descriptor: RawFd, socket: &Py<PyAny>) -> Option<Kind> {
        let index = usize::try_from(descriptor).ok()?;
        let known = self.known.close();
        let known = known.get(index)?.as_ref()?;
        // The reference that is made and dropped here is never the last one: `socket` is held.
        let is_same = known.socket.bind(py).upgrade().is_some_and(|known| known.is(socket));
        is_same.then_some(known.kind)
    }

    /// Remembers whose descriptor it is; the loop watches it already, so that it is somebody's.
    pub(in super::super) fn remember(&self, descriptor: RawFd, socket: &Bound<'_, PyAny>, kind: Kind) -> PyResult<()> {
        let Ok(index) = usize::try_from(descriptor) else { return Ok(()) };
        let new = Known { socket: PyWeakrefReference::new(socket)?.unbind(), kind };
        let mut known = self.known.close();
        if index >= known.len() {
            known.resize_with(index + 1, || None);
        }
        let previous = known.get_mut(index).and_then(|place| place.replace(new));
        drop(known);
        drop(previous);
        Ok(())
    }

    /// Gives back the memory, and forgets all sockets.
    pub(in super::super) fn give_back(&self) {
        let known = std::mem::take(&mut *self.known.close());
        let room = self.room.close().take();
        drop((known, room));
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
