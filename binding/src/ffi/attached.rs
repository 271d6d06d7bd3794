//! State that only attached threads touch: the interpreter's lock keeps them apart, so that looking at it needs no atomic
//! exchange, which costs as much as ten other instructions. Where threads run without that lock a latch takes its place.

use pyo3::PyVisit;
use pyo3::prelude::*;

#[cfg(Py_GIL_DISABLED)]
pub(crate) use latched::Attached;
#[cfg(not(Py_GIL_DISABLED))]
pub(crate) use locked::Attached;

#[cfg(not(Py_GIL_DISABLED))]
mod locked {
    use std::cell::UnsafeCell;
    use std::marker::PhantomData;
    use std::ops::{Deref, DerefMut};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{PyVisit, Python};

    /// Guarded by the interpreter's lock. As with a latch, nobody runs Python code, makes or drops Python objects, or detaches
    /// while it is closed.
    #[derive(Default)]
    pub(crate) struct Attached<T> {
        is_closed: AtomicBool,
        value: UnsafeCell<T>,
    }

    // SAFETY: it is looked at by attached threads only, of which there is one at a time; taking turns synchronises them. A
    // second look while the first one lasts is refused.
    unsafe impl<T: Send> Sync for Attached<T> {}

    /// One look.
    pub(crate) struct Closed<'a, T> {
        of: &'a Attached<T>,
        is_for_this_thread: PhantomData<*mut ()>,
    }

    impl<T> Attached<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self { is_closed: AtomicBool::new(false), value: UnsafeCell::new(value) }
        }

        /// Closes it until the guard is dropped.
        #[inline]
        pub(crate) fn close<'a>(&'a self, _py: Python<'_>) -> Closed<'a, T> {
            // A load and a store: no other thread is attached.
            assert!(!self.is_closed.load(Ordering::Relaxed), "looked at twice at once");
            self.is_closed.store(true, Ordering::Relaxed);
            Closed { of: self, is_for_this_thread: PhantomData }
        }

        /// The same, for the garbage collector, which attached threads run.
        #[inline]
        pub(crate) fn visit<'a>(&'a self, _visit: &PyVisit<'_>) -> Closed<'a, T> {
            // SAFETY: the interpreter visits objects on an attached thread.
            self.close(unsafe { Python::assume_attached() })
        }
    }

    impl<T> Deref for Closed<'_, T> {
        type Target = T;

        #[inline]
        fn deref(&self) -> &T {
            // SAFETY: there is one guard at a time.
            unsafe { &*self.of.value.get() }
        }
    }

    impl<T> DerefMut for Closed<'_, T> {
        #[inline]
        fn deref_mut(&mut self) -> &mut T {
            // SAFETY: there is one guard at a time, and it is borrowed mutably.
            unsafe { &mut *self.of.value.get() }
        }
    }

    impl<T> Drop for Closed<'_, T> {
        #[inline]
        fn drop(&mut self) {
            self.of.is_closed.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(Py_GIL_DISABLED)]
mod latched {
    use std::ops::DerefMut;

    use threefold_wait::Latch;

    use super::{PyVisit, Python};

    /// Guarded by a latch.
    #[derive(Default)]
    pub(crate) struct Attached<T>(Latch<T>);

    impl<T> Attached<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(Latch::new(value))
        }

        /// Closes it until the guard is dropped.
        #[inline]
        pub(crate) fn close<'a>(&'a self, _py: Python<'_>) -> impl DerefMut<Target = T> + 'a {
            self.0.close()
        }

        /// The same, for the garbage collector.
        #[inline]
        pub(crate) fn visit<'a>(&'a self, _visit: &PyVisit<'_>) -> impl DerefMut<Target = T> + 'a {
            self.0.close()
        }
    }
}
