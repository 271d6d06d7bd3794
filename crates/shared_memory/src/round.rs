//! A barrier's words, and the guarded sections that change them. README section 6.

use std::sync::atomic::{AtomicU64, Ordering};

use threefold_sys::futex;

use crate::guard::{Guard, Held};
use crate::holder::Holder;
use crate::places::{Places, Seen};
use crate::wait::{Driver, Outcome};

const GUARD: usize = 1;
pub(crate) const PARTY_COUNT: usize = 2;
/// Bits 0 and 1: the phase; above: the number of the round, its generation.
const PHASE: usize = 3;
/// How the round before ended.
const VERDICT: usize = 4;
const ACTOR: usize = 5;
pub(crate) const HEAD_WORDS: usize = 8;

/// Words of a barrier. Parties of earlier rounds may not have left their places yet, hence more places than parties.
pub(crate) const fn word_count(party_count: usize) -> usize {
    Places::words(party_count.saturating_mul(4).saturating_add(64)).saturating_add(HEAD_WORDS)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Filling = 0,
    Acting = 1,
    Broken = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed = 1,
    Broken = 2,
}

impl Verdict {
    const fn from_bits(bits: u64) -> Option<Self> {
        match bits {
            0 => None,
            1 => Some(Self::Passed),
            _ => Some(Self::Broken),
        }
    }
}

const GENERATION_MASK: u64 = (1 << 30) - 1;

/// What a party's place says: its number (low 32 bits), its round (30 bits), and in the end how that ended (2 bits).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note(pub(crate) u64);

impl Note {
    pub(crate) const fn waiting(generation: u64, index: u64) -> Self {
        Self(generation << 32 | index & 0xffff_ffff)
    }

    const fn with(self, verdict: Verdict) -> Self {
        Self(self.0 & !(3 << 62) | (verdict as u64) << 62)
    }

    pub(crate) const fn index(self) -> u64 {
        self.0 & 0xffff_ffff
    }

    pub(crate) const fn generation(self) -> u64 {
        self.0 >> 32 & GENERATION_MASK
    }

    pub(crate) const fn verdict(self) -> Option<Verdict> {
        Verdict::from_bits(self.0 >> 62)
    }
}

/// A barrier's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round<'a>(&'a [AtomicU64]);

impl<'a> Round<'a> {
    pub(crate) fn new(words: &'a [AtomicU64]) -> Self {
        Self(words)
    }

    pub(crate) fn party_count(self) -> usize {
        usize::try_from(self.0[PARTY_COUNT].load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// What those sleep on who wait for the phase to change.
    pub(crate) fn phase_word(self) -> &'a AtomicU64 {
        &self.0[PHASE]
    }

    pub(crate) fn phase_value(self) -> u64 {
        self.0[PHASE].load(Ordering::Acquire)
    }

    pub(crate) fn phase(self) -> Phase {
        match self.phase_value() & 3 {
            0 => Phase::Filling,
            1 => Phase::Acting,
            _ => Phase::Broken,
        }
    }

    pub(crate) fn generation(self) -> u64 {
        self.phase_value() >> 2 & GENERATION_MASK
    }

    /// Who runs the action, while the phase is acting.
    pub(crate) fn actor(self) -> Holder {
        Holder::from_word(self.0[ACTOR].load(Ordering::Relaxed))
    }

    pub(crate) fn places(self) -> Places<'a> {
        Places::new(&self.0[HEAD_WORDS..])
    }

    fn waiting(self) -> impl Iterator<Item = Seen<'a>> {
        self.places().seen().filter(|seen| !seen.is_told)
    }

    /// The lowest number that no waiting party has, and how many wait.
    pub(crate) fn next_index(self) -> (u64, usize) {
        let mut taken: Vec<u64> = self.waiting().map(|seen| Note(seen.note).index()).collect();
        taken.sort_unstable();
        let gap = taken.iter().zip(0..).find(|&(&index, expected)| index != expected);
        (gap.map_or(taken.len() as u64, |(_, expected)| expected), taken.len())
    }

    /// How many wait for this round to end; those of the round before may not have been told yet that it has.
    pub(crate) fn arrived_count(self) -> usize {
        let generation = self.generation();
        self.waiting().filter(|seen| Note(seen.note).generation() == generation).count()
    }

    /// Whether somebody died who waited, acted, or was about to tell others.
    pub(crate) fn is_somebody_dead(self) -> bool {
        let is_place_left = || self.places().seen().any(|seen| !seen.holder.is_alive());
        self.is_actor_dead() || self.guard().is_holder_dead() || is_place_left()
    }

    fn is_actor_dead(self) -> bool {
        self.phase() == Phase::Acting && !self.actor().is_alive()
    }

    fn guard(self) -> Guard<'a> {
        Guard::new(&self.0[GUARD])
    }

    pub(crate) fn enter(self) -> Section<'a> {
        Section::new(self, self.guard().enter())
    }

    /// Enters if nobody who lives is in the section.
    pub(crate) fn try_take_over(self) -> Option<Section<'a>> {
        self.guard().try_take_over().map(|held| Section::new(self, held))
    }

    pub(crate) fn enter_with<D: Driver>(self, driver: &mut D) -> Result<Outcome<Section<'a>>, D::Error> {
        Ok(match self.guard().enter_with(None, driver)? {
            Outcome::Ready(held) => Outcome::Ready(Section::new(self, held)),
            Outcome::TimedOut => Outcome::TimedOut,
        })
    }
}

/// Being alone with a barrier's words.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    round: Round<'a>,
    _held: Held<'a>,
}

impl<'a> Section<'a> {
    fn new(round: Round<'a>, held: Held<'a>) -> Self {
        let is_recovered = held.is_recovered();
        let section = Self { round, _held: held };
        if is_recovered {
            section.tell_those_of_earlier_rounds();
        }
        section
    }

    pub(crate) fn round(&self) -> Round<'a> {
        self.round
    }

    pub(crate) fn begin_to_act(&self, mine: Holder) {
        self.round.0[ACTOR].store(mine.word(), Ordering::Relaxed);
        self.set_phase(self.round.generation(), Phase::Acting);
    }

    pub(crate) fn open(&self) {
        if self.round.phase() == Phase::Acting {
            self.end_round(Verdict::Passed, Phase::Filling);
        }
    }

    pub(crate) fn break_up(&self) {
        if self.round.phase() != Phase::Broken {
            self.end_round(Verdict::Broken, Phase::Broken);
        }
    }

    /// Breaks the round of this generation, if it has not ended.
    pub(crate) fn break_round(&self, generation: u64) {
        if self.round.generation() == generation {
            self.break_up();
        }
    }

    pub(crate) fn reset(&self) {
        self.end_round(Verdict::Broken, Phase::Filling);
    }

    /// Breaks the round if one of the dead is missed, and frees their places: in this order, so that who dies in between
    /// leaves them to be found again.
    pub(crate) fn bury(&self) {
        let is_party_dead = || self.round.waiting().any(|seen| !seen.holder.is_alive());
        if self.round.is_actor_dead() || self.round.phase() == Phase::Filling && is_party_dead() {
            self.break_up();
        }
        self.round.places().seen().filter(|seen| !seen.holder.is_alive()).for_each(|dead| dead.free());
    }

    /// The phase is what commits: a successor who finds it changed tells the rest, as this would have.
    fn end_round(&self, verdict: Verdict, next: Phase) {
        self.round.0[VERDICT].store(verdict as u64, Ordering::Relaxed);
        self.set_phase(self.round.generation().wrapping_add(1), next);
        self.tell_those_of_earlier_rounds();
        futex::wake_shared(self.round.phase_word(), u32::MAX);
    }

    fn tell_those_of_earlier_rounds(&self) {
        let verdict = Verdict::from_bits(self.round.0[VERDICT].load(Ordering::Relaxed)).unwrap_or(Verdict::Broken);
        for seen in self.round.waiting() {
            let note = Note(seen.note);
            if note.generation() != self.round.generation() {
                seen.tell_with(note.with(verdict).0);
            }
        }
    }

    fn set_phase(&self, generation: u64, phase: Phase) {
        self.round.0[PHASE].store((generation & GENERATION_MASK) << 2 | phase as u64, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::barrier::{Arrival, Barrier};
    use crate::error::Broken;
    use crate::home::Home;
    use crate::limit::Limit;
    use crate::wait::Plain;

    /// Lets two parties wait, and the third one die in its section after what `died_after` does; returns how they fared.
    fn fare(died_after: impl FnOnce(&Section<'_>, Holder)) -> Vec<Result<Arrival, Broken>> {
        let barrier = Barrier::create(Home::test(Barrier::bytes(3)), 3).unwrap();
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let dead = Holder::test(child.id(), child.id(), 1);
        child.wait().unwrap();
        std::thread::scope(|scope| {
            let parties = [(); 2].map(|()| scope.spawn(|| barrier.wait(None, &mut Plain).unwrap()));
            while barrier.waiting_count() < 2 {
                std::thread::yield_now();
            }
            let section = barrier.round().enter();
            died_after(&section, dead);
            std::mem::forget(section);
            barrier.round().0[GUARD].store(dead.word(), Ordering::Release);
            parties.map(|party| party.join().unwrap()).into()
        })
    }

    #[test]
    fn a_round_that_was_over_when_its_opener_died_is_over_for_all() {
        let _limit = Limit::seconds(30);
        let mut ends = fare(|section, dead| {
            section.begin_to_act(dead);
            section.round.0[VERDICT].store(Verdict::Passed as u64, Ordering::Relaxed);
            section.set_phase(section.round.generation() + 1, Phase::Filling);
        });
        ends.sort_unstable_by_key(|end| matches!(end, Ok(Arrival::Passed(1))));
        assert_eq!(ends, [Ok(Arrival::Passed(0)), Ok(Arrival::Passed(1))]);
    }

    #[test]
    fn a_round_that_was_not_over_when_its_last_party_died_is_broken() {
        let _limit = Limit::seconds(30);
        let ends = fare(|section, dead| {
            section.begin_to_act(dead);
        });
        assert_eq!(ends, [Err(Broken), Err(Broken)]);
    }
}
