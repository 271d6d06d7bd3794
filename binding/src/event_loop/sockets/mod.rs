//! Operations on sockets that tasks wait for: `loop.sock_recv` and its kin.
//!
//! An operation tries in the task's own step, before it waits and after it was woken; so a task that is cancelled between
//! the two loses no data. A socket's descriptor is registered once, by edge, and is known again as long as the socket
//! object lives: see `threefold_event_loop::watch`.

mod attempt;
mod known;
mod methods;
mod wait;

use pyo3::prelude::*;

pub(super) use attempt::os_error;
pub(super) use known::Sockets;
pub(super) use methods::install;
use wait::SocketWait;

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SocketWait>()?;
    crate::ffi::install_awaitable::<SocketWait>(module.py());
    Ok(())
}
