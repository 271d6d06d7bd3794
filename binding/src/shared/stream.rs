//! Moving bytes over a connection's descriptor: tries first, and waits where everybody can see it.

use std::io::{self, IoSlice};
use std::os::fd::RawFd;
use std::time::Duration;

use pyo3::exceptions::{PyEOFError, PyOSError};
use pyo3::prelude::*;
use threefold_shared_memory::Instant;
use threefold_sys::stream::{self, Attempt, Direction, Patience, Readiness, Room};
use threefold_trace::{Owner, Reason, Wait as Shown, WaitRow};

use crate::kept::intern;
use crate::{names, sites};

/// How long the main thread sleeps at a time, as for every wait: a signal that it does not feel is seen then.
const SLICE: Duration = Duration::from_millis(100);

/// From this length on other threads may run while bytes are copied, or sockets closed.
const LONG_BYTES: usize = 64 << 10;

/// The room that there is for certain where the kernel says that there is some.
const SURE_ROOM_BYTES: usize = 4096;

/// A connection, for one message in one direction.
pub(super) struct Stream<'a, 'py> {
    connection: &'a Bound<'py, PyAny>,
    direction: Direction,
    handle: RawFd,
    /// How a move begins.
    patience: Patience,
    row: Option<WaitRow>,
}

impl<'a, 'py> Stream<'a, 'py> {
    /// # Errors
    /// When the connection is closed, or is not for this direction.
    pub(super) fn open(connection: &'a Bound<'py, PyAny>, direction: Direction) -> PyResult<Self> {
        let py = connection.py();
        let handle = handle_of(connection)?;
        let (is_for_it, refusal) = match direction {
            Direction::Read => (intern!(py, "_readable"), "connection is write-only"),
            Direction::Write => (intern!(py, "_writable"), "connection is read-only"),
        };
        if connection.getattr(is_for_it)?.is_truthy()? {
            Ok(Self { connection, direction, handle, patience: Patience::Try, row: None })
        } else {
            Err(PyOSError::new_err(refusal))
        }
    }

    /// Reads until the room is full.
    ///
    /// # Errors
    /// `EOFError` when the stream ends before the first byte, `OSError` later; what a signal handler raised.
    pub(super) fn fill(&mut self, room: &mut Room<'_>, len_bytes: usize) -> PyResult<()> {
        while !room.is_full() {
            if self.move_some(len_bytes, |handle, patience| room.read(handle, patience))? == 0 {
                return Err(if room.is_empty() {
                    PyEOFError::new_err(())
                } else {
                    PyOSError::new_err("got end of file during message")
                });
            }
        }
        Ok(())
    }

    /// Writes both parts, as one where the kernel takes them as one.
    ///
    /// # Errors
    /// What the kernel says; what a signal handler raised.
    pub(super) fn write(&mut self, header: &[u8], body: &[u8]) -> PyResult<()> {
        let (mut header, mut body) = (header, body);
        while !header.is_empty() || !body.is_empty() {
            let parts = [IoSlice::new(header), IoSlice::new(body)];
            let count = self.move_some(body.len(), |handle, patience| stream::write(handle, &parts, patience))?;
            let of_header = count.min(header.len());
            header = &header[of_header..];
            body = &body[count - of_header..];
        }
        Ok(())
    }

    /// Waits until something can be moved; false if `deadline` comes first.
    ///
    /// # Errors
    /// What a signal handler raised; that the connection was closed meanwhile.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> PyResult<bool> {
        if stream::wait(self.handle, self.direction, Some(Instant::from_nanos(0)))? == Readiness::Ready {
            return Ok(true);
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) { Ok(false) } else { self.sleep(deadline) }
    }

    fn sleep(&mut self, deadline: Option<Instant>) -> PyResult<bool> {
        let py = self.connection.py();
        let (handle, direction) = (self.handle, self.direction);
        self.show(deadline.is_some());
        loop {
            // Only the main thread runs signal handlers.
            let slice = threefold_sys::slot::is_main_thread().then(|| Instant::now().after(SLICE));
            let until = deadline.into_iter().chain(slice).min();
            match py.detach(|| stream::wait(handle, direction, until))? {
                Readiness::Ready => return Ok(true),
                Readiness::TimedOut if until == deadline => return Ok(false),
                Readiness::TimedOut | Readiness::Interrupted => {
                    py.check_signals()?;
                    // The number may be another file's by now.
                    handle_of(self.connection)?;
                }
            }
        }
    }

    /// Moves bytes, as many as can be moved, at least one unless the stream is at its end.
    fn move_some(
        &mut self,
        len_bytes: usize,
        mut attempt: impl FnMut(RawFd, Patience) -> io::Result<Attempt<usize>> + Send,
    ) -> PyResult<usize> {
        let (py, handle) = (self.connection.py(), self.handle);
        loop {
            let patience = self.patience;
            let is_quick = patience == Patience::Try && len_bytes < LONG_BYTES;
            let outcome = if is_quick { attempt(handle, patience) } else { py.detach(|| attempt(handle, patience)) };
            match outcome? {
                Attempt::Made(count) => return Ok(count),
                Attempt::WouldWait if patience == Patience::Wait => py.check_signals()?,
                Attempt::WouldWait => {
                    if !self.is_ready_soon() {
                        self.sleep(None)?;
                    }
                }
                // An older kernel: what follows a sleep waits only if another process was quicker, or for more room.
                Attempt::CannotTry => {
                    self.wait(None)?;
                    self.patience = Patience::Wait;
                    if self.direction == Direction::Write && len_bytes > SURE_ROOM_BYTES {
                        self.show(false);
                    }
                }
            }
        }
    }

    /// Whether an answer comes sooner than the kernel could switch to it; room for more hardly ever does.
    fn is_ready_soon(&self) -> bool {
        let (handle, direction) = (self.handle, self.direction);
        let is_ready =
            || !matches!(stream::wait(handle, direction, Some(Instant::from_nanos(0))), Ok(Readiness::TimedOut));
        direction == Direction::Read && self.connection.py().detach(|| threefold_wait::look(is_ready))
    }

    fn show(&mut self, has_timeout: bool) {
        let py = self.connection.py();
        if self.row.is_none() {
            self.row = Some(threefold_trace::begin(&Shown {
                owner: Owner::thread(),
                name: names::current_thread(py),
                reason: match self.direction {
                    Direction::Read => Reason::Receive,
                    Direction::Write => Reason::Send,
                },
                object: self.connection.as_ptr().addr() as u64,
                object_row: None,
                holder: Owner::NOBODY,
                site: sites::current(py),
                since: Instant::now(),
                has_timeout,
            }));
        }
    }
}

/// The descriptor of an open connection.
fn handle_of(connection: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    let handle: Option<RawFd> = connection.getattr(intern!(connection.py(), "_handle"))?.extract()?;
    handle.ok_or_else(|| PyOSError::new_err("handle is closed"))
}
