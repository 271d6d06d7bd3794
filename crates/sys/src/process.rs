//! Who this process and this thread are, and whether another process still runs.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::{fork, futex, slot};

/// What is known of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// There is none, or only its exit status, or a program that is being dumped after a crash: it runs no more.
    Gone,
    /// It runs, or is stopped.
    Runs {
        /// When it began, in clock ticks after boot: tells it from an earlier process of the same number.
        start_time: u64,
    },
    /// `/proc` cannot be read; there is a process of that number.
    Unknown,
}

const LOW_HALF: u64 = 0xffff_ffff;

/// This process's number and start time, packed: 32 bits each; 0 = not asked yet.
static OWN: AtomicU64 = AtomicU64::new(0);
/// The fork generation plus one in which `OWN` was found out.
static OWN_GENERATION: AtomicU64 = AtomicU64::new(0);
/// Whether `/proc` shows the processes by the numbers that they have here: not in a number namespace that still has the
/// `/proc` of another.
static IS_PROC_OURS: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The kernel's number of this thread, and the fork generation in which it was asked for.
    static THREAD: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
}

/// This process's number and the low 32 bits of its start time.
#[inline]
pub fn own() -> (u32, u32) {
    let generation = u64::from(fork::generation()) + 1;
    if OWN_GENERATION.load(Ordering::Acquire) == generation {
        return unpack(OWN.load(Ordering::Relaxed));
    }
    find_own(generation)
}

#[cold]
fn find_own(generation: u64) -> (u32, u32) {
    fork::watch();
    let pid = std::process::id();
    let is_proc_ours = fs::read_link("/proc/self").is_ok_and(|own| own.as_os_str() == pid.to_string().as_str());
    IS_PROC_OURS.store(is_proc_ours, Ordering::Relaxed);
    let start_time = match look_up(pid) {
        Life::Runs { start_time } => start_time,
        Life::Gone | Life::Unknown => 0,
    };
    // Several threads may do this at once; all store the same.
    let own = u64::from(pid) << 32 | start_time & LOW_HALF;
    OWN.store(own, Ordering::Relaxed);
    OWN_GENERATION.store(generation, Ordering::Release);
    unpack(own)
}

const fn unpack(own: u64) -> (u32, u32) {
    ((own >> 32) as u32, (own & LOW_HALF) as u32)
}

/// The kernel's number of the calling thread.
#[inline]
pub fn thread_id() -> u32 {
    let (known, generation) = THREAD.get();
    if known != 0 && generation == fork::generation() { known } else { find_thread_id() }
}

#[cold]
fn find_thread_id() -> u32 {
    fork::watch();
    let number = u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap_or(0);
    THREAD.set((number, fork::generation()));
    // So that whoever waits for what this thread has can show it.
    let _has_one = slot::current();
    number
}

/// How long and how often to wait until the kernel no longer counts a thread.
const PAUSE: Duration = Duration::from_micros(50);
const MOST_PAUSES: usize = 2000;

/// Waits until the kernel no longer counts a thread of this process that has been joined: it does for a moment longer,
/// on a busy machine for many milliseconds, and Python asks the kernel before it forks.
///
/// # Blocking
/// For 100 milliseconds at most.
pub fn await_end_of_thread(thread_id: u32) {
    let entry = PathBuf::from(format!("/proc/self/task/{thread_id}"));
    for _ in 0..MOST_PAUSES {
        if !entry.exists() {
            return;
        }
        futex::pause(PAUSE);
    }
}

/// Whether process `pid` runs. Zombies do not; stopped processes do.
pub fn life(pid: u32) -> Life {
    // Finds out whether `/proc` can be asked.
    let _asked = own();
    look_up(pid)
}

fn look_up(pid: u32) -> Life {
    if !IS_PROC_OURS.load(Ordering::Relaxed) {
        return life_without_proc(pid, &io::ErrorKind::NotFound.into());
    }
    let line = match fs::read(format!("/proc/{pid}/stat")) {
        Ok(line) => line,
        Err(error) => return life_without_proc(pid, &error),
    };
    let Some(stat) = parse(&line) else { return life_without_proc(pid, &io::ErrorKind::InvalidData.into()) };
    // Ending can take a while, for a process with much memory. The first thread may end before the others: then it is a
    // zombie, but the process is not.
    let is_ending = stat.state == b'Z' || stat.flags & EXITING != 0;
    let is_gone = stat.state == b'X' || is_ending && stat.thread_count <= 1;
    if is_gone || is_dumped(pid) { Life::Gone } else { Life::Runs { start_time: stat.start_time } }
}

/// The kernel's mark of a thread that will never run its program again.
const EXITING: u64 = 4;

struct Stat {
    state: u8,
    flags: u64,
    thread_count: u64,
    start_time: u64,
}

fn parse(line: &[u8]) -> Option<Stat> {
    // The command's name, in parentheses, may hold anything, parentheses and line ends included.
    let end_of_name = line.iter().rposition(|&byte| byte == b')')?;
    let mut fields = std::str::from_utf8(line.get(end_of_name + 1..)?).ok()?.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let flags = fields.nth(5)?.parse().ok()?;
    let thread_count = fields.nth(10)?.parse().ok()?;
    let start_time = fields.nth(1)?.parse().ok()?;
    Some(Stat { state, flags, thread_count, start_time })
}

/// Whether its memory is being written to a core file, which can take seconds; none of its threads runs any more.
fn is_dumped(pid: u32) -> bool {
    let marker: &[u8] = b"\nCoreDumping:\t1";
    fs::read(format!("/proc/{pid}/status"))
        .is_ok_and(|status| status.windows(marker.len()).any(|window| window == marker))
}

fn life_without_proc(pid: u32, error: &io::Error) -> Life {
    // Read while it ended: ESRCH.
    let is_gone = error.raw_os_error() == Some(libc::ESRCH);
    let number = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let Some(number) = number.filter(|_| !is_gone) else { return Life::Gone };
    match rustix::process::test_kill_process(number) {
        Err(rustix::io::Errno::SRCH) => Life::Gone,
        _ => Life::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_runs_then_is_a_zombie_then_is_gone() {
        let mut child = std::process::Command::new("/bin/cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        assert!(matches!(life(pid), Life::Runs { start_time } if start_time > 0));
        drop(child.stdin.take());
        let number = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap());
        let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(number.unwrap()), options).unwrap();
        assert_eq!(life(pid), Life::Gone);
        child.wait().unwrap();
        assert_eq!(life(pid), Life::Gone);
    }

    #[test]
    fn this_process_runs_and_every_thread_has_a_number_of_its_own() {
        let (pid, start_time) = own();
        assert_eq!(pid, std::process::id());
        assert!(matches!(life(pid), Life::Runs { start_time: seen } if seen & LOW_HALF == start_time.into()));
        let there = std::thread::spawn(thread_id).join().unwrap();
        assert_ne!(thread_id(), there);
        assert_eq!(thread_id(), thread_id());
        assert_eq!(life(0), Life::Gone);
    }

    #[test]
    fn a_forked_child_is_another_process_and_thread() {
        let before = (own(), thread_id());
        // SAFETY: the child only reads `/proc`, which allocates; the C library makes its allocator ready for that in a
        // forked child. It leaves without running anything of the parent's.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let is_another = own().0 != before.0.0 && thread_id() == own().0 && own().0 == std::process::id();
            // SAFETY: has no preconditions; ends the child at once.
            unsafe { libc::_exit(i32::from(!is_another)) };
        }
        let mut status = 0;
        // SAFETY: `status` is writable.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        assert_eq!(status, 0);
        assert_eq!((own(), thread_id()), before);
    }

    #[test]
    fn a_name_with_parentheses_does_not_move_the_fields() {
        let line = b"42 (a) b (c)) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 98765 1000";
        let stat = parse(line).unwrap();
        assert_eq!((stat.state, stat.flags, stat.thread_count, stat.start_time), (b'S', 4_194_560, 3, 98765));
        assert!(parse(b"").is_none() && parse(b"42 (a) Z 7").is_none());
    }
}
