//! Timeouts as `multiprocessing` understands them: negative ones are over at once, `None` means for ever.

use std::time::Duration;

use pyo3::prelude::*;
use threefold_shared_memory::{Instant, Outcome};

use crate::convert::Patience;

/// Longer waits are for ever: a clock could not hold their end.
const LONGEST_S: f64 = 1e9;

/// The end of a wait that may take `timeout` seconds; `None` = never.
pub(super) fn deadline(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Instant>> {
    let Some(timeout) = timeout else { return Ok(None) };
    let seconds: f64 = timeout.extract()?;
    if seconds > LONGEST_S {
        return Ok(None);
    }
    Ok(Some(Instant::now().after(Duration::from_secs_f64(seconds.max(0.0)))))
}

/// A deadline that has passed: for one try.
pub(super) const ONCE: Option<Instant> = Some(Instant::from_nanos(0));

/// For a task's wait that may take `timeout` seconds.
pub(super) fn patience(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Patience> {
    Ok(deadline(timeout)?.map_or(Patience::Endless, Patience::Until))
}

/// As `acquire(block, timeout)` understands its arguments.
pub(super) fn deadline_if(block: bool, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Instant>> {
    if block { deadline(timeout) } else { Ok(ONCE) }
}

/// Whether a wait had what it waited for.
pub(super) fn is_ready<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Outcome::Ready(_))
}
