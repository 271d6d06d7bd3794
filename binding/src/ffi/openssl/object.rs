//! OpenSSL's connection inside the interpreter's TLS object, whose layout is private: found, and proved before it is used.

use std::ffi::c_int;
use std::ptr::NonNull;

use pyo3::ffi;
use pyo3::prelude::*;

use super::functions::{Library, Ssl, SslContext};

/// Words of an object before its own fields.
const HEAD: usize = size_of::<ffi::PyObject>() / size_of::<usize>();
/// `_ssl._SSLSocket`: the socket, which is none between two buffers; OpenSSL's connection; the context.
const SOCKET: usize = HEAD;
const CONNECTION: usize = HEAD + 1;
const OWNER: usize = HEAD + 2;
/// `_ssl._SSLContext`: OpenSSL's context.
const CONTEXT: usize = HEAD;
/// Where `_ssl` notes of OpenSSL's connection which object it belongs to.
const APP_DATA: c_int = 0;

/// OpenSSL's connection of an `_ssl._SSLSocket` between two buffers, if everything about it is as it is known to be.
///
/// Words are read of objects that are as long as that. The one taken for the connection stands between the place of the
/// socket, which must be empty, and a pointer that must be the context's; of what is there OpenSSL must say the same: that
/// it belongs to that context, and to that object.
pub(super) fn connection_of(library: &Library, object: &Bound<'_, PyAny>) -> Option<NonNull<Ssl>> {
    let py = object.py();
    if !object.get_type().is(library.connection_class.bind(py)) {
        return None;
    }
    let context = object.getattr("context").ok()?;
    if !context.is_instance(library.context_class.bind(py).as_any()).ok()? {
        return None;
    }
    let (socket, connection, owner) = (word(object, SOCKET)?, word(object, CONNECTION)?, word(object, OWNER)?);
    if socket != 0 || owner != context.as_ptr().addr() {
        return None;
    }
    let connection = NonNull::new(std::ptr::with_exposed_provenance_mut::<Ssl>(connection))?;
    let wanted = std::ptr::with_exposed_provenance_mut::<SslContext>(word(&context, CONTEXT)?);
    let functions = &library.functions;
    // SAFETY: a connection of OpenSSL's, as far as its place tells: the layout was the same in every version from 3.11 to
    // 3.15, and the words around it are what they are there. Both functions read a field each.
    let (found, object_of_it) =
        unsafe { ((functions.context)(connection.as_ptr()), (functions.extra_data)(connection.as_ptr(), APP_DATA)) };
    (found == wanted && object_of_it.cast() == object.as_ptr()).then_some(connection)
}

/// A word of an object, if it is as long as that.
fn word(object: &Bound<'_, PyAny>, index: usize) -> Option<usize> {
    let class = object.get_type_ptr();
    // SAFETY: attached; the object keeps its class alive, and a class has its size.
    let bytes = usize::try_from(unsafe { (*class).tp_basicsize }).ok()?;
    if (index + 1) * size_of::<usize>() > bytes {
        return None;
    }
    // SAFETY: inside the object, which is alive, and aligned as pointers are; its fields change with the interpreter's lock
    // held only. A field that is shorter than a word, or padding, would be read as it is: these three are pointers.
    Some(unsafe { *object.as_ptr().cast::<usize>().add(index) })
}
