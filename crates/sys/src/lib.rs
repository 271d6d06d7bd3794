//! The kernel, safely: futex, shared memory, clock, processes, thread slots, fork, signals and
//! streams.
//!
//! Together with `binding/src/ffi` this is the only place with `unsafe`; every block answers its callee's
//! conditions one by one. Nothing here knows what a lock or a queue is.

pub mod clock;
pub mod datagram;
pub mod death;
pub mod descriptor;
pub mod epoll;
pub mod fork;
pub mod futex;
pub mod loaded;
pub mod map;
pub mod pipe;
pub mod process;
pub mod region;
pub mod signal;
pub mod slot;
pub mod source;
pub mod stream;
pub mod target;
