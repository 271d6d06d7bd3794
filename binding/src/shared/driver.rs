//! Waiting for another process on a Python thread: lets go of the interpreter, handles signals, shows the wait.

use pyo3::prelude::*;
use threefold_shared_memory::{Driver, Holder, Instant, Nap};
use threefold_sys::futex::{self, Woke};
use threefold_trace::{Owner, Wait as Shown, WaitRow};

use super::holder;
use crate::interrupt::{Interrupts, SLICE};
use crate::{names, sites};

/// Sleeps for a wait of the calling Python thread.
pub(crate) struct PythonDriver<'py> {
    py: Python<'py>,
    /// Address of the Python object, for the wait table.
    object: usize,
    deadline: Option<Instant>,
    interrupts: Interrupts,
    row: Option<WaitRow>,
    /// Who is shown to have what is waited for.
    shown: Holder,
}

impl<'py> PythonDriver<'py> {
    /// For a wait at `object` that a signal handler's exception ends.
    pub(crate) fn new<T>(py: Python<'py>, object: &T, deadline: Option<Instant>) -> Self {
        let object = std::ptr::from_ref(object).addr();
        Self { py, object, deadline, interrupts: Interrupts::ending(), row: None, shown: Holder::NOBODY }
    }

    /// For a wait that must come to its end; see [`PythonDriver::finish`].
    pub(super) fn persistent<T>(py: Python<'py>, object: &T) -> Self {
        Self { interrupts: Interrupts::waiting(), ..Self::new(py, object, None) }
    }

    /// What a signal handler raised during a persistent wait.
    pub(super) fn finish(self) -> PyResult<()> {
        self.interrupts.finish()
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
            Woke::TimedOut | Woke::Interrupted => self.interrupts.handle(self.py),
        }
    }
}
