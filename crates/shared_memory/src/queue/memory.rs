//! How much memory a queue may take if nobody says so.

use std::fs;

/// When neither the machine nor a container says how much memory there is.
const UNKNOWN_BYTES: u64 = 4 << 30;

/// Half of the memory of the machine, or of the container if that has less, in bytes.
#[must_use]
pub fn default_byte_cap() -> u64 {
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let container = limits.iter().filter_map(|path| number(&fs::read_to_string(path).ok()?)).min();
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_bytes(&text));
    let available = container.into_iter().chain(machine).min().unwrap_or(UNKNOWN_BYTES);
    available / 2
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn total_bytes(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(number(line.trim().strip_suffix("kB")?)? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found_among_other_lines() {
        assert_eq!(total_bytes("MemFree:  7 kB\nMemTotal:       24682328 kB\n"), Some(24_682_328 * 1024));
        assert_eq!(total_bytes("MemTotal: many kB"), None);
        assert_eq!(number("max\n"), None);
    }

    #[test]
    fn this_machine_has_some() {
        assert!(default_byte_cap() > 1 << 20);
    }
}
