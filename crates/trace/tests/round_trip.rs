//! What is written is what is read: by this process, and by another one.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod support;

use support::{Limit, Other, ready_until_told, wait};
use threefold_trace::read::{ReadError, Waiting, family, snapshot};
use threefold_trace::{Owner, Reason, Wait, begin, intern, is_thread_named, name_thread, object, path_of, report};

fn find(name: &str) -> Option<Waiting> {
    snapshot(std::process::id()).unwrap().waits.into_iter().find(|waiting| waiting.waiter.name == name)
}

#[test]
fn a_wait_is_shown_from_its_beginning_to_its_end() {
    let _limit = Limit::seconds(20);
    let row = begin(&Wait { site: intern("app.py:31"), has_timeout: true, ..wait("shown-1", Reason::Barrier) });
    let shown = find("shown-1").unwrap();
    assert_eq!((shown.reason, shown.site.as_str(), shown.object), (Reason::Barrier, "app.py:31", 0xabc0));
    assert!(shown.has_timeout && shown.is_steady && shown.holder.is_none());
    assert_eq!(shown.waiter.owner, Owner::thread());
    assert_ne!(shown.waiter.kernel_id, 0);
    drop(row);
    assert!(find("shown-1").is_none());
}

#[test]
fn a_task_is_shown_with_the_thread_that_runs_it() {
    let _limit = Limit::seconds(20);
    let runner = std::thread::spawn(|| {
        name_thread(Owner::thread(), intern("runner"));
        let owner = Owner::task(0x7f00_1234_5670);
        let _row = begin(&Wait { owner, ..wait("Task-812", Reason::QueueGet) });
        find("Task-812").unwrap()
    });
    let shown = runner.join().unwrap();
    assert!(shown.waiter.is_task());
    assert_eq!(shown.waiter.thread_name, "runner");
    assert_eq!(shown.waiter.owner.task_address(), 0x7f00_1234_5670);
}

#[test]
fn a_holder_that_never_waited_has_its_name_and_changes_with_the_object_row() {
    let _limit = Limit::seconds(20);
    let here = Owner::thread();
    name_thread(here, intern("holder"));
    assert!(is_thread_named(here));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let lock = object(0xabc0);
            lock.set_holder(here);
            let row = begin(&Wait { object_row: Some(&lock), ..wait("behind", Reason::Lock) });
            assert_eq!(find("behind").unwrap().holder.unwrap().name, "holder");
            lock.set_holder(Owner::thread());
            assert_eq!(find("behind").unwrap().holder.unwrap().name, "behind");
            drop(lock);
            assert_eq!(find("behind").unwrap().holder, None);
            let _other_lock_in_the_same_row = object(0xdef0);
            assert_eq!(find("behind").unwrap().holder, None);
            drop(row);
        });
    });
}

#[test]
fn ten_thousand_waits_at_once_are_all_shown() {
    let _limit = Limit::seconds(60);
    let rows: Vec<_> = (0..10_000).map(|number| begin(&wait(&format!("many-{number}"), Reason::Event))).collect();
    let all = snapshot(std::process::id()).unwrap();
    assert!(all.waits.len() >= 10_000);
    for number in [0, 1, 4_999, 9_999] {
        assert!(all.waits.iter().any(|waiting| waiting.waiter.name == format!("many-{number}")));
    }
    drop(rows);
}

#[test]
#[ignore = "run by the tests below as another process"]
fn other_process_that_waits() {
    let _rows = [begin(&wait("elsewhere", Reason::QueuePut)), begin(&wait("elsewhere-2", Reason::QueueJoin))];
    ready_until_told();
}

#[test]
fn another_process_is_read_without_its_help_and_with_its_parent() {
    let _limit = Limit::seconds(60);
    let other = Other::start("other_process_that_waits");
    let seen = snapshot(other.pid()).unwrap();
    assert_eq!((seen.pid, seen.parent_pid, seen.waits.len()), (other.pid(), std::process::id(), 2));
    assert!(seen.command.contains("--nocapture"));
    let _own = begin(&wait("parent", Reason::Event));
    let both = family(std::process::id()).unwrap();
    assert_eq!(both[0].pid, std::process::id());
    assert!(both.iter().any(|one| one.pid == other.pid()));
    assert!(report::text(&both).contains("elsewhere-2"));
}

#[test]
fn a_process_that_was_killed_is_gone_and_its_file_is_cleared_away() {
    let _limit = Limit::seconds(60);
    let other = Other::start("other_process_that_waits");
    let (pid, path) = (other.pid(), path_of(other.pid()));
    assert!(path.exists());
    drop(other);
    assert_eq!(snapshot(pid).unwrap_err().to_string(), format!("no process {pid}"));
    let next = Other::start("other_process_that_waits");
    assert!(!path.exists() && path_of(next.pid()).exists());
}

#[test]
fn a_process_without_a_table_is_told_from_one_that_is_not_there() {
    let _limit = Limit::seconds(20);
    assert!(matches!(snapshot(4_194_304), Err(ReadError::NoProcess(4_194_304))));
    let parent = std::os::unix::process::parent_id();
    let sentence = snapshot(parent).unwrap_err().to_string();
    assert!(sentence.starts_with(&format!("process {parent} ")), "{sentence}");
}
