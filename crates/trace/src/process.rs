//! What `/proc` says about a process.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A few fields of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    /// Clock ticks after boot.
    pub(crate) start_time: u64,
}

/// `None` when there is no such process, or only the exit status of one.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(line: &[u8]) -> Option<Stat> {
    // The command's name, in parentheses, may hold anything, parentheses and line ends included.
    let end_of_name = line.iter().rposition(|&byte| byte == b')')?;
    let mut fields = std::str::from_utf8(line.get(end_of_name + 1..)?).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let start_time = fields.nth(17)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(Stat { parent, start_time })
}

/// Whose process it is; `None` when there is no such process.
pub(crate) fn user_of(pid: u32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}")).ok().map(|metadata| metadata.uid())
}

/// The command line on one line; empty when it cannot be read.
pub(crate) fn command(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&bytes);
    let words: Vec<&str> = line.trim_end_matches('\0').split('\0').collect();
    words.join(" ").chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Whether the running program still has a file called `name` mapped; a program that replaced itself has not.
pub(crate) fn has_mapped(pid: u32, name: &str) -> bool {
    // Not readable (a process that changed its user): believe the file.
    fs::read(format!("/proc/{pid}/maps")).map_or(true, |maps| {
        let ending = format!("/{name}");
        maps.split(|&byte| byte == b'\n').any(|line| line.ends_with(ending.as_bytes()))
    })
}

/// The first half of the kernel's boot id; 0 when it is not known.
pub(crate) fn boot() -> u64 {
    // Not a cell that is filled once: another thread may fork while this one fills it, and the child would wait for it.
    static BOOT: AtomicU64 = AtomicU64::new(0);
    let mut boot = BOOT.load(Ordering::Relaxed);
    if boot == 0 {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).take(16).collect();
        boot = u64::from_str_radix(&digits, 16).unwrap_or(0);
        BOOT.store(boot, Ordering::Relaxed);
    }
    boot
}

/// The inode of this process's number namespace; 0 when it is not known.
pub(crate) fn namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |metadata| metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_move_the_fields() {
        let line = b"42 (a) b (c)) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1000";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.parent, stat.start_time), (7, 98765));
        assert!(parse_stat(b"42 (a) Z 7").is_none());
        assert!(parse_stat(b"").is_none());
    }

    #[test]
    fn this_process_is_there_and_process_zero_is_not() {
        let own = std::process::id();
        assert!(stat(own).is_some_and(|stat| stat.start_time > 0));
        assert!(user_of(own).is_some() && !command(own).is_empty());
        assert!(stat(0).is_none() && user_of(0).is_none());
    }
}
