//! Memory that two processes share: what one has stored reaches the other later, unless there is a fence.
//!
//! Each side has a buffer of stores that only it sees. They reach memory one by one at any later time, in their order; one
//! that is not a release may overtake those before it. Loads are done in the order of the program.

/// How many marks there are; the link has 256 and lets 200 be used, and the fewest that can do are the hardest case.
pub(crate) const SLOTS: u8 = 2;

/// The words that are stored to, and not only exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Word {
    Attention,
    JobTail,
    ReportTail,
    Finished,
    /// Of the job with this sequence number.
    Mark(u8),
}

impl Word {
    fn index(self) -> usize {
        match self {
            Self::Attention => 0,
            Self::JobTail => 1,
            Self::ReportTail => 2,
            Self::Finished => 3,
            Self::Mark(sequence) => 4 + usize::from(sequence % SLOTS),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Parent,
    Worker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Store {
    index: usize,
    value: u8,
    is_release: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Memory {
    words: [u8; 4 + SLOTS as usize],
    buffers: [Vec<Store>; 2],
}

impl Memory {
    pub(crate) fn load(&self, side: Side, word: Word) -> u8 {
        let index = word.index();
        let own = self.buffers[side as usize].iter().rev().find(|store| store.index == index);
        own.map_or(self.words[index], |store| store.value)
    }

    /// What the other side will see in the end.
    pub(crate) fn settled(&self, word: Word) -> u8 {
        let writer = if matches!(word, Word::ReportTail | Word::Finished) { Side::Worker } else { Side::Parent };
        self.load(writer, word)
    }

    pub(crate) fn store(&mut self, side: Side, word: Word, value: u8) {
        self.buffers[side as usize].push(Store { index: word.index(), value, is_release: true });
    }

    pub(crate) fn store_relaxed(&mut self, side: Side, word: Word, value: u8) {
        self.buffers[side as usize].push(Store { index: word.index(), value, is_release: false });
    }

    /// All that this side has stored is seen from here on. A death is one, too: what was stored stays.
    pub(crate) fn fence(&mut self, side: Side) {
        for store in std::mem::take(&mut self.buffers[side as usize]) {
            self.words[store.index] = store.value;
        }
    }

    /// An exchange, of any value if none is expected; says what was there.
    pub(crate) fn exchange(&mut self, side: Side, word: Word, expected: Option<u8>, value: u8) -> u8 {
        self.fence(side);
        let place = &mut self.words[word.index()];
        let found = *place;
        if expected.is_none_or(|expected| expected == found) {
            *place = value;
        }
        found
    }

    /// Each way in which one store of this side reaches memory.
    pub(crate) fn arrivals(&self, side: Side) -> Vec<Self> {
        let buffer = &self.buffers[side as usize];
        let may_arrive = |&at: &usize| {
            let overtaken = &buffer[..at];
            at == 0 || !buffer[at].is_release && overtaken.iter().all(|store| store.index != buffer[at].index)
        };
        let arrive = |at: usize| {
            let mut next = self.clone();
            let store = next.buffers[side as usize].remove(at);
            next.words[store.index] = store.value;
            next
        };
        (0..buffer.len()).filter(may_arrive).map(arrive).collect()
    }
}
