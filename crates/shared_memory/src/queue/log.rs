//! The messages in their order: frames, one behind the other, in segments of one granule each.
//!
//! A frame is written behind the tail, where nobody looks, and becomes a message when the change that moves the tail
//! happens; it stops being one when the change that moves the head happens. A segment ends with a frame that names the
//! next one, so a frame never crosses the border of a segment.

use std::sync::atomic::Ordering;

use super::blocks::{Blocks, Kind};
use super::cell::store;
use super::error::Damage;
use super::journal::Transaction;
use super::layout::{GOT_COUNT, GRANULE_BYTES, GRANULE_WORDS, HEAD, Layout, PAGE_WORDS, PUT_COUNT, TAIL, WORD_BYTES};

/// Bytes of the longest body that lies in the log itself.
pub(super) const LONGEST_INLINE_BYTES: usize = 16 * 1024;

/// Where a message's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the log, from this word on.
    Inline { word: usize },
    /// In a block of its own.
    Block { block: usize },
}

/// A message of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Where its body is.
    pub(super) place: Place,
    /// How long its body is.
    pub(super) bytes: u64,
    /// Whether the body begins with a table of parts.
    pub(super) has_parts: bool,
    /// The message's tag.
    pub(super) tag: u8,
}

// The kind of a frame and the message's tag lie above its length; the values are unlike anything that an empty page or a small number holds.
const PLAIN: u64 = 0xa1;
const WITH_PARTS: u64 = 0xa2;
const IN_BLOCK: u64 = 0xa3;
const CONTINUED: u64 = 0xa4;
const KIND_SHIFT: u32 = 56;
const TAG_SHIFT: u32 = 48;
const LENGTH_MASK: u64 = (1 << TAG_SHIFT) - 1;

/// Makes the first segment of an empty log.
pub(super) fn begin(change: &mut Transaction<'_>, layout: Layout) {
    if let Some(segment) = new_segment(change, layout) {
        let word = layout.granule_word(segment) as u64;
        change.write(HEAD, word);
        change.write(TAIL, word);
    }
}

/// Appends a message whose body of `bytes` the caller writes, before the change happens, from the returned word on;
/// `None` when there is no memory for it.
pub(super) fn append_inline(
    change: &mut Transaction<'_>,
    layout: Layout,
    bytes: usize,
    has_parts: bool,
    tag: u8,
) -> Option<usize> {
    let kind = if has_parts { WITH_PARTS } else { PLAIN };
    append(change, layout, header_of(kind, tag, bytes as u64), bytes.div_ceil(WORD_BYTES))
}

/// Appends a message whose body is the first `bytes` of a queued block; `None` when there is no memory for the frame.
pub(super) fn append_block(
    change: &mut Transaction<'_>,
    layout: Layout,
    block: usize,
    bytes: u64,
    tag: u8,
) -> Option<usize> {
    let word = append(change, layout, header_of(IN_BLOCK, tag, block as u64), 1)?;
    store(change.words().get(word)?, bytes, Ordering::Relaxed);
    Some(word)
}

fn header_of(kind: u64, tag: u8, length: u64) -> u64 {
    kind << KIND_SHIFT | u64::from(tag) << TAG_SHIFT | length
}

fn append(change: &mut Transaction<'_>, layout: Layout, header: u64, body_words: usize) -> Option<usize> {
    let mut word = change.read_index(TAIL);
    let Some(segment) = layout.granule_at(word) else {
        change.refuse(Damage::Log);
        return None;
    };
    let end = layout.granule_word(segment + 1);
    // One word is always left for the frame that names the next segment.
    if word + 1 + body_words >= end {
        let next = new_segment(change, layout)?;
        if let Some(last) = change.words().get(word) {
            store(last, CONTINUED << KIND_SHIFT | next as u64, Ordering::Relaxed);
        }
        word = layout.granule_word(next);
    }
    let Some(first) = change.words().get(word) else {
        change.refuse(Damage::OutOfRange);
        return None;
    };
    store(first, header, Ordering::Relaxed);
    change.write(TAIL, (word + 1 + body_words) as u64);
    change.add(PUT_COUNT, 1);
    Some(word + 1)
}

/// Takes the first message out of the log. Its inline body can be read until the guard is released; its block is to
/// be taken over by the caller.
pub(super) fn take(change: &mut Transaction<'_>, layout: Layout) -> Option<Frame> {
    let mut head = change.read_index(HEAD);
    let tail = change.read_index(TAIL);
    if head == tail {
        return None;
    }
    let mut header = change.read(head);
    if header >> KIND_SHIFT == CONTINUED {
        head = next_segment(change, layout, head, (header & LENGTH_MASK) as usize)?;
        header = change.read(head);
    }
    let (frame, length) = decode(change, header, head)?;
    let next = head + length;
    let segment = layout.granule_at(head)?;
    if next >= layout.granule_word(segment + 1) {
        change.refuse(Damage::Log);
        return None;
    }
    change.add(GOT_COUNT, 1);
    advance(change, layout.granule_word(segment), next, tail);
    Some(frame)
}

/// Moves an empty log, whose segment is the only block in use, to block 0; all others are forgotten.
pub(super) fn begin_anew(change: &mut Transaction<'_>, layout: Layout, segment: usize) {
    Blocks::new(change, layout).begin_anew(segment);
    let word = layout.granule_word(0) as u64;
    change.write(HEAD, word);
    change.write(TAIL, word);
}

/// Moves the head; an empty log begins its segment anew, so that few messages at a time stay in few pages.
fn advance(change: &mut Transaction<'_>, segment_word: usize, next: usize, tail: usize) {
    if next == tail && next - segment_word > PAGE_WORDS {
        change.write(HEAD, segment_word as u64);
        change.write(TAIL, segment_word as u64);
    } else {
        change.write(HEAD, next as u64);
    }
}

fn decode(change: &Transaction<'_>, header: u64, head: usize) -> Option<(Frame, usize)> {
    let length = header & LENGTH_MASK;
    let tag = (header >> TAG_SHIFT & 0xff) as u8;
    match header >> KIND_SHIFT {
        kind @ (PLAIN | WITH_PARTS) if length <= LONGEST_INLINE_BYTES as u64 => {
            let place = Place::Inline { word: head + 1 };
            let frame = Frame { place, bytes: length, has_parts: kind == WITH_PARTS, tag };
            Some((frame, 1 + (length as usize).div_ceil(WORD_BYTES)))
        }
        IN_BLOCK => {
            let place = Place::Block { block: length as usize };
            let frame = Frame { place, bytes: change.read(head + 1), has_parts: true, tag };
            Some((frame, 2))
        }
        _ => {
            change.refuse(Damage::Log);
            None
        }
    }
}

fn new_segment(change: &mut Transaction<'_>, layout: Layout) -> Option<usize> {
    let mut blocks = Blocks::new(change, layout);
    let segment = blocks.claim(0)?;
    if !blocks.use_bytes(segment, GRANULE_BYTES) {
        return None;
    }
    blocks.enqueue(segment, 0);
    Some(segment)
}

/// Leaves the segment of `head`, which is read to its end, for `next`; the first word there.
fn next_segment(change: &mut Transaction<'_>, layout: Layout, head: usize, next: usize) -> Option<usize> {
    let (Some(segment), true) = (layout.granule_at(head), next < layout.granule_count()) else {
        change.refuse(Damage::Log);
        return None;
    };
    let mut blocks = Blocks::new(change, layout);
    blocks.expect(segment, Kind::Queued);
    blocks.expect(next, Kind::Queued);
    blocks.keep_warm(segment, 0);
    Some(layout.granule_word(next))
}

const _: () = assert!(LONGEST_INLINE_BYTES / WORD_BYTES + 2 < GRANULE_WORDS, "a segment has room for any inline frame");

#[cfg(test)]
pub(super) mod walking {
    use super::*;

    /// The segments and blocks that the log names, and the number of its messages.
    pub(in super::super) fn walk(change: &mut Transaction<'_>, layout: Layout) -> (Vec<usize>, u64) {
        let (mut at, tail, mut count) = (change.read_index(HEAD), change.read_index(TAIL), 0);
        let mut named = vec![layout.granule_at(at).unwrap()];
        while at != tail {
            let header = change.read(at);
            if header >> KIND_SHIFT == CONTINUED {
                named.push((header & LENGTH_MASK) as usize);
                at = layout.granule_word(*named.last().unwrap());
                continue;
            }
            let (frame, length) = decode(change, header, at).unwrap();
            if let Place::Block { block } = frame.place {
                named.push(block);
            }
            count += 1;
            at += length;
        }
        (named, count)
    }
}
