//! SIGQUIT (Ctrl-\) prints the waits of this process to stderr, and the program goes on.
//!
//! A background thread prints, because a signal handler may not, and because the interpreter may be stuck. It starts
//! with the table, not before: a program that never waits stays single-threaded. Around `fork` it is stopped, since
//! Python warns when a process with more than one thread forks.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use threefold_sys::{fork, process, signal, slot};

use crate::{read, report, table};

const IDLE: u8 = 0;
const REPORTING: u8 = 1;
const STOPPING: u8 = 2;

/// Whether the program asked for reports.
static IS_WANTED: AtomicBool = AtomicBool::new(false);
/// Whether the thread was stopped for a fork and should start again at the next wait.
static IS_PAUSED: AtomicBool = AtomicBool::new(false);

/// Whether this process was forked by a thread that is not its parent's main thread. Such a process ends when its last
/// thread returns, not when `main` does; a thread of ours would keep it alive for ever.
static HAS_NO_MAIN: AtomicBool = AtomicBool::new(false);

/// Whether the main thread is the one that forks now.
static WAS_FORKED_BY_MAIN: AtomicBool = AtomicBool::new(true);

/// Locked by threads that start or stop the reporter, never while it reports.
static REPORTER: Mutex<Option<Reporter>> = Mutex::new(None);

#[derive(Debug)]
struct Reporter {
    generation: u32,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    state: AtomicU8,
    /// The kernel's number of the thread; 0 until it runs.
    kernel_id: AtomicU32,
}

fn reporter() -> MutexGuard<'static, Option<Reporter>> {
    REPORTER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints the waits of this process and its children to stderr whenever SIGQUIT comes.
///
/// # Errors
/// When the handler cannot be installed.
pub fn report_on_quit() -> io::Result<()> {
    let unheard =
        "threefold: nothing to show from here yet; from another terminal, `threefold waits PID` shows who waits\n";
    signal::catch_quit(unheard.to_owned())?;
    IS_WANTED.store(true, Ordering::Release);
    if table::existing().is_some() {
        start_if_wanted();
    }
    Ok(())
}

/// Before `fork`: stops the reporting thread, unless it is just printing.
pub fn before_fork() {
    WAS_FORKED_BY_MAIN.store(slot::is_main_thread(), Ordering::Relaxed);
    let mut place = reporter();
    let Some(present) = place.take_if(|present| present.generation == fork::generation()) else { return };
    if present.shared.state.compare_exchange(IDLE, STOPPING, Ordering::AcqRel, Ordering::Acquire).is_err() {
        *place = Some(present);
        return;
    }
    signal::set_quit_listener(false);
    signal::wake_quit_listener();
    IS_PAUSED.store(true, Ordering::Release);
    let _never_panics = present.thread.join();
    process::await_end_of_thread(present.shared.kernel_id.load(Ordering::Acquire));
}

/// In the parent after `fork`: starts the reporting thread again. Without this it starts at the next wait.
pub fn after_fork_in_parent() {
    resume_if_paused();
}

/// In the child after `fork`: forgets the parent's thread. The child's own starts with its table.
pub fn after_fork() {
    HAS_NO_MAIN.fetch_or(!WAS_FORKED_BY_MAIN.load(Ordering::Relaxed), Ordering::Relaxed);
    IS_PAUSED.store(false, Ordering::Release);
    forget_ancestors(&mut reporter());
}

#[inline]
pub(crate) fn resume_if_paused() {
    if IS_PAUSED.load(Ordering::Relaxed) {
        start_if_wanted();
    }
}

/// Starts the reporting thread if it is wanted and does not run.
#[cold]
pub(crate) fn start_if_wanted() {
    if !IS_WANTED.load(Ordering::Acquire) || HAS_NO_MAIN.load(Ordering::Relaxed) {
        return;
    }
    let mut place = reporter();
    IS_PAUSED.store(false, Ordering::Release);
    forget_ancestors(&mut place);
    if place.is_none() {
        *place = start();
    }
}

/// The thread of an ancestor does not exist here; joining or detaching it would touch what is not there.
fn forget_ancestors(place: &mut Option<Reporter>) {
    if let Some(ancestor) = place.take_if(|present| present.generation != fork::generation()) {
        std::mem::forget(ancestor);
    }
}

fn start() -> Option<Reporter> {
    let shared = Arc::new(Shared::default());
    let seen = signal::quit_count();
    let its_own = Arc::clone(&shared);
    let builder = std::thread::Builder::new().name("threefold-quit".to_owned());
    // No thread to be had: the handler says how to see the waits from outside.
    let thread = signal::with_all_blocked(|| builder.spawn(move || run(&its_own, seen))).ok()?;
    signal::set_quit_listener(true);
    Some(Reporter { generation: fork::generation(), shared, thread })
}

fn run(shared: &Shared, mut seen: u32) {
    let own = rustix::thread::gettid().as_raw_nonzero().get();
    shared.kernel_id.store(u32::try_from(own).unwrap_or(0), Ordering::Release);
    loop {
        signal::wait_for_quit(seen);
        seen = signal::quit_count();
        if shared.state.compare_exchange(IDLE, REPORTING, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return;
        }
        write_to_stderr(own_report().as_bytes());
        shared.state.store(IDLE, Ordering::Release);
    }
}

/// The report of this process and its children.
fn own_report() -> String {
    if let Some(Err(sentence)) = table::existing() {
        return format!("threefold: this process has no wait table: {sentence}\n");
    }
    match read::family(std::process::id()) {
        Ok(snapshots) => report::text(&snapshots),
        Err(error) => format!("threefold: {error}\n"),
    }
}

/// Past Rust's lock of stderr: a child forked meanwhile would never get it.
fn write_to_stderr(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stderr(), bytes) {
            Ok(0) => return,
            Ok(count) => bytes = &bytes[count..],
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => std::thread::yield_now(),
            Err(_) => return,
        }
    }
}
