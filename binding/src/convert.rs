//! Seconds to deadlines, and who is calling: what every word needs of Python's values.

use std::time::Duration;

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyFloat;
use threefold_wait::Instant;

/// The longest wait that can be asked for, in seconds: what `threading.TIMEOUT_MAX` is.
const TIMEOUT_MAX: f64 = 9_223_372_036.0;

/// When a wait is over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// It may not wait at all.
    None,
    /// It may wait until then.
    Until(Instant),
    /// It may wait for ever.
    Endless,
}

impl Patience {
    /// The deadline of a wait that may begin; `None` = for ever.
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::None => Some(Instant::from_nanos(0)),
            Self::Until(deadline) => Some(deadline),
            Self::Endless => None,
        }
    }

    /// Whether there is an end to it.
    pub(crate) fn is_limited(self) -> bool {
        !matches!(self, Self::Endless)
    }

    /// Whether it has come to its end.
    pub(crate) fn is_over(self) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Seconds left, as a Python timeout.
    pub(crate) fn seconds_left(self) -> Option<f64> {
        self.deadline().map(|deadline| deadline.since(Instant::now()).as_secs_f64())
    }
}

/// A timeout in seconds as a number; refuses what is not one.
fn seconds(timeout: &Bound<'_, PyAny>) -> PyResult<f64> {
    let seconds: f64 = if timeout.is_instance_of::<PyFloat>() {
        timeout.extract()?
    } else {
        // An integer too large for a float is too large for a timeout as well.
        match timeout.extract::<f64>() {
            Ok(seconds) => seconds,
            Err(error) if error.is_instance_of::<PyOverflowError>(timeout.py()) => return Err(too_large()),
            Err(error) => return Err(error),
        }
    };
    if seconds.is_nan() {
        return Err(PyValueError::new_err("Invalid value NaN (not a number)"));
    }
    Ok(seconds)
}

fn too_large() -> PyErr {
    PyOverflowError::new_err("timeout value is too large")
}

fn until(seconds: f64) -> PyResult<Patience> {
    if seconds > TIMEOUT_MAX {
        return Err(too_large());
    }
    Ok(Patience::Until(Instant::now().after(Duration::from_secs_f64(seconds.max(0.0)))))
}

/// As `threading.Lock.acquire(blocking, timeout)` understands its arguments.
pub(crate) fn lock_patience(blocking: bool, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Patience> {
    let seconds = timeout.map_or(Ok(-1.0), seconds)?;
    #[allow(clippy::float_cmp, reason = "-1 is the documented way to say `no timeout`, and exact as a float")]
    let is_endless = seconds == -1.0;
    match (blocking, is_endless) {
        (true, true) => Ok(Patience::Endless),
        (false, true) => Ok(Patience::None),
        (false, false) => Err(PyValueError::new_err("can't specify a timeout for a non-blocking call")),
        (true, false) if seconds < 0.0 => Err(PyValueError::new_err("timeout value must be a non-negative number")),
        (true, false) => until(seconds),
    }
}

/// As `Condition.wait(timeout)` and its kin: `None` = for ever, zero and less = not at all.
pub(crate) fn wait_patience(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Patience> {
    let Some(timeout) = timeout else { return Ok(Patience::Endless) };
    let seconds = seconds(timeout)?;
    if seconds <= 0.0 { Ok(Patience::None) } else { until(seconds) }
}

/// As `Queue.get(block, timeout)`.
pub(crate) fn queue_patience(block: bool, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Patience> {
    if !block {
        return Ok(Patience::None);
    }
    let Some(timeout) = timeout else { return Ok(Patience::Endless) };
    let seconds = seconds(timeout)?;
    if seconds < 0.0 {
        return Err(PyValueError::new_err("'timeout' must be a non-negative number"));
    }
    until(seconds)
}

/// Whether the object is true.
pub(crate) fn truth(object: Option<&Bound<'_, PyAny>>, default: bool) -> PyResult<bool> {
    object.map_or(Ok(default), |object| object.is_truthy())
}
