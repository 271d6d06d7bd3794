//! SIGQUIT prints the waits to stderr and the process goes on.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod support;

use std::io::{BufRead, BufReader, Write};

use rustix::process::{Pid, Signal, kill_process};
use support::{Limit, Other, ready_until_told, wait};
use threefold_trace::{Reason, begin, quit};

#[test]
#[ignore = "run by the tests below as another process"]
fn other_process_with_a_wait() {
    quit::report_on_quit().unwrap();
    let _row = begin(&wait("stuck-1", Reason::Event));
    ready_until_told();
}

#[test]
#[ignore = "run by the tests below as another process"]
fn other_process_without_a_wait() {
    quit::report_on_quit().unwrap();
    ready_until_told();
}

#[test]
#[ignore = "run by the tests below as another process"]
fn other_process_after_a_fork() {
    quit::report_on_quit().unwrap();
    let row = begin(&wait("before", Reason::Event));
    quit::before_fork();
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names: Vec<String> =
        threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok()).collect();
    assert!(!names.iter().any(|name| name.starts_with("threefold-quit")), "{names:?}");
    quit::after_fork_in_parent();
    ready_until_told();
    drop(row);
}

/// Sends SIGQUIT until a line has arrived that `is_last` accepts, then lets the process end and checks that it can.
fn quit_and_read(name: &str, is_last: impl Fn(&str) -> bool) -> Vec<String> {
    let mut other = Other::start(name);
    let pid = Pid::from_child(&other.child);
    let lines = BufReader::new(other.child.stderr.take().unwrap()).lines();
    kill_process(pid, Signal::QUIT).unwrap();
    let mut told = Vec::new();
    for line in lines.map_while(Result::ok) {
        told.push(line);
        if told.last().is_some_and(|line| is_last(line)) {
            break;
        }
    }
    other.input.write_all(b"end\n").unwrap();
    assert!(other.child.wait().unwrap().success());
    told
}

#[test]
fn sigquit_prints_the_waits_and_the_program_goes_on() {
    let _limit = Limit::seconds(60);
    for name in ["other_process_with_a_wait", "other_process_after_a_fork"] {
        let told = quit_and_read(name, |line| line.contains("Event.wait"));
        assert!(told[0].starts_with("process ") && told[0].ends_with(" 1 waiting"), "{told:?}");
    }
}

#[test]
fn sigquit_in_a_process_that_never_waited_says_so_and_it_goes_on() {
    let _limit = Limit::seconds(60);
    let told = quit_and_read("other_process_without_a_wait", |_| true);
    assert!(told[0].starts_with("threefold: nothing to show from here yet"), "{told:?}");
}
