//! Taking messages: short ones are copied out in the section, long ones change hands and are copied after it.

use std::sync::Arc;

use threefold_sys::clock::Instant;
use threefold_trace::Reason;

use super::blocks::{Blocks, Kind, block_bytes};
use super::error::{Damage, QueueError, Stop};
use super::holding::Holding;
use super::layout::{FILLED_BELL_WORD, HEAD, TAIL, TAKEN_BELL_WORD, WORD_BYTES};
use super::log::{Frame, Place, take};
use super::received::Received;
use super::section::{Section, Shared};
use crate::bell::Bell;
use crate::holder::Holder;
use crate::wait::{Driver, SLICE, Wait};

/// Messages taken in one section: others wait meanwhile.
const MOST_PER_SECTION: usize = 64;

/// Waits for messages: the first, and then as many as are there.
pub(super) struct Get<'a> {
    shared: &'a Arc<Shared>,
    most: usize,
    deadline: Option<Instant>,
    /// When this wait last looked after the queue's memory; none before its first look.
    since: Option<Instant>,
    /// What was taken beyond the first.
    pub(super) more: Vec<Received>,
}

/// A message out of the section, not unpacked yet.
enum Taken {
    Inline { body: Vec<u8>, has_parts: bool, tag: u8 },
    InBlock { holding: Holding, bytes: u64, tag: u8 },
}

impl<'a> Get<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, most: usize, deadline: Option<Instant>) -> Self {
        Self { shared, most, deadline, since: None, more: Vec::new() }
    }

    fn get_some<D: Driver>(&mut self, driver: &mut D) -> Result<Option<Received>, Stop<D::Error>> {
        // Before the section, so that it is dropped after it: giving a block back takes the section.
        let mut others = Vec::new();
        let Some(section) = self.shared.enter_with(self.deadline, driver)? else { return Ok(None) };
        let Some(first) = section.take(self.shared)? else {
            drop(section);
            self.tidy_in_vain();
            return Ok(None);
        };
        while others.len() + 1 < self.most.min(MOST_PER_SECTION) {
            match section.take(self.shared) {
                Ok(Some(taken)) => others.push(taken),
                // An error will be met again; what was taken before it is worth more.
                Ok(None) | Err(_) => break,
            }
        }
        let leavings = section.leavings();
        drop(section);
        if self.shared.message_cap.is_some() {
            self.shared.bell(TAKEN_BELL_WORD).ring(u32::try_from(1 + others.len()).unwrap_or(u32::MAX));
        }
        // Nothing that goes wrong from here on may cost a message that was taken.
        let _tidied_later = self.shared.tidy_after_get(leavings);
        self.more.extend(others.into_iter().filter_map(|taken| taken.unpack().ok()));
        Ok(Some(first.unpack()?))
    }

    /// Looks after the queue's memory when this wait has lasted another slice.
    fn tidy_in_vain(&mut self) {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        if now.since(since) >= SLICE {
            self.since = Some(now);
            // A queue whose memory cannot be looked after can still be waited at.
            let _tidied_later = self.shared.tidy();
        }
    }
}

impl Wait for Get<'_> {
    type Output = Result<Received, QueueError>;

    const REASON: Reason = Reason::QueueGet;

    fn bell(&self) -> Bell<'_> {
        self.shared.bell(FILLED_BELL_WORD)
    }

    fn is_promising(&self) -> bool {
        self.shared.peek(HEAD) != self.shared.peek(TAIL)
    }

    fn poll<D: Driver>(&mut self, driver: &mut D) -> Result<Option<Self::Output>, D::Error> {
        match self.get_some(driver) {
            Ok(received) => Ok(received.map(Ok)),
            Err(Stop::Queue(error)) => Ok(Some(Err(error))),
            Err(Stop::Driver(error)) => Err(error),
        }
    }
}

impl Section<'_> {
    fn take(&self, shared: &Arc<Shared>) -> Result<Option<Taken>, QueueError> {
        if self.is_empty() {
            return Ok(None);
        }
        let mut change = self.change();
        let Some(frame) = take(&mut change, shared.layout) else {
            change.check()?;
            return Ok(None);
        };
        match frame.place {
            Place::Inline { word } => {
                let mut body = Vec::new();
                let bytes = usize::try_from(frame.bytes).map_err(|_| Damage::Log)?;
                shared.region.append_bytes(word * WORD_BYTES, bytes, &mut body)?;
                change.commit()?;
                Ok(Some(Taken::Inline { body, has_parts: frame.has_parts, tag: frame.tag }))
            }
            Place::Block { block } => {
                let owner = Holder::current();
                let mut blocks = Blocks::new(&mut change, shared.layout);
                hand_over(&mut blocks, frame, block, owner)?;
                change.commit()?;
                let holding = Holding::of(shared, block, owner);
                Ok(Some(Taken::InBlock { holding, bytes: frame.bytes, tag: frame.tag }))
            }
        }
    }
}

fn hand_over(blocks: &mut Blocks<'_, '_>, frame: Frame, block: usize, owner: Holder) -> Result<(), Damage> {
    let order = blocks.expect(block, Kind::Queued);
    if frame.bytes > block_bytes(order) {
        return Err(Damage::Log);
    }
    blocks.hold(block, order, owner.word());
    Ok(())
}

impl Taken {
    fn unpack(self) -> Result<Received, QueueError> {
        match self {
            Self::Inline { body, has_parts: false, tag } => Ok(Received::plain(tag, body)),
            Self::Inline { body, has_parts: true, tag } => Received::with_table(tag, body),
            Self::InBlock { holding, bytes, tag } => Received::in_block(tag, holding, bytes),
        }
    }
}
