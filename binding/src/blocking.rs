//! Waiting on a Python thread: lets go of the interpreter, handles signals, and shows the wait in the wait table.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use threefold_trace::{ObjectRow, Owner, Reason, Wait as Shown, WaitRow};
use threefold_wait::{Driver, Gate, Instant, Outcome, Parked, Passage, Ticket, Wait, Waiter, block};

use crate::convert::Patience;
use crate::interrupt::{Interrupts, SLICE};
use crate::{names, python, sites};

/// How long a thread that was told before it fell asleep stays away from the interpreter. Whoever told it still has the
/// interpreter and, more often than not, is about to wait itself; asking for it at once would mean to sleep until then.
const COURTESY: Duration = Duration::from_micros(2);

/// What the wait table says of a wait.
pub(crate) struct Subject {
    pub(crate) reason: Reason,
    /// Address of the Python object.
    pub(crate) object: usize,
    /// Shows the holder, where there is one.
    pub(crate) row: Option<Arc<ObjectRow>>,
    /// The holder, where there is one but no row.
    pub(crate) holder: Owner,
}

impl Subject {
    /// A wait for something that nobody holds.
    pub(crate) fn unheld<T>(reason: Reason, object: &T) -> Self {
        Self { reason, object: std::ptr::from_ref(object).addr(), row: None, holder: Owner::NOBODY }
    }
}

/// Where threads that were woken wait for their turn to ask for the interpreter lock: see [`Gate`].
static INTERPRETER: Gate = Gate::new(4);

/// The main thread does not queue: it may be ending the interpreter, which keeps all others from coming back.
fn enter_interpreter() -> Option<Passage<'static>> {
    (cfg!(not(Py_GIL_DISABLED)) && !threefold_sys::slot::is_main_thread()).then(|| INTERPRETER.enter())
}

struct PythonDriver<'py, F> {
    py: Python<'py>,
    subject: F,
    patience: Patience,
    interrupts: Interrupts,
    row: Option<WaitRow>,
}

impl<F: Fn() -> Subject> PythonDriver<'_, F> {
    fn park_detached(&self, waiter: &Waiter, deadline: Option<Instant>) -> Parked {
        let (parked, _passage) = self.py.detach(|| {
            let parked = waiter.park(deadline);
            if parked == Parked::Seen {
                threefold_wait::linger(COURTESY);
            }
            (parked, enter_interpreter())
        });
        parked
    }

    fn show(&mut self, since: Instant) {
        if self.row.is_none() {
            let subject = (self.subject)();
            names::name_holder(self.py, subject.holder, subject.row.as_deref());
            self.row = Some(threefold_trace::begin(&Shown {
                owner: Owner::thread(),
                name: names::current_thread(self.py),
                reason: subject.reason,
                object: subject.object as u64,
                object_row: subject.row.as_deref(),
                holder: subject.holder,
                site: sites::current(self.py),
                since,
                has_timeout: self.patience.is_limited(),
            }));
        }
    }
}

impl<F: Fn() -> Subject> Driver for PythonDriver<'_, F> {
    type Error = PyErr;

    fn park(&mut self, waiter: &Waiter, deadline: Option<Instant>) -> PyResult<Parked> {
        if deadline.is_none() && python::is_finalizing(self.py)?.call0()?.is_truthy()? {
            let message = format!("cannot wait in {} at interpreter finalization", (self.subject)().reason);
            return Err(PyErr::from_value(python::finalization_error(self.py)?.call1((message,))?));
        }
        self.show(waiter.since());
        // Only the main thread runs signal handlers.
        if !threefold_sys::slot::is_main_thread() {
            return Ok(self.park_detached(waiter, deadline));
        }
        let slice_end = Instant::now().after(SLICE);
        let is_last_slice = deadline.is_some_and(|deadline| deadline <= slice_end);
        let until = if is_last_slice { deadline } else { Some(slice_end) };
        let parked = self.park_detached(waiter, until);
        if matches!(parked, Parked::TimedOut | Parked::Interrupted) {
            self.interrupts.handle(self.py)?;
        }
        Ok(if parked == Parked::TimedOut && !is_last_slice { Parked::Woken } else { parked })
    }
}

/// Waits on this thread; `None` when the patience was at an end.
///
/// # Errors
/// What a signal handler raised; the wait is withdrawn then.
pub(crate) fn wait<W: Wait>(
    py: Python<'_>,
    wait: &mut W,
    owner: Owner,
    patience: Patience,
    subject: impl Fn() -> Subject,
) -> PyResult<Option<W::Output>> {
    wait_with(py, wait, &mut Ticket::thread(owner), patience, subject)
}

/// As [`wait`], with a ticket that may be queued already.
pub(crate) fn wait_with<W: Wait>(
    py: Python<'_>,
    wait: &mut W,
    ticket: &mut Ticket,
    patience: Patience,
    subject: impl Fn() -> Subject,
) -> PyResult<Option<W::Output>> {
    let mut driver = PythonDriver { py, subject, patience, interrupts: Interrupts::ending(), row: None };
    Ok(ready(block(wait, ticket, patience.deadline(), &mut driver)?))
}

/// Waits on this thread for as long as it takes; returns what a signal handler raised meanwhile.
pub(crate) fn wait_through<W: Wait>(
    py: Python<'_>,
    wait: &mut W,
    owner: Owner,
    subject: impl Fn() -> Subject,
) -> PyResult<()> {
    let patience = Patience::Endless;
    let mut driver = PythonDriver { py, subject, patience, interrupts: Interrupts::waiting(), row: None };
    block(wait, &mut Ticket::thread(owner), None, &mut driver)?;
    driver.interrupts.finish()
}

fn ready<T>(outcome: Outcome<T>) -> Option<T> {
    match outcome {
        Outcome::Ready(output) => Some(output),
        Outcome::TimedOut => None,
    }
}
