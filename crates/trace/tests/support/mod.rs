//! What the tests of the table share: a time limit, a child process that waits, and a wait to show.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use threefold_sys::clock::Instant;
use threefold_sys::futex;
use threefold_trace::{Owner, Reason, Text, Wait, intern};

/// Ends the whole test program when it is not dropped in time.
pub struct Limit(Arc<AtomicU32>);

impl Limit {
    pub fn seconds(seconds: u64) -> Self {
        let over = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&over);
        let deadline = Instant::now().after(Duration::from_secs(seconds));
        std::thread::spawn(move || {
            while seen.load(Ordering::Acquire) == 0 {
                if futex::wait(&seen, 0, Some(deadline)) == futex::Woke::TimedOut {
                    let _unseen = writeln!(std::io::stderr(), "a test took longer than {seconds} s");
                    std::process::abort();
                }
            }
        });
        Self(over)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        self.0.store(1, Ordering::Release);
        futex::wake(&self.0);
    }
}

/// A wait of the calling thread.
pub fn wait(name: &str, reason: Reason) -> Wait<'static> {
    Wait {
        owner: Owner::thread(),
        name: intern(name),
        reason,
        object: 0xabc0,
        object_row: None,
        holder: Owner::NOBODY,
        site: Text::NONE,
        since: threefold_sys::clock::Instant::now(),
        has_timeout: false,
    }
}

/// This test program again, running one of its ignored tests as another process; killed when dropped.
pub struct Other {
    pub child: Child,
    pub input: ChildStdin,
}

impl Other {
    /// Starts the test called `name` and returns when it has printed `ready`.
    pub fn start(name: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.as_mut().unwrap());
        let mut line = String::new();
        while !line.ends_with("ready\n") {
            line.clear();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "the other process ended early");
        }
        Self { child, input }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// In the other process: tells the starter that everything is set up, and stays until told to end.
pub fn ready_until_told() {
    let mut output = std::io::stdout();
    output.write_all(b"ready\n").unwrap();
    output.flush().unwrap();
    let _told = std::io::stdin().read_line(&mut String::new());
}

/// The bytes of this process's table.
pub fn own_bytes() -> (Vec<u8>, std::path::PathBuf) {
    let path = threefold_trace::path_of(std::process::id());
    (std::fs::read(&path).unwrap(), path)
}

/// Writes `bytes` over the word number `word` of a table.
pub fn set_word(bytes: &mut [u8], word: usize, value: u64) {
    bytes[word * 8..word * 8 + 8].copy_from_slice(&value.to_ne_bytes());
}

/// A path for error sentences only.
pub fn nowhere() -> &'static Path {
    Path::new("/somewhere/7.waits")
}
