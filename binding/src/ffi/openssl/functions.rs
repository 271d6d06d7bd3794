//! The functions of the OpenSSL that the interpreter's `_ssl` has loaded.

use std::ffi::OsString;
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::os::unix::ffi::OsStringExt;
use std::ptr::NonNull;
use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::PyType;
use threefold_sys::loaded::Loaded;

use super::pipe;

/// A connection, to OpenSSL.
pub(super) enum Ssl {}
/// What connections have in common.
pub(super) enum SslContext {}
/// Where a connection's ciphertext comes from or goes to.
pub(super) enum Bio {}
/// What a kind of these does.
pub(super) enum BioMethod {}

/// `OpenSSL_version`: the whole text.
const VERSION: c_int = 0;

pub(super) type BioRead = unsafe extern "C" fn(*mut Bio, *mut c_char, c_int) -> c_int;
pub(super) type BioWrite = unsafe extern "C" fn(*mut Bio, *const c_char, c_int) -> c_int;
pub(super) type BioControl = unsafe extern "C" fn(*mut Bio, c_int, c_long, *mut c_void) -> c_long;
pub(super) type BioDestroy = unsafe extern "C" fn(*mut Bio) -> c_int;

/// Declares the table: the field, its name in C, and its type there.
macro_rules! functions {
    ($($field:ident = $name:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// Functions with the signatures that OpenSSL has documented since 1.1.1.
        pub(super) struct Functions {
            $(pub(super) $field: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Functions {
            /// All of them, if the library has all.
            ///
            /// # Safety
            /// What the library calls so is OpenSSL's.
            unsafe fn find(library: Loaded) -> Option<Self> {
                Some(Self {
                    $($field: {
                        let address = library.symbol($name)?.as_ptr();
                        // SAFETY: the caller's: a function of this signature; it stays loaded.
                        unsafe {
                            std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(
                                address,
                            )
                        }
                    },)*
                })
            }
        }
    };
}

functions! {
    version = c"OpenSSL_version": fn(c_int) -> *const c_char;
    peek_error = c"ERR_peek_error": fn() -> std::ffi::c_ulong;
    clear_errors = c"ERR_clear_error": fn();
    read = c"SSL_read_ex": fn(*mut Ssl, *mut c_void, usize, *mut usize) -> c_int;
    write = c"SSL_write_ex": fn(*mut Ssl, *const c_void, usize, *mut usize) -> c_int;
    get_error = c"SSL_get_error": fn(*const Ssl, c_int) -> c_int;
    context = c"SSL_get_SSL_CTX": fn(*const Ssl) -> *mut SslContext;
    extra_data = c"SSL_get_ex_data": fn(*const Ssl, c_int) -> *mut c_void;
    set_read_ahead = c"SSL_set_read_ahead": fn(*mut Ssl, c_int);
    set_bio = c"SSL_set_bio": fn(*mut Ssl, *mut Bio, *mut Bio);
    new_bio = c"BIO_new": fn(*const BioMethod) -> *mut Bio;
    free_bio = c"BIO_free": fn(*mut Bio) -> c_int;
    set_bio_data = c"BIO_set_data": fn(*mut Bio, *mut c_void);
    bio_data = c"BIO_get_data": fn(*mut Bio) -> *mut c_void;
    set_bio_init = c"BIO_set_init": fn(*mut Bio, c_int);
    set_bio_flags = c"BIO_set_flags": fn(*mut Bio, c_int);
    clear_bio_flags = c"BIO_clear_flags": fn(*mut Bio, c_int);
    new_index = c"BIO_get_new_index": fn() -> c_int;
    new_method = c"BIO_meth_new": fn(c_int, *const c_char) -> *mut BioMethod;
    set_read = c"BIO_meth_set_read": fn(*mut BioMethod, BioRead) -> c_int;
    set_write = c"BIO_meth_set_write": fn(*mut BioMethod, BioWrite) -> c_int;
    set_control = c"BIO_meth_set_ctrl": fn(*mut BioMethod, BioControl) -> c_int;
    set_destroy = c"BIO_meth_set_destroy": fn(*mut BioMethod, BioDestroy) -> c_int;
}

/// The library, and what of the interpreter's goes with it.
pub(super) struct Library {
    pub(super) functions: Functions,
    /// The kind of source and sink that ours are.
    pub(super) method: NonNull<BioMethod>,
    /// `_ssl._SSLSocket` and `_ssl._SSLContext`.
    pub(super) connection_class: Py<PyType>,
    pub(super) context_class: Py<PyType>,
}

// SAFETY: functions may be called in any thread; the method is not changed any more.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();

impl Library {
    /// The library, if it is one that can be called.
    pub(super) fn get(py: Python<'_>) -> Option<&'static Self> {
        if let Some(library) = LIBRARY.get() {
            return library.as_ref();
        }
        let found = find(py).unwrap_or(None);
        // Nothing of Python runs inside the cell.
        LIBRARY.get_or_init(|| found).as_ref()
    }

    /// The library, in a function that it has called.
    #[inline]
    pub(super) fn known() -> Option<&'static Self> {
        LIBRARY.get()?.as_ref()
    }
}

/// The newest Python whose `_ssl` is known.
const NEWEST: (u8, u8) = (3, 15);

/// Looks for OpenSSL where the interpreter's `_ssl` has it from.
///
/// A module that is part of the interpreter may contain one that nobody can see, and another may be loaded besides. So it must
/// be a module of its own, and what it needs must tell the version that the module tells.
fn find(py: Python<'_>) -> PyResult<Option<Library>> {
    let implementation: String = py.import("sys")?.getattr("implementation")?.getattr("name")?.extract()?;
    if cfg!(Py_GIL_DISABLED) || implementation != "cpython" || py.version_info() >= (NEWEST.0, NEWEST.1 + 1) {
        return Ok(None);
    }
    let module = py.import("_ssl")?;
    let version: String = module.getattr("OPENSSL_VERSION")?.extract()?;
    // Others that can stand in its place say "compatible", or have a name of their own.
    if !version.starts_with("OpenSSL ") || version.contains("compatible") {
        return Ok(None);
    }
    let file: OsString = module.getattr("__file__")?.extract()?;
    let file = CString::new(file.into_vec())?;
    let Some(library) = Loaded::find(&file) else { return Ok(None) };
    // SAFETY: the module is OpenSSL's user, so that what it needs and calls so is OpenSSL's.
    let Some(functions) = (unsafe { Functions::find(library) }) else { return Ok(None) };
    // SAFETY: a text that ends with a zero, and is never changed.
    let told = unsafe { CStr::from_ptr((functions.version)(VERSION)) };
    if told.to_bytes() != version.as_bytes() {
        return Ok(None);
    }
    let Some(method) = pipe::new_method(&functions) else { return Ok(None) };
    let class = |name: &str| Ok::<_, PyErr>(module.getattr(name)?.cast_into::<PyType>()?.unbind());
    let (connection_class, context_class) = (class("_SSLSocket")?, class("_SSLContext")?);
    Ok(Some(Library { functions, method, connection_class, context_class }))
}
