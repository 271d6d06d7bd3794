//! The kinds of frames between a pool and its workers, and what their parts are.

use crate::shared::plain::Tag;

/// To a worker: the pickle of a function. Parts: its number, the pickle.
pub(super) const FUNCTION: u8 = 1;
/// To a worker: a function that is not called any more. Parts: its number.
pub(super) const FORGET: u8 = 2;
/// To a worker, a job: a call. Parts: the function's number, the pickle of its arguments; or 0, the pickle of the call.
pub(super) const CALL: u8 = 3;
/// To a worker, a job: a call for each item of a chunk. Parts: the function's number, the pickle of the list of items.
pub(super) const CHUNK: u8 = 4;
/// To a worker: there are no more jobs.
pub(super) const EXIT: u8 = 5;

/// From a worker: it takes jobs.
pub(super) const READY: u8 = 16;
/// From a worker: its initializer raised. Parts: as those of `RAISED`.
pub(super) const INITIALIZER_FAILED: u8 = 17;
/// From a worker: it has begun a job that was [`ANNOUNCED`]. Parts: the descriptor to which it writes its traceback.
pub(super) const BEGUN: u8 = 18;
/// From a worker: a job's result. Parts: its pickle.
pub(super) const RETURNED: u8 = 19;
/// From a worker: a job raised. Parts: the exception's pickle, which may be empty, and its description.
pub(super) const RAISED: u8 = 20;
/// From a worker: it wants to be replaced.
pub(super) const RETIRE: u8 = 21;

/// Flag of a job: each item is the tuple of a call's arguments.
pub(super) const STAR: u16 = 1;
/// Flag of a job: its worker says when it begins.
pub(super) const ANNOUNCED: u16 = 2;
/// Flag of `RAISED`: it was raised before the call, when the job was unpickled.
pub(super) const LOADING: u16 = 1;

/// The upper half of the flags says what the object is made of.
const TAG_SHIFT: u32 = 8;

pub(super) fn flags_of(tag: Tag) -> u16 {
    (tag as u16) << TAG_SHIFT
}

pub(super) fn tag(flags: u16) -> Option<Tag> {
    u8::try_from(flags >> TAG_SHIFT).ok().and_then(Tag::of_number)
}
