//! Holders in shared memory, as owners for the wait table and as tasks.

use pyo3::prelude::*;
use threefold_shared_memory::{Holder, Within};
use threefold_sys::slot;
use threefold_trace::Owner;

use crate::wait;

/// Who that is: a thread of this process, or another process.
pub(super) fn owner_of(holder: Holder) -> Owner {
    if holder.is_nobody() {
        return Owner::NOBODY;
    }
    let other = Owner::process(holder.pid());
    if holder.is_of_process_of(Holder::current()) {
        slot::of_kernel_id(holder.thread_id()).map_or(other, Owner::of_slot)
    } else {
        other
    }
}

/// The calling task as an owner within its thread, or the thread itself.
pub(super) fn caller(py: Python<'_>) -> Within {
    let caller = wait::caller(py);
    if caller.task_address() == 0 { Within::THREAD } else { Within(caller.0) }
}

/// Whether the owner within this thread is who calls.
pub(super) fn is_caller(py: Python<'_>, within: Within) -> bool {
    within == Within::THREAD || wait::is_caller(py, Owner(within.0))
}
