//! Functions of libraries that the process has loaded before.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

/// A library that is there, and stays.
#[derive(Clone, Copy, Debug)]
pub struct Loaded(NonNull<c_void>);

// SAFETY: the handle is a name for the loader, which may be used in any thread.
unsafe impl Send for Loaded {}
// SAFETY: as above.
unsafe impl Sync for Loaded {}

impl Loaded {
    /// The library of a file, if the process has it already; nothing is loaded.
    ///
    /// It will not be unloaded any more, so that what is found in it stays valid.
    pub fn find(file: &CStr) -> Option<Self> {
        // SAFETY: the name ends with a zero, and lives during the call. Nothing of the library runs, as it is there already.
        let handle = unsafe { libc::dlopen(file.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE) };
        NonNull::new(handle).map(Self)
    }

    /// The address of what the library, or one that it needs, calls so.
    pub fn symbol(&self, name: &CStr) -> Option<NonNull<c_void>> {
        // SAFETY: the handle is one of the loader's that was never given back; the name ends with a zero.
        NonNull::new(unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_loaded_is_not_found() {
        assert!(Loaded::find(c"/nowhere/libnothing.so").is_none());
    }

    #[test]
    fn a_function_is_found_by_its_name() {
        let Some(library) = Loaded::find(c"libc.so.6") else { return };
        assert!(library.symbol(c"getpid").is_some());
        assert!(library.symbol(c"no_such_function_anywhere").is_none());
    }
}
