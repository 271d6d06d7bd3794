//! Waiting for another process on a Python thread: lets go of the interpreter, handles signals, shows the wait.

use std::time::Duration;

use pyo3::prelude::*;
use threefold_shared_memory::{Driver, Holder, Instant, Nap};
use threefold_sys::futex::{self, Woke};
use threefold_trace::{Owner, Wait as Shown, WaitRow};

use super::holder;
use crate::{names, sites};

/// How long the main thread sleeps at a time: a signal that arrives just before it falls asleep, or that the kernel
/// delivers to another thread, is seen after this time at the latest.
const SLICE: Duration = Duration::from_millis(100);

/// What happens to an exception that a signal handler raises during a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Interrupt {
    /// It ends the wait.
    Ends,
    /// It is kept until the wait is over: what is waited for must be had in any case.
    Waits,
}

/// Sleeps for a wait of the calling Python thread.
pub(crate) struct PythonDriver<'py> {
    py: Python<'py>,
    /// Address of the Python object, for the wait table.
    object: usize,
    deadline: Option<Instant>,
    interrupt: Interrupt,
    kept: Option<PyErr>,
    row: Option<WaitRow>,
    /// Who is shown to have what is waited for.
    shown: Holder,
}

impl<'py> PythonDriver<'py> {
    /// For a wait at `object` that a signal handler's exception ends.
    pub(crate) fn new<T>(py: Python<'py>, object: &T, deadline: Option<Instant>) -> Self {
        let object = std::ptr::from_ref(object).addr();
        Self { py, object, deadline, interrupt: Interrupt::Ends, kept: None, row: None, shown: Holder::NOBODY }
    }

    /// For a wait that must come to its end; see [`PythonDriver::finish`].
    pub(super) fn persistent<T>(py: Python<'py>, object: &T) -> Self {
        Self { interrupt: Interrupt::Waits, ..Self::new(py, object, None) }
    }

    /// What a signal handler raised during a persistent wait.
    pub(super) fn finish(self) -> PyResult<()> {
        self.kept.map_or(Ok(()), Err)
    }

    fn handle_signals(&mut self) -> PyResult<()> {
        match self.py.check_signals() {
            Err(error) if self.interrupt == Interrupt::Waits => {
                // The first one is raised in the end; Python chains none of the later ones either.
                self.kept.get_or_insert(error);
                Ok(())
            }
            result => result,
        }
    }

    fn show(&mut self, nap: &Nap<'_>) {
        if self.row.is_some() && self.shown == nap.holder() {
            return;
        }
        self.shown = nap.holder();
        let holder = holder::owner_of(self.shown);
        names::name_holder(self.py, holder, None);
        if let Some(row) = &self.row {
            row.set_holder(holder);
        } else {
            self.row = Some(threefold_trace::begin(&Shown {
                owner: Owner::thread(),
                name: names::current_thread(self.py),
                reason: nap.reason(),
                object: self.object as u64,
                object_row: None,
                holder,
                site: sites::current(self.py),
                since: Instant::now(),
                has_timeout: nap.has_timeout(),
            }));
        }
    }
}

impl Driver for PythonDriver<'_> {
    type Error = PyErr;

    fn look(&mut self, look: impl FnOnce() -> bool + Send) -> bool {
        self.py.detach(look)
    }

    fn park(&mut self, nap: &Nap<'_>) -> PyResult<()> {
        self.show(nap);
        // Only the main thread runs signal handlers.
        if !threefold_sys::slot::is_main_thread() {
            let _look_again = self.py.detach(|| nap.sleep());
            return Ok(());
        }
        let slice_end = Instant::now().after(SLICE);
        let until = self.deadline.map_or(slice_end, |deadline| deadline.min(slice_end));
        let (word, expected) = nap.word();
        match self.py.detach(|| futex::wait_shared(word, expected, Some(until))) {
            Woke::Look => Ok(()),
            Woke::TimedOut | Woke::Interrupted => self.handle_signals(),
        }
    }
}
