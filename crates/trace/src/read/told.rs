//! Puts what a process told of its event loops beside what its table says.

use std::collections::{HashMap, HashSet};

use super::decode::thread_actor;
use super::snapshot::{Actor, Snapshot, Waiting};
use super::source::Source;
use crate::owner::Owner;
use crate::question::{LoopTold, TaskTold, Told};
use crate::reason::Reason;

/// An event loop that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopState {
    /// The thread that runs it.
    pub thread: Actor,
    /// What it has to do.
    pub told: LoopTold,
}

/// Adds loops, and the tasks that await something without a row of their own.
pub(super) fn add(snapshot: &mut Snapshot, source: &(impl Source + ?Sized), told: Option<Told>) {
    let Some(told) = told else {
        snapshot.loops = None;
        return;
    };
    let loops = told.loops.iter().filter_map(|one| {
        let thread = thread_actor(source, one.slot).ok()?;
        Some(LoopState { thread, told: one.clone() })
    });
    let loops: Vec<LoopState> = loops.collect();
    let threads: HashMap<u32, &Actor> = loops.iter().map(|one| (one.told.slot, &one.thread)).collect();
    let shown: HashSet<u64> = snapshot.waits.iter().map(|waiting| waiting.waiter.owner.0).collect();
    let has_row = |task: &&TaskTold| shown.contains(&task.owner().0);
    let others = told.tasks.iter().filter(|task| !task.awaits.is_empty() && !has_row(task));
    let names: HashMap<usize, &str> = told.tasks.iter().map(|task| (task.address, task.name.as_str())).collect();
    let waits: Vec<Waiting> = others.filter_map(|task| Some(waiting(task, &names, threads.get(&task.slot)?))).collect();
    snapshot.waits.extend(waits);
    snapshot.loops = Some(loops);
}

fn waiting(task: &TaskTold, names: &HashMap<usize, &str>, thread: &Actor) -> Waiting {
    let actor = |owner: Owner, name: String| Actor { owner, name, ..thread.clone() };
    let awaited = task.awaited_owner().map(|owner| {
        let name = names.get(&task.awaited).copied().unwrap_or_default();
        actor(owner, name.to_owned())
    });
    Waiting {
        waiter: actor(task.owner(), task.name.clone()),
        reason: if awaited.is_some() { Reason::Task } else { Reason::Loop },
        object: 0,
        holder: awaited,
        what: task.awaits.clone(),
        lasted: None,
        site: task.site.clone(),
        has_timeout: false,
        // All tasks were told at one moment.
        is_steady: true,
    }
}
