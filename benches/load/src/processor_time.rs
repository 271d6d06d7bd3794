//! What two processes have had of the processors: the server, and this one.

use std::fs;
use std::io;
use std::time::Duration;

/// The clock ticks that the kernel tells times of user and system in are 10 ms, on every kernel of Linux.
const TICK: Duration = Duration::from_millis(10);

pub(crate) struct ProcessorTime {
    /// All threads of the server, to the nanosecond.
    pub(crate) server: Duration,
    /// What of it was spent outside the kernel, to the tick.
    pub(crate) server_user: Duration,
    pub(crate) own: Duration,
}

impl ProcessorTime {
    /// Reads the times up to now.
    ///
    /// # Errors
    ///
    /// There is no such process.
    pub(crate) fn now(server: Option<u32>) -> io::Result<Self> {
        let (mut all, mut user) = (Duration::ZERO, Duration::ZERO);
        if let Some(process) = server {
            for thread in fs::read_dir(format!("/proc/{process}/task"))? {
                all += run_time(&thread?.path().join("schedstat").to_string_lossy())?;
            }
            user = user_time(&fs::read_to_string(format!("/proc/{process}/stat"))?)?;
        }
        Ok(Self { server: all, server_user: user, own: run_time("/proc/self/schedstat")? })
    }

    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            // A thread may have ended in between, and has taken its time with it.
            server: self.server.saturating_sub(earlier.server),
            server_user: self.server_user.saturating_sub(earlier.server_user),
            own: self.own.saturating_sub(earlier.own),
        }
    }
}

/// The first word: nanoseconds on a processor.
fn run_time(path: &str) -> io::Result<Duration> {
    let text = fs::read_to_string(path)?;
    let word = text.split_whitespace().next().unwrap_or_default();
    word.parse().map(Duration::from_nanos).map_err(io::Error::other)
}

/// The 14th word, of which the second is a name that may hold anything.
fn user_time(stat: &str) -> io::Result<Duration> {
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let word = after_name.split_whitespace().nth(11).unwrap_or_default();
    word.parse::<u32>().map(|ticks| TICK * ticks).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::{Duration, user_time};

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_confuse() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 25 13 0 0";
        assert_eq!(user_time(stat).unwrap(), Duration::from_millis(250));
    }
}
