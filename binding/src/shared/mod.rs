//! What processes share: `threefold.multiprocessing` is made of these classes.

mod barrier;
mod barrier_task;
mod condition;
mod condition_task;
mod connection;
pub(crate) mod driver;
mod event;
mod event_task;
mod holder;
mod inheritance;
mod lock;
mod lock_task;
mod lookout;
pub(crate) mod pickle;
mod place;
pub(crate) mod plain;
mod queue;
mod queue_task;
mod sem_lock;
mod stream;
mod task;
mod timeout;
mod view;

use pyo3::prelude::*;

use crate::ffi;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    sem_lock::register(module)?;
    module.add_class::<condition::SharedCondition>()?;
    module.add_class::<event::SharedEvent>()?;
    module.add_class::<barrier::SharedBarrier>()?;
    module.add_function(wrap_pyfunction!(pickle::_reduce_as_multiprocessing, module)?)?;
    module.add_class::<view::SharedPart>()?;
    ffi::install_buffer::<view::SharedPart>(module.py());
    module.add_class::<queue::SharedQueue>()?;
    module.add_function(wrap_pyfunction!(connection::connection_send, module)?)?;
    module.add_function(wrap_pyfunction!(connection::connection_send_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(connection::connection_receive, module)?)?;
    module.add_function(wrap_pyfunction!(connection::connection_receive_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(connection::connection_receive_into, module)?)?;
    module.add_function(wrap_pyfunction!(connection::connection_poll, module)?)
}
