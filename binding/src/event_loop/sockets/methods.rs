//! `loop.sock_recv` and its kin: the common case here, all else by the standard library's own coroutines.
//!
//! The common case is a plain `socket.socket` outside debug mode. What a subclass of it does, what else has a socket's
//! methods, and what debug mode checks, is best known there.

use pyo3::prelude::*;
use pyo3::types::{PyInt, PyTuple};
use threefold_event_loop::watch::Side;

use super::attempt::{Attempt, Data};
use super::wait::SocketWait;
use crate::event_loop::state::EventLoopCore;
use crate::ffi::tasks::TaskMaker;
use crate::ffi::{self, Arguments, Fast, fast_method};
use crate::kept::{Kept, intern};

fast_method!(Receive, EventLoopCore, c"sock_recv", |core, arguments| wait(core, arguments, 2, 2, |given| {
    let count = given.get(1)?.cast_exact::<PyInt>().ok()?.extract().ok()?;
    Some(Attempt::Receive(count))
}));

fast_method!(ReceiveInto, EventLoopCore, c"sock_recv_into", |core, arguments| wait(core, arguments, 2, 2, |given| {
    Some(Attempt::ReceiveInto(given.get(1)?.clone().unbind()))
}));

fast_method!(ReceiveFrom, EventLoopCore, c"sock_recvfrom", |core, arguments| wait(core, arguments, 2, 2, |given| {
    call("recvfrom", given.get(1..)?, Side::Read)
}));

fast_method!(ReceiveFromInto, EventLoopCore, c"sock_recvfrom_into", |core, arguments| {
    wait(core, arguments, 2, 3, |given| {
        let buffer = given.get(1)?;
        let count = match given.get(2) {
            Some(count) if count.is_truthy().ok()? => count.clone(),
            _ => buffer.len().ok()?.into_pyobject(buffer.py()).ok()?.into_any(),
        };
        call("recvfrom_into", &[buffer.clone(), count], Side::Read)
    })
});

fast_method!(SendAll, EventLoopCore, c"sock_sendall", |core, arguments| wait(core, arguments, 2, 2, |given| {
    Some(Attempt::Send(Data::Given(given.get(1)?.clone().unbind()), 0))
}));

fast_method!(SendTo, EventLoopCore, c"sock_sendto", |core, arguments| wait(core, arguments, 3, 3, |given| {
    call("sendto", given.get(1..)?, Side::Write)
}));

fast_method!(Accept, EventLoopCore, c"sock_accept", |core, arguments| {
    wait(core, arguments, 1, 1, |_given| Some(Attempt::Accept))
});

fn call(method: &'static str, arguments: &[Bound<'_, PyAny>], side: Side) -> Option<Attempt> {
    let arguments = PyTuple::new(arguments.first()?.py(), arguments).ok()?;
    Some(Attempt::Call(method, arguments.unbind(), side))
}

fn wait(
    core: &EventLoopCore,
    arguments: &Arguments<'_, '_>,
    least: usize,
    most: usize,
    attempt: impl FnOnce(&[Bound<'_, PyAny>]) -> Option<Attempt>,
) -> Fast {
    if core.is_debugging() || !(least..=most).contains(&arguments.len()) {
        return Fast::Slow;
    }
    Python::attach(|py| {
        let given: Vec<_> = (0..arguments.len()).filter_map(|index| arguments.at(py, index)).collect();
        let Some(socket) = given.first().filter(|socket| is_plain(socket)) else { return Fast::Slow };
        let Some(attempt) = attempt(&given) else { return Fast::Slow };
        let wait = SocketWait::new(arguments.receiver::<Receive>(), socket.clone().unbind(), attempt);
        Py::new(py, wait).map_or(Fast::Slow, |wait| Fast::Object(wait.into_any()))
    })
}

fn is_plain(socket: &Bound<'_, PyAny>) -> bool {
    static CLASS: Kept<PyAny> = Kept::new();
    let py = socket.py();
    CLASS.get_or_find(py, || py.import("socket")?.getattr("socket")).is_ok_and(|class| socket.get_type().is(class))
}

/// Puts the methods in front of those of the class `complete`.
pub(in super::super) fn install(complete: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = complete.py();
    ffi::install_before::<Receive>(&complete.getattr(intern!(py, "sock_recv"))?)?;
    ffi::install_before::<ReceiveInto>(&complete.getattr(intern!(py, "sock_recv_into"))?)?;
    ffi::install_before::<ReceiveFrom>(&complete.getattr(intern!(py, "sock_recvfrom"))?)?;
    ffi::install_before::<ReceiveFromInto>(&complete.getattr(intern!(py, "sock_recvfrom_into"))?)?;
    ffi::install_before::<SendAll>(&complete.getattr(intern!(py, "sock_sendall"))?)?;
    ffi::install_before::<SendTo>(&complete.getattr(intern!(py, "sock_sendto"))?)?;
    ffi::install_before::<Accept>(&complete.getattr(intern!(py, "sock_accept"))?)
}
