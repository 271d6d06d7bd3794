//! The kernel, safely: futex, shared maps, clock, thread slots, fork and signals.
//!
//! Together with `binding/src/ffi.rs` this is the only place with `unsafe`; every block answers its callee's
//! conditions one by one. Nothing here knows what a lock or a queue is.

pub mod clock;
pub mod fork;
pub mod futex;
pub mod map;
pub mod signal;
pub mod slot;
