//! Seconds to deadlines, and who is calling: what every word needs of Python's values.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
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

/// An argument that may be left out, where `None` is a value like any other.
pub(crate) enum Argument<'py> {
    Missing,
    Given(Bound<'py, PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Argument<'py> {
    type Error = std::convert::Infallible;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self::Given(object.to_owned()))
    }
}

/// A timeout in seconds as a number, if it is one that a clock can hold.
fn seconds(timeout: &Bound<'_, PyAny>) -> Option<f64> {
    let seconds = match timeout.cast::<PyFloat>() {
        Ok(float) => float.value(),
        #[allow(clippy::cast_precision_loss, reason = "a timeout above 2**53 seconds is refused anyway")]
        Err(_) => timeout.extract::<i64>().ok()? as f64,
    };
    (seconds <= TIMEOUT_MAX).then_some(seconds)
}

fn until(seconds: f64) -> Patience {
    Patience::Until(Instant::now().after(Duration::from_secs_f64(seconds.max(0.0))))
}

/// The error of this Python's own lock for arguments that cannot be used: each version has words of its own.
fn refusal(py: Python<'_>, blocking: bool, timeout: &Bound<'_, PyAny>) -> PyErr {
    let lock = py.import("_thread").and_then(|module| module.getattr("allocate_lock")?.call0());
    match lock.and_then(|lock| lock.call_method1("acquire", (blocking, timeout))) {
        Err(error) => error,
        Ok(_accepted) => PyValueError::new_err("timeout value is out of range"),
    }
}

/// As `threading.Lock.acquire(blocking, timeout)` understands its arguments.
pub(crate) fn lock_patience(blocking: bool, timeout: Argument<'_>) -> PyResult<Patience> {
    let Argument::Given(timeout) = timeout else {
        return Ok(if blocking { Patience::Endless } else { Patience::None });
    };
    match (blocking, seconds(&timeout)) {
        (true, Some(seconds)) if seconds >= 0.0 => Ok(until(seconds)),
        // The documented way to say `no timeout`, and exact as a float.
        (true, Some(-1.0)) => Ok(Patience::Endless),
        (false, Some(-1.0)) => Ok(Patience::None),
        _ => Err(refusal(timeout.py(), blocking, &timeout)),
    }
}

/// As `Condition.wait(timeout)` and its kin: `None` = for ever, zero and less = not at all.
pub(crate) fn wait_patience(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Patience> {
    let Some(timeout) = timeout else { return Ok(Patience::Endless) };
    match seconds(timeout) {
        Some(seconds) if seconds <= 0.0 => Ok(Patience::None),
        Some(seconds) => Ok(until(seconds)),
        None => Err(refusal(timeout.py(), true, timeout)),
    }
}

/// As `Queue.get(block, timeout)`.
pub(crate) fn queue_patience(block: bool, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Patience> {
    if !block {
        return Ok(Patience::None);
    }
    let Some(timeout) = timeout else { return Ok(Patience::Endless) };
    match seconds(timeout) {
        Some(seconds) if seconds < 0.0 => Err(PyValueError::new_err("'timeout' must be a non-negative number")),
        Some(seconds) => Ok(until(seconds)),
        None => Err(refusal(timeout.py(), true, timeout)),
    }
}

/// Says that a constructor has run. Python 3.11 shows objects to its garbage collector when their memory is still zero,
/// and zero is no valid state of most things; `__traverse__` must look here first.
#[derive(Debug)]
pub(crate) struct Constructed(u8);

impl Constructed {
    pub(crate) const YES: Self = Self(1);

    #[inline]
    pub(crate) fn is_true(&self) -> bool {
        self.0 != 0
    }
}

/// Whether the object is true.
pub(crate) fn truth(object: Option<&Bound<'_, PyAny>>, default: bool) -> PyResult<bool> {
    object.map_or(Ok(default), PyAnyMethods::is_truthy)
}
