//! SIGQUIT, caught with nothing but an atomic and a futex, and threads that no signal is delivered to.

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::{fork, futex};

/// How many times SIGQUIT came; its listener sleeps on it.
static QUIT_COUNT: AtomicU32 = AtomicU32::new(0);

/// The fork generation of the process that listens, plus one; 0 = nobody does.
///
/// A forked child inherits the handler but not the listening thread; comparing generations tells the two apart.
static LISTENER: AtomicU32 = AtomicU32::new(0);

/// What the handler writes to stderr when nobody listens: a line made before the handler was installed.
static UNHEARD: AtomicPtr<String> = AtomicPtr::new(std::ptr::null_mut());

/// Catches SIGQUIT from now on: wakes the thread in [`wait_for_quit`], or writes `unheard` to stderr when there is none.
///
/// A handler that somebody else installed stays. System calls that the signal interrupts are restarted where the
/// kernel can do so.
///
/// # Errors
/// What `sigaction` says.
pub fn catch_quit(unheard: String) -> io::Result<()> {
    let line = Box::into_raw(Box::new(unheard));
    if UNHEARD.compare_exchange(std::ptr::null_mut(), line, Ordering::Release, Ordering::Relaxed).is_err() {
        // SAFETY: the exchange failed, so this thread is still the only one that knows `line`, which `into_raw` made.
        drop(unsafe { Box::from_raw(line) });
    }
    let mut present = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only asks; `present` is writable and of the right type.
    if unsafe { libc::sigaction(libc::SIGQUIT, std::ptr::null(), present.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the successful call above filled it in, and all-zero bytes are a valid value anyway.
    let mut action = unsafe { present.assume_init() };
    if action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN {
        return Ok(());
    }
    let handler: extern "C" fn(libc::c_int) = on_quit;
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `sa_mask` is a writable signal set of ours.
    unsafe { libc::sigemptyset(&raw mut action.sa_mask) };
    // SAFETY: `action` is fully initialised and its handler is async-signal-safe; a null old action is permitted.
    if unsafe { libc::sigaction(libc::SIGQUIT, &raw const action, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Says whether a thread of this process will answer SIGQUIT.
pub fn set_quit_listener(is_listening: bool) {
    LISTENER.store(if is_listening { fork::generation().wrapping_add(1) } else { 0 }, Ordering::Release);
}

/// How many times SIGQUIT came so far.
pub fn quit_count() -> u32 {
    QUIT_COUNT.load(Ordering::Acquire)
}

/// Waits until SIGQUIT has come, or [`wake_quit_listener`] was called, after `seen` was read from [`quit_count`].
///
/// # Blocking
/// For ever when neither happens. For one background thread of our own only.
pub fn wait_for_quit(seen: u32) {
    while quit_count() == seen {
        let _look_again = futex::wait(&QUIT_COUNT, seen, None);
    }
}

/// Wakes the thread in [`wait_for_quit`] as the signal does. Async-signal-safe.
pub fn wake_quit_listener() {
    QUIT_COUNT.fetch_add(1, Ordering::Release);
    futex::wake(&QUIT_COUNT);
}

/// Calls `run` with every signal blocked, so that a thread made in it never receives one.
pub fn with_all_blocked<Outcome>(run: impl FnOnce() -> Outcome) -> Outcome {
    let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: both sets are writable; `sigfillset` initialises `all` before `pthread_sigmask` reads it.
    let is_blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let outcome = run();
    if is_blocked {
        // SAFETY: the successful call above filled `before` in; a null old set is permitted.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    }
    outcome
}

/// The handler: atomics, `futex` and `write` only, which a signal handler may use at any moment.
extern "C" fn on_quit(_signal: libc::c_int) {
    // SAFETY: returns the address of this thread's errno, valid for the life of the thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the address above is readable, and nobody else uses this thread's errno meanwhile.
    let before = unsafe { *errno };
    if LISTENER.load(Ordering::Acquire) == fork::generation().wrapping_add(1) {
        wake_quit_listener();
    } else {
        // SAFETY: null, or a box that was published with Release and is never freed.
        if let Some(line) = unsafe { UNHEARD.load(Ordering::Acquire).as_ref() } {
            // SAFETY: the pointer and length are those of a live string; a bad descriptor is an error, not a fault.
            unsafe { libc::write(2, line.as_ptr().cast(), line.len()) };
        }
    }
    // SAFETY: as for reading it.
    unsafe { *errno = before };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigquit_wakes_its_listener_and_the_process_goes_on() {
        catch_quit(String::new()).unwrap();
        set_quit_listener(true);
        let seen = quit_count();
        // SAFETY: the signal has a handler by now.
        unsafe { libc::raise(libc::SIGQUIT) };
        wait_for_quit(seen);
        assert_ne!(seen, quit_count());
    }

    #[test]
    fn a_thread_made_with_signals_blocked_has_them_blocked() {
        let status = with_all_blocked(|| {
            std::thread::spawn(|| std::fs::read_to_string("/proc/thread-self/status").unwrap()).join().unwrap()
        });
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap().trim();
        let mask = u64::from_str_radix(blocked, 16).unwrap();
        assert_ne!(mask & (1 << (libc::SIGQUIT - 1)), 0);
        let here = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(here.contains("SigBlk:\t0000000000000000"));
    }
}
