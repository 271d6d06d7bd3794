//! A message that was taken: its bytes in this process's memory, or still in the queue's until this is dropped.

use std::sync::atomic::Ordering;

use threefold_sys::source::Source;
use threefold_sys::target::{Filled, Target};

use super::error::{Damage, QueueError};
use super::holding::Holding;
use super::message::{Part, read_table};

/// A message that was taken out of a queue.
///
/// A short one was copied. A long one still lies in the queue's memory, and belongs to this process until dropped: its
/// parts can be copied from there, once, to where they are wanted, or looked at in place.
#[derive(Debug)]
pub struct Received {
    tag: u8,
    body: Body,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Body {
    Own(Vec<u8>),
    Shared(Holding),
}

impl Received {
    /// A message without a table of parts.
    pub(super) fn plain(tag: u8, stream: Vec<u8>) -> Self {
        // The one part needs no table: an empty vector allocates nothing.
        Self { tag, body: Body::Own(stream), parts: Vec::new() }
    }

    /// A message whose body begins with a table of parts.
    pub(super) fn with_table(tag: u8, body: Vec<u8>) -> Result<Self, QueueError> {
        let parts = read_table(body.len() as u64, |offset| {
            let at = usize::try_from(offset).ok()?;
            body.get(at..)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
        })?;
        Ok(Self { tag, body: Body::Own(body), parts })
    }

    /// A message of `bytes` in a block.
    pub(super) fn in_block(tag: u8, holding: Holding, bytes: u64) -> Result<Self, QueueError> {
        let (region, start) = (&holding.shared().region, holding.offset_bytes());
        let parts = read_table(bytes, |offset| {
            let words = region.words_at(start + usize::try_from(offset).ok()?, 1).ok()?;
            Some(words.first()?.load(Ordering::Relaxed))
        })?;
        Ok(Self { tag, body: Body::Shared(holding), parts })
    }

    /// The message's tag.
    pub fn tag(&self) -> u8 {
        self.tag
    }

    /// How many buffers travelled beside the byte string.
    pub fn buffer_count(&self) -> usize {
        self.parts.len().saturating_sub(1)
    }

    /// How long a part is: part 0 is the byte string, the buffers follow; `None` when there is no such part.
    pub fn part_bytes(&self, part: usize) -> Option<usize> {
        Some(self.range(part)?.1)
    }

    /// A part of a short message, without copying; `None` for a long one, and when there is no such part.
    pub fn as_slice(&self, part: usize) -> Option<&[u8]> {
        let (start, len) = self.range(part)?;
        match &self.body {
            Body::Own(bytes) => bytes.get(start..start + len),
            Body::Shared(_) => None,
        }
    }

    /// Where a part of a long message lies in the queue's region, in bytes, while this value lives; it begins at a
    /// multiple of 64. `None` for a short message, and when there is no such part.
    pub fn place(&self, part: usize) -> Option<(usize, usize)> {
        let (start, len) = self.range(part)?;
        match &self.body {
            Body::Own(_) => None,
            Body::Shared(holding) => Some((holding.offset_bytes() + start, len)),
        }
    }

    /// A part's bytes, where they are. Nobody else writes to them while this value lives; but another process that has
    /// the region could.
    pub fn source(&self, part: usize) -> Option<Source<'_>> {
        let (start, len) = self.range(part)?;
        match &self.body {
            Body::Own(bytes) => bytes.get(start..start + len).map(Source::from),
            Body::Shared(holding) => holding.shared().region.source(holding.offset_bytes() + start, len).ok(),
        }
    }

    /// Copies a part, from its byte `offset` on, until `target` is full.
    ///
    /// # Errors
    /// When the part is shorter than that, or there is none.
    pub fn read(&self, part: usize, offset: usize, target: &mut [u8]) -> Result<(), QueueError> {
        let (start, len) = self.range(part).ok_or(Damage::Parts)?;
        if offset.checked_add(target.len()).is_none_or(|end| end > len) {
            return Err(Damage::Parts.into());
        }
        let start = start + offset;
        match &self.body {
            Body::Own(bytes) => target.copy_from_slice(bytes.get(start..start + target.len()).ok_or(Damage::Parts)?),
            Body::Shared(holding) => holding.shared().region.read_bytes(holding.offset_bytes() + start, target)?,
        }
        Ok(())
    }

    /// As [`Received::read`], a whole part to memory that may be uninitialised.
    ///
    /// # Errors
    /// When the part is not as long as the target, or there is none.
    pub fn read_into<'one>(&self, part: usize, target: Target<'one>) -> Result<Filled<'one>, QueueError> {
        let source = self.source(part).ok_or(Damage::Parts)?;
        Ok(target.fill(source).ok_or(Damage::Parts)?)
    }

    /// A part as a vector of its own. The byte string of a short message without buffers is moved, not copied.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn take_part(&mut self, part: usize) -> Result<Vec<u8>, QueueError> {
        let (start, len) = self.range(part).ok_or(Damage::Parts)?;
        match &mut self.body {
            Body::Own(bytes) if self.parts.is_empty() => Ok(std::mem::take(bytes)),
            Body::Own(bytes) => Ok(bytes.get(start..start + len).ok_or(Damage::Parts)?.to_vec()),
            Body::Shared(holding) => {
                let mut target = Vec::new();
                holding.shared().region.append_bytes(holding.offset_bytes() + start, len, &mut target)?;
                Ok(target)
            }
        }
    }

    fn range(&self, part: usize) -> Option<(usize, usize)> {
        match (&self.body, self.parts.get(part)) {
            (_, Some(part)) => Some((usize::try_from(part.offset_bytes).ok()?, usize::try_from(part.len_bytes).ok()?)),
            (Body::Own(stream), None) if self.parts.is_empty() && part == 0 => Some((0, stream.len())),
            _ => None,
        }
    }
}
