//! The report for people: one block a process, one line a waiter, and what it amounts to.

use std::fmt::Write;
use std::time::Duration;

use super::cycle::{Ring, rings};
use crate::question::LoopTold;
use crate::read::{Actor, LoopState, Snapshot, Waiting};
use crate::reason::Relation;

/// Longer cells do not widen their column for all.
const WIDEST: usize = 48;
const COLUMNS: usize = 4;

/// The waits of processes, the longest first, and the deadlocks among them.
pub fn text(snapshots: &[Snapshot]) -> String {
    let mut out = String::new();
    for snapshot in snapshots {
        write_process(&mut out, snapshot);
    }
    out
}

fn write_process(out: &mut String, snapshot: &Snapshot) {
    let title = format!("process {}  {}", snapshot.pid, snapshot.command);
    let _infallible = writeln!(out, "{:<48}  {} waiting", title.trim_end(), snapshot.waits.len());
    let lines: Vec<[String; COLUMNS]> = snapshot.waits.iter().map(cells).collect();
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count().min(WIDEST)).max().unwrap_or(0)
    });
    for (line, waiting) in lines.iter().zip(&snapshot.waits) {
        out.push(' ');
        for (cell, &width) in line.iter().zip(&widths).filter(|&(_, &width)| width > 0) {
            let _infallible = write!(out, " {cell:<width$} ");
        }
        let _infallible = writeln!(out, " {}", place(waiting));
    }
    for one in snapshot.loops.iter().flatten() {
        write_loop(out, one);
    }
    write_remarks(out, snapshot);
    for ring in rings(snapshot) {
        let _infallible = writeln!(out, "{}", sentence(&ring));
    }
}

fn write_loop(out: &mut String, state: &LoopState) {
    let LoopTold { task_count, ready_count, timer_count, descriptor_count, is_asleep, .. } = state.told;
    let doing = if is_asleep { "sleeps" } else { "runs" };
    let _infallible = writeln!(
        out,
        "  loop   of thread {} {doing}: tasks {task_count}, ready callbacks {ready_count}, timers {timer_count}, \
         descriptors {descriptor_count}",
        thread(&state.thread)
    );
}

fn place(waiting: &Waiting) -> &str {
    if waiting.site.is_empty() { "(line not known)" } else { &waiting.site }
}

fn cells(waiting: &Waiting) -> [String; COLUMNS] {
    let waiter = &waiting.waiter;
    let who = if waiter.is_task() {
        format!("task   {} (thread {})", name(waiter), thread_name(waiter))
    } else {
        format!("thread {}", thread(waiter))
    };
    let ends = if waiting.has_timeout { " (has a timeout)" } else { "" };
    let what = if waiting.what.is_empty() { waiting.reason.to_string() } else { printable(&waiting.what) };
    let since = waiting.lasted.map_or_else(String::new, |lasted| format!("for {}{ends}", duration(lasted)));
    [who, what, holder(waiting), since]
}

fn holder(waiting: &Waiting) -> String {
    let Some(holder) = &waiting.holder else { return String::new() };
    let relation = match waiting.reason.relation() {
        Relation::HeldBy => "held by",
        Relation::EndOf => "of",
        Relation::ResultFrom => "from",
    };
    let gone = if holder.stayed_behind { ", which stayed in the parent process at fork" } else { "" };
    format!("{relation} {}{gone}", actor(holder))
}

fn actor(actor: &Actor) -> String {
    if let Some(pid) = actor.pid() {
        format!("process {pid}")
    } else if actor.is_task() {
        format!("task {} (thread {})", name(actor), thread_name(actor))
    } else {
        format!("thread {}", thread(actor))
    }
}

/// A thread's name with the kernel's number.
fn thread(actor: &Actor) -> String {
    match actor.kernel_id {
        0 => name(actor),
        kernel_id => format!("{} ({kernel_id})", name(actor)),
    }
}

fn name(actor: &Actor) -> String {
    match (actor.name.is_empty(), actor.is_task()) {
        (false, _) => printable(&actor.name),
        (true, true) => format!("at {:#x}", actor.owner.task_address()),
        (true, false) => "without a name".to_owned(),
    }
}

fn thread_name(actor: &Actor) -> String {
    match (actor.thread_name.is_empty(), actor.kernel_id) {
        (false, _) => printable(&actor.thread_name),
        (true, 0) => "without a name".to_owned(),
        (true, kernel_id) => kernel_id.to_string(),
    }
}

/// A name cannot end the line or colour the terminal.
fn printable(name: &str) -> String {
    name.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

fn duration(lasted: Duration) -> String {
    let seconds = lasted.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", lasted.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn write_remarks(out: &mut String, snapshot: &Snapshot) {
    if snapshot.loops.is_none() {
        let _infallible =
            writeln!(out, "  its event loops did not answer: the interpreter is held, or the process stopped");
    }
    if snapshot.not_shown_count > 0 {
        let _infallible = writeln!(out, "  {} waits found no room in the table", snapshot.not_shown_count);
    }
    if snapshot.unreadable_count > 0 {
        let _infallible = writeln!(out, "  {} rows changed too fast to be read", snapshot.unreadable_count);
    }
}

/// "deadlock: a waits for an `RLock` held by b, which waits for an `RLock` held by a".
fn sentence(ring: &Ring<'_>) -> String {
    let mut out = format!("{}: ", ring.title());
    for (number, waiting) in ring.waits.iter().enumerate() {
        let subject = if number == 0 { name(&waiting.waiter) } else { "which".to_owned() };
        let separator = if number == 0 { "" } else { ", " };
        // The next one in the ring, by the name under which it waits: a task's thread may wait in its place.
        let next = &ring.waits[(number + 1) % ring.waits.len()].waiter;
        let whom = if ring.waits.len() == 1 { "itself".to_owned() } else { name(next) };
        let what = match waiting.reason {
            crate::Reason::ThreadJoin | crate::Reason::Task => format!("the end of {whom}"),
            crate::Reason::RLock => format!("an RLock held by {whom}"),
            _ => format!("a Lock held by {whom}"),
        };
        let _infallible = write!(out, "{separator}{subject} waits for {what}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::examples::{snapshot, task, thread, two_that_block_each_other, waiting};
    use super::*;
    use crate::Reason;

    #[test]
    fn each_waiter_has_a_line_with_who_why_whose_since_and_where() {
        let mut task_wait = waiting(task(1, 5, "fetch-7"), Reason::QueueGet, None);
        task_wait.site = "app.py:50".into();
        task_wait.lasted = Some(Duration::from_millis(400));
        let waits = vec![waiting(thread(8, "worker-1"), Reason::Lock, Some(thread(1, "MainThread"))), task_wait];
        let report = text(&[snapshot(waits)]);
        assert_eq!(
            report,
            "process 4242  python app.py                       2 waiting\n\
             \x20 thread worker-1 (4208)              Lock.acquire       held by thread MainThread (4201)  for 12.3 s  app.py:31\n\
             \x20 task   fetch-7 (thread MainThread)  Queue.get (empty)                                    for 0.4 s   app.py:50\n"
        );
    }

    #[test]
    fn what_a_loop_told_stands_in_the_same_columns() {
        let (one, two) = (task(1, 5, "one"), task(1, 6, "two"));
        let awaiting = |waiter: &Actor, holder: &Actor| Waiting {
            what: "await".into(),
            lasted: None,
            ..waiting(waiter.clone(), Reason::Task, Some(holder.clone()))
        };
        let mut told = snapshot(vec![awaiting(&one, &two), awaiting(&two, &one)]);
        let state = LoopTold { slot: 1, task_count: 2, is_asleep: true, ..LoopTold::default() };
        told.loops = Some(vec![LoopState { thread: thread(1, "MainThread"), told: state }]);
        let report = text(&[told.clone()]);
        let (_head, lines) = report.split_once('\n').unwrap();
        assert_eq!(
            lines,
            "  task   one (thread MainThread)  await  of task two (thread MainThread)  app.py:31\n\
             \x20 task   two (thread MainThread)  await  of task one (thread MainThread)  app.py:31\n\
             \x20 loop   of thread MainThread (4201) sleeps: tasks 2, ready callbacks 0, timers 0, descriptors 0\n\
             deadlock: one waits for the end of two, which waits for the end of one\n"
        );
        told.loops = None;
        assert!(text(&[told]).contains("its event loops did not answer"));
    }

    #[test]
    fn a_deadlock_is_told_as_a_sentence() {
        let report = text(&[two_that_block_each_other(Reason::RLock)]);
        let told =
            "deadlock: worker-1 waits for an RLock held by worker-2, which waits for an RLock held by worker-1\n";
        assert!(report.ends_with(told), "{report}");
        let itself = waiting(thread(1, "MainThread"), Reason::Lock, Some(thread(1, "MainThread")));
        let report = text(&[snapshot(vec![itself])]);
        assert!(report.ends_with("possible deadlock: MainThread waits for a Lock held by itself\n"), "{report}");
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut unknown = thread(3, "");
        unknown.stayed_behind = true;
        unknown.kernel_id = 0;
        let mut short = snapshot(vec![waiting(thread(1, "a\nb"), Reason::RLock, Some(unknown))]);
        short.waits[0].site.clear();
        (short.not_shown_count, short.unreadable_count) = (7, 1);
        let report = text(&[short]);
        assert!(report.contains("a\u{fffd}b (4201)"), "{report}");
        assert!(
            report.contains("held by thread without a name, which stayed in the parent process at fork"),
            "{report}"
        );
        assert!(report.contains("(line not known)\n  7 waits found no room in the table\n"), "{report}");
        assert!(report.contains("  1 rows changed too fast"), "{report}");
    }

    #[test]
    fn another_process_is_named_by_its_number_and_is_part_of_no_ring() {
        let other = Actor { owner: crate::Owner::process(1234), ..thread(0, "") };
        let report = text(&[snapshot(vec![waiting(thread(1, "MainThread"), Reason::Lock, Some(other))])]);
        assert!(report.contains("Lock.acquire  held by process 1234  for 12.3 s"), "{report}");
        assert!(!report.contains("deadlock"), "{report}");
    }

    #[test]
    fn long_waits_are_told_in_minutes_and_hours() {
        assert_eq!(duration(Duration::from_secs(61)), "1 min 1 s");
        assert_eq!(duration(Duration::from_secs(2 * 3600 + 180)), "2 h 3 min");
    }
}
