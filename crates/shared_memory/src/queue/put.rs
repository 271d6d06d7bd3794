//! Putting messages: short ones are written to the log in the section, long ones to a block before it.

use std::borrow::Cow;
use std::sync::Arc;

use threefold_sys::clock::Instant;
use threefold_trace::Reason;

use super::blocks::Blocks;
use super::error::{QueueError, Stop};
use super::holding::Holding;
use super::layout::{FILLED_BELL_WORD, GOT_COUNT, PUT_COUNT, TAKEN_BELL_WORD, WORD_BYTES};
use super::log::{LONGEST_INLINE_BYTES, append_block, append_inline};
use super::message::Message;
use super::section::{Section, Shared};
use crate::bell::Bell;
use crate::wait::{Driver, Wait};

/// Messages put in one section: others wait meanwhile.
const MOST_PER_SECTION: usize = 64;

/// Shorter parts cost fewer page faults than a system call is worth.
const SHORTEST_COLD_WRITE_BYTES: usize = 16 * 1024;

/// A message on its way.
enum Parcel<'message> {
    Inline { body: Cow<'message, [u8]>, has_parts: bool, tag: u8 },
    InBlock { holding: Holding, bytes: u64, tag: u8 },
}

/// Whether a parcel went in.
enum Delivery {
    Done,
    Full,
    OutOfMemory,
}

/// Waits for room for `messages`, one after the other.
pub(super) struct Put<'a> {
    shared: &'a Arc<Shared>,
    messages: &'a [Message<'a>],
    deadline: Option<Instant>,
    /// How many were put.
    pub(super) done_count: usize,
    parcel: Option<Parcel<'a>>,
    has_tidied: bool,
}

impl<'a> Put<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, messages: &'a [Message<'a>], deadline: Option<Instant>) -> Self {
        Self { shared, messages, deadline, done_count: 0, parcel: None, has_tidied: false }
    }

    /// Puts as many as there is room for; whether all are done.
    fn put_some<D: Driver>(&mut self, driver: &mut D) -> Result<bool, Stop<D::Error>> {
        while let Some(message) = self.messages.get(self.done_count) {
            // Before the section: it may take a while.
            if self.parcel.is_none() {
                self.parcel = Some(Parcel::of(self.shared, *message)?);
            }
            let Some(section) = self.shared.enter_with(self.deadline, driver)? else { return Ok(false) };
            let before = self.done_count;
            let delivery = self.deliver(&section)?;
            drop(section);
            let count = self.done_count - before;
            if count > 0 {
                self.shared.bell(FILLED_BELL_WORD).ring(u32::try_from(count).unwrap_or(u32::MAX));
            }
            match delivery {
                Delivery::Done => {}
                Delivery::Full => return Ok(false),
                Delivery::OutOfMemory if !self.has_tidied => {
                    self.has_tidied = true;
                    // If this goes wrong there is no more room than before, which is what the caller hears.
                    let _tidied_later = self.shared.tidy();
                }
                Delivery::OutOfMemory => return Err(self.shared.out_of_memory(message.body_bytes()).into()),
            }
        }
        Ok(true)
    }

    /// Puts the prepared parcel, and then those that need no preparation.
    fn deliver(&mut self, section: &Section<'_>) -> Result<Delivery, QueueError> {
        for _ in 0..MOST_PER_SECTION {
            let Some(message) = self.messages.get(self.done_count) else { break };
            let Some(parcel) = self.parcel.take().or_else(|| Parcel::inline(*message)) else { break };
            let delivery = section.deliver(&parcel);
            if !matches!(delivery, Ok(Delivery::Done)) {
                // Kept, also after an error: giving its block back takes the section, which is ours until we return.
                self.parcel = Some(parcel);
                return delivery;
            }
            if let Parcel::InBlock { holding, .. } = parcel {
                holding.forget();
            }
            self.done_count += 1;
        }
        Ok(Delivery::Done)
    }
}

impl Wait for Put<'_> {
    type Output = Result<(), QueueError>;

    const REASON: Reason = Reason::QueuePut;

    fn bell(&self) -> Bell<'_> {
        self.shared.bell(TAKEN_BELL_WORD)
    }

    fn is_promising(&self) -> bool {
        let count = self.shared.peek(PUT_COUNT).saturating_sub(self.shared.peek(GOT_COUNT));
        self.shared.message_cap.is_none_or(|cap| count < cap)
    }

    fn poll<D: Driver>(&mut self, driver: &mut D) -> Result<Option<Self::Output>, D::Error> {
        match self.put_some(driver) {
            Ok(true) => Ok(Some(Ok(()))),
            Ok(false) => Ok(None),
            Err(Stop::Queue(error)) => Ok(Some(Err(error))),
            Err(Stop::Driver(error)) => Err(error),
        }
    }
}

impl Section<'_> {
    fn deliver(&self, parcel: &Parcel<'_>) -> Result<Delivery, QueueError> {
        let count = self.read(PUT_COUNT).saturating_sub(self.read(GOT_COUNT));
        if self.shared.message_cap.is_some_and(|cap| count >= cap) {
            return Ok(Delivery::Full);
        }
        let (mut change, layout) = (self.change(), self.shared.layout);
        let word = match parcel {
            Parcel::Inline { body, has_parts, tag } => append_inline(&mut change, layout, body.len(), *has_parts, *tag),
            Parcel::InBlock { holding, bytes, tag } => {
                let mut blocks = Blocks::new(&mut change, layout);
                let order = blocks.unhold(holding.block());
                blocks.enqueue(holding.block(), order);
                append_block(&mut change, layout, holding.block(), *bytes, *tag)
            }
        };
        change.check()?;
        let Some(word) = word else { return Ok(Delivery::OutOfMemory) };
        if let Parcel::Inline { body, .. } = parcel {
            // Behind the tail, where nobody looks before the change happens.
            self.shared.region.write_bytes(word * WORD_BYTES, body)?;
        }
        change.commit()?;
        Ok(Delivery::Done)
    }
}

impl<'message> Parcel<'message> {
    /// A message that fits the log; `None` for a long one.
    #[inline]
    fn inline(message: Message<'message>) -> Option<Self> {
        let tag = message.tag;
        if message.buffers.is_empty() && message.stream.len() <= LONGEST_INLINE_BYTES {
            return Some(Self::Inline { body: Cow::Borrowed(message.stream), has_parts: false, tag });
        }
        (message.body_bytes() <= LONGEST_INLINE_BYTES as u64).then(|| Self::Inline {
            body: Cow::Owned(message.body()),
            has_parts: true,
            tag,
        })
    }

    fn of(shared: &Arc<Shared>, message: Message<'message>) -> Result<Self, QueueError> {
        match Self::inline(message) {
            Some(parcel) => Ok(parcel),
            None => Self::in_block(shared, message),
        }
    }

    fn in_block(shared: &Arc<Shared>, message: Message<'message>) -> Result<Self, QueueError> {
        let bytes = message.body_bytes();
        let holding = Holding::claim(shared, bytes)?;
        let start = holding.offset_bytes();
        shared.region.write_bytes(start, &message.table())?;
        for (offset, part) in message.placed_parts() {
            let offset = start + usize::try_from(offset).unwrap_or(usize::MAX - start);
            if holding.is_cold() && part.len() >= SHORTEST_COLD_WRITE_BYTES {
                shared.region.write_cold(offset, part)?;
            } else {
                shared.region.write(offset, part)?;
            }
        }
        Ok(Self::InBlock { holding, bytes, tag: message.tag })
    }
}
