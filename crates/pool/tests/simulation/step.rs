//! What can happen next, drawn at random.

use proptest::prelude::*;
use std::time::Duration;
use threefold_pool::{Cancel, Delivery, JobOptions, Leave, SourceEnd};

use super::processes::Turn;

#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// The oldest decisions are carried out.
    Obey(usize),
    /// The oldest decision is carried out; a job that was to be sent cannot be encoded.
    ObeyInVain,
    /// A process that was asked for is made, or cannot be.
    Make(usize, Turn),
    /// A process does its next things, the last of them so.
    Run(usize, Turn, usize),
    /// A process dies.
    Crash(usize),
    /// A process dies that does a job.
    CrashAtWork(usize),
    /// The pool hears the next things of a process.
    Hear(usize, usize),
    /// The pool hears the answer to a recall.
    Answer,
    /// The pool hears something that it has heard before, perhaps of a worker that is gone.
    Repeat(usize),
    /// Everybody does one thing after the other, so many times.
    Bustle(usize),
    Pass(u64),
    Add(JobOptions, usize),
    Cancel(usize, Cancel),
    CancelUnstarted,
    Retire(usize),
    TooLarge(usize),
    Resize(usize),
    AddMap(Delivery, JobOptions),
    Chunk(usize),
    BadChunk(usize),
    EndSource(usize, SourceEnd),
    Took(usize),
    Leave(usize, Leave),
    Close,
    Terminate,
}

/// What a life is full of.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    Work,
    Death,
    Limits,
    Whims,
}

impl Mood {
    /// How likely something is when the mood is this, and otherwise.
    fn weight(self, favourite: Self, much: u32, little: u32) -> u32 {
        if std::mem::discriminant(&self) == std::mem::discriminant(&favourite) { much } else { little }
    }
}

fn turn(mood: Mood) -> impl Strategy<Value = Turn> {
    prop_oneof![20 => Just(Turn::Good), mood.weight(Mood::Death, 10, 1) => Just(Turn::Bad)]
}

fn job() -> impl Strategy<Value = JobOptions> {
    let timeout = prop_oneof![Just(None), (1..50_u64).prop_map(|time| Some(Duration::from_millis(time)))];
    (timeout, 0..3_u32, -1..2_i32).prop_map(|(timeout, retry_count, priority)| JobOptions {
        timeout,
        retry_count,
        priority,
    })
}

fn machinery(mood: Mood) -> impl Strategy<Value = Step> {
    let pick = || 0..64_usize;
    prop_oneof![
        40 => (1..6_usize).prop_map(Step::Obey),
        1 => Just(Step::ObeyInVain),
        20 => (pick(), turn(mood)).prop_map(|(pick, turn)| Step::Make(pick, turn)),
        80 => (pick(), turn(mood), 1..4_usize).prop_map(|(pick, turn, count)| Step::Run(pick, turn, count)),
        70 => (pick(), 1..5_usize).prop_map(|(pick, count)| Step::Hear(pick, count)),
        20 => Just(Step::Answer),
        20 => (1..6_usize).prop_map(Step::Bustle),
        6 => pick().prop_map(Step::Repeat),
        mood.weight(Mood::Death, 6, 1) => pick().prop_map(Step::Crash),
        mood.weight(Mood::Death, 24, 2) => pick().prop_map(Step::CrashAtWork),
        mood.weight(Mood::Limits, 30, 4) => (1..60_u64).prop_map(Step::Pass),
    ]
}

fn callers(mood: Mood) -> impl Strategy<Value = Step> {
    let pick = || 0..64_usize;
    let cancel = prop_oneof![Just(Cancel::IfNotStarted), Just(Cancel::EvenIfStarted)];
    let delivery = prop_oneof![Just(Delivery::Collected), Just(Delivery::Ordered), Just(Delivery::Unordered)];
    let end = prop_oneof![Just(SourceEnd::Exhausted), Just(SourceEnd::Failed)];
    let leave = prop_oneof![Just(Leave::RunOn), Just(Leave::Cancel)];
    prop_oneof![
        80 => (job(), 1..5_usize).prop_map(|(job, count)| Step::Add(job, count)),
        mood.weight(Mood::Limits, 30, 4) => (pick(), cancel).prop_map(|(pick, cancel)| Step::Cancel(pick, cancel)),
        mood.weight(Mood::Whims, 4, 1) => Just(Step::CancelUnstarted),
        mood.weight(Mood::Whims, 10, 2) => pick().prop_map(Step::Retire),
        mood.weight(Mood::Whims, 6, 1) => pick().prop_map(Step::TooLarge),
        mood.weight(Mood::Whims, 10, 2) => (1..5_usize).prop_map(Step::Resize),
        8 => (delivery, job()).prop_map(|(delivery, job)| Step::AddMap(delivery, job)),
        60 => pick().prop_map(Step::Chunk),
        4 => pick().prop_map(Step::BadChunk),
        mood.weight(Mood::Whims, 8, 3) => (pick(), end).prop_map(|(pick, end)| Step::EndSource(pick, end)),
        40 => pick().prop_map(Step::Took),
        mood.weight(Mood::Whims, 6, 1) => (pick(), leave).prop_map(|(pick, leave)| Step::Leave(pick, leave)),
    ]
}

fn life(mood: Mood) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![3 => machinery(mood), 1 => callers(mood)];
    prop::collection::vec(step, 1..600)
}

/// A life of a pool, in which the end may begin somewhere.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let life = prop_oneof![life(Mood::Work), life(Mood::Death), life(Mood::Limits), life(Mood::Whims)];
    let ends = prop_oneof![3 => Just(None), 1 => Just(Some(Step::Close)), 1 => Just(Some(Step::Terminate))];
    (life, ends, any::<prop::sample::Index>()).prop_map(|(mut steps, end, place)| {
        let place = place.index(steps.len());
        steps.splice(place..place, end);
        steps
    })
}
