//! The report for programs, as one JSON object; `docs/reference/wait-table.md` names its members.
//!
//! Written by hand: it is this one small shape, and strings are the only values that need escaping.

use std::fmt::Write;

use super::cycle::{Ring, rings};
use crate::read::{Actor, LoopState, Snapshot, Waiting};

/// The waits of processes and the deadlocks among them, ending with a line end.
pub fn json(snapshots: &[Snapshot]) -> String {
    let processes = list(snapshots.iter().map(process));
    let verdicts = snapshots.iter().flat_map(|one| rings(one).into_iter().map(|ring| verdict(one.pid, &ring)));
    format!("{{\"processes\": {processes}, \"verdicts\": {}}}\n", list(verdicts))
}

fn process(snapshot: &Snapshot) -> String {
    format!(
        "{{\"pid\": {}, \"parent\": {}, \"command\": {}, \"waiting\": {}, \"loops\": {}, \"not_shown\": {}, \
         \"unreadable\": {}}}",
        snapshot.pid,
        snapshot.parent_pid,
        string(&snapshot.command),
        list(snapshot.waits.iter().map(waiting)),
        snapshot.loops.as_ref().map_or_else(|| "null".to_owned(), |loops| list(loops.iter().map(event_loop))),
        snapshot.not_shown_count,
        snapshot.unreadable_count,
    )
}

fn waiting(waiting: &Waiting) -> String {
    format!(
        "{{\"waiter\": {}, \"reason\": {}, \"object\": \"{:#x}\", \"holder\": {}, \"seconds\": {}, \"site\": {}, \
         \"has_timeout\": {}}}",
        actor(&waiting.waiter),
        string(&if waiting.what.is_empty() { waiting.reason.to_string() } else { waiting.what.clone() }),
        waiting.object,
        waiting.holder.as_ref().map_or_else(|| "null".to_owned(), actor),
        waiting.lasted.map_or_else(|| "null".to_owned(), |lasted| format!("{:.3}", lasted.as_secs_f64())),
        optional(&waiting.site),
        waiting.has_timeout,
    )
}

fn event_loop(state: &LoopState) -> String {
    format!(
        "{{\"thread\": {}, \"tasks\": {}, \"ready\": {}, \"timers\": {}, \"descriptors\": {}, \"sleeps\": {}}}",
        actor(&state.thread),
        state.told.task_count,
        state.told.ready_count,
        state.told.timer_count,
        state.told.descriptor_count,
        state.told.is_asleep,
    )
}

fn actor(actor: &Actor) -> String {
    format!(
        "{{\"kind\": \"{}\", \"process\": {}, \"name\": {}, \"thread\": {}, \"thread_id\": {}, \
         \"stayed_in_parent\": {}}}",
        kind(actor),
        actor.pid().map_or_else(|| "null".to_owned(), |pid| pid.to_string()),
        optional(&actor.name),
        optional(&actor.thread_name),
        if actor.kernel_id == 0 { "null".to_owned() } else { actor.kernel_id.to_string() },
        actor.stayed_behind,
    )
}

fn kind(actor: &Actor) -> &'static str {
    match (actor.pid(), actor.is_task()) {
        (Some(_), _) => "process",
        (None, true) => "task",
        (None, false) => "thread",
    }
}

fn verdict(pid: u32, ring: &Ring<'_>) -> String {
    let members = list(ring.waits.iter().map(|waiting| self::waiting(waiting)));
    format!("{{\"verdict\": \"{}\", \"pid\": {pid}, \"cycle\": {members}}}", ring.title())
}

fn list(members: impl Iterator<Item = String>) -> String {
    format!("[{}]", members.collect::<Vec<_>>().join(", "))
}

fn optional(text: &str) -> String {
    if text.is_empty() { "null".to_owned() } else { string(text) }
}

fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if control.is_control() => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(control));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::super::examples::{snapshot, two_that_block_each_other};
    use super::*;
    use crate::Reason;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(string("a\"b\\c\n\u{1}é"), "\"a\\\"b\\\\c\\u000a\\u0001é\"");
    }

    #[test]
    fn an_idle_process_is_an_object_with_an_empty_list() {
        assert_eq!(
            json(&[snapshot(Vec::new())]),
            "{\"processes\": [{\"pid\": 4242, \"parent\": 1, \"command\": \"python app.py\", \"waiting\": [], \
             \"loops\": [], \"not_shown\": 0, \"unreadable\": 0}], \"verdicts\": []}\n"
        );
    }

    #[test]
    fn a_deadlock_is_listed_with_its_waits() {
        let report = json(&[two_that_block_each_other(Reason::RLock)]);
        assert!(report.contains("\"verdicts\": [{\"verdict\": \"deadlock\", \"pid\": 4242, \"cycle\": [{\"waiter\""));
        assert!(report.contains("\"reason\": \"RLock.acquire\", \"object\": \"0xabc0\""));
    }
}
