//! Whatever is done to a ring, it answers as a plain list of frames would; and whoever writes over it gets an error.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[path = "../../wait/tests/support/limit.rs"]
#[allow(unreachable_pub, reason = "the same file serves the other test programs")]
mod limit;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use limit::Limit;
use proptest::prelude::*;
use threefold_shared_memory::Region;
use threefold_shared_memory::ring::{Frame, Reader, RingError, Track, Writer};

const AREA_BYTES: usize = 4096;
const CAPACITY: usize = 4 << 20;
const KIBIBYTE: usize = 1024;

fn track(region: &Arc<Region>) -> Track {
    Track::new(region, 0, Track::LINE_BYTES, AREA_BYTES, CAPACITY).unwrap()
}

fn ring() -> (Arc<Region>, Writer, Reader) {
    let region = Arc::new(Region::create("test", AREA_BYTES + CAPACITY, AREA_BYTES + CAPACITY).unwrap());
    let track = track(&region);
    let (writer, reader) = (track.writer().unwrap(), track.reader().unwrap());
    (region, writer, reader)
}

#[derive(Clone, Debug)]
enum Action {
    Write(Vec<usize>),
    /// Many of one size, so that the ring goes round.
    WriteMany(usize, usize),
    Read,
    ReadAll,
    ReadAndKeep,
    DropKept,
    Tidy,
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..200_usize, 3 => 200..5000_usize, 2 => 30_000..140_000_usize, 1 => 300_000..900_000_usize]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => prop::collection::vec(size(), 0..6).prop_map(Action::Write),
        2 => (size(), 1..60_usize).prop_map(|(size, count)| Action::WriteMany(size, count)),
        8 => Just(Action::Read),
        2 => Just(Action::ReadAll),
        2 => Just(Action::ReadAndKeep),
        2 => Just(Action::DropKept),
        1 => Just(Action::Tidy),
    ]
}

type Parts = Vec<Vec<u8>>;

#[derive(Default)]
struct Model {
    waiting: VecDeque<(u64, Parts)>,
    kept: Option<(Frame, (u64, Parts))>,
    written: u64,
}

impl Model {
    fn write(&mut self, writer: &mut Writer, sizes: &[usize]) {
        let number = self.written;
        let fill = u8::try_from(number % 251).unwrap();
        let parts: Parts = sizes.iter().map(|&size| vec![fill; size]).collect();
        let slices: Vec<_> = parts.iter().map(|part| part[..].into()).collect();
        let (kind, flags) = (u8::try_from(number % 256).unwrap(), u16::try_from(number % 65_536).unwrap());
        let unread_bytes: usize = self.waiting.iter().flat_map(|(_, parts)| parts).map(Vec::len).sum();
        match writer.write(kind, flags, (number % 3 != 0).then_some(number), &slices) {
            Ok(()) => {
                self.waiting.push_back((number, parts));
                self.written += 1;
            }
            Err(RingError::Full { needed_bytes, unread_bytes: said, capacity_bytes }) => {
                let kept = self.kept.is_some();
                assert!(kept || unread_bytes + usize::try_from(needed_bytes).unwrap() > CAPACITY / 8);
                assert!(said >= unread_bytes as u64 && capacity_bytes == CAPACITY as u64);
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn check(frame: &Frame, (number, parts): &(u64, Parts)) {
        assert_eq!((u64::from(frame.kind()), u64::from(frame.flags())), (number % 256, number % 65_536));
        assert_eq!((frame.job(), frame.part_count()), ((number % 3 != 0).then_some(*number), parts.len()));
        for (index, part) in parts.iter().enumerate() {
            let mut bytes = Vec::new();
            frame.append(index, &mut bytes).unwrap();
            assert!(bytes == *part && frame.part_bytes(index) == Some(part.len()), "part {index} differs");
            let mut last = [0];
            assert_eq!(frame.read(index, part.len().saturating_sub(1), &mut last).is_ok(), !part.is_empty());
            assert!(frame.read(index, part.len(), &mut last).is_err());
        }
        assert!(frame.append(parts.len(), &mut Vec::new()).is_err());
    }

    fn read(&mut self, reader: &mut Reader) -> Option<(Frame, (u64, Parts))> {
        if self.kept.is_some() {
            assert!(matches!(reader.try_next(), Err(RingError::FrameInUse)));
            return None;
        }
        assert_eq!(reader.is_empty(), self.waiting.is_empty());
        let frame = reader.try_next().unwrap();
        assert_eq!(frame.is_some(), !self.waiting.is_empty());
        let (frame, expected) = (frame?, self.waiting.pop_front()?);
        Self::check(&frame, &expected);
        Some((frame, expected))
    }

    fn act(&mut self, writer: &mut Writer, reader: &mut Reader, action: Action) {
        match action {
            Action::Write(sizes) => self.write(writer, &sizes),
            Action::WriteMany(size, count) => (0..count).for_each(|_| self.write(writer, &[size])),
            Action::Read => drop(self.read(reader)),
            Action::ReadAll => while self.read(reader).is_some() {},
            Action::ReadAndKeep => self.kept = self.read(reader).or(self.kept.take()),
            Action::DropKept => {
                if let Some((frame, expected)) = self.kept.take() {
                    Self::check(&frame, &expected);
                    frame.done();
                }
            }
            Action::Tidy => assert_eq!(writer.tidy().unwrap(), self.waiting.is_empty() && self.kept.is_none()),
        }
        let kept = u64::from(self.kept.is_some());
        assert_eq!(writer.unread_count().unwrap(), self.waiting.len() as u64 + kept);
        assert_eq!(writer.unread_bytes().unwrap() == 0, self.waiting.is_empty() && kept == 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_ring_is_a_list_of_frames(actions in prop::collection::vec(action(), 1..100)) {
        let _limit = Limit::seconds(120);
        let (region, mut writer, mut reader) = ring();
        let mut model = Model::default();
        for action in actions {
            model.act(&mut writer, &mut reader, action);
        }
        model.kept = None;
        model.act(&mut writer, &mut reader, Action::ReadAll);
        model.act(&mut writer, &mut reader, Action::Tidy);
        prop_assert!(region.resident_bytes().unwrap() <= 96 * KIBIBYTE, "{}", region.resident_bytes().unwrap());
    }

    #[test]
    fn what_somebody_wrote_over_is_an_error(
        sizes in prop::collection::vec(size(), 1..20),
        strokes in prop::collection::vec((0..4096_usize, any::<u64>(), 0..64_u32), 1..20),
        read_first in 0..5_usize,
    ) {
        let _limit = Limit::seconds(120);
        let (region, mut writer, mut reader) = ring();
        for size in sizes {
            let _full = writer.write(1, 2, Some(3), &[vec![1; size][..].into(), b"x"[..].into()]);
        }
        for _ in 0..read_first {
            drop(reader.try_next());
        }
        for (index, value, shift) in strokes {
            // The first words, which say most, are hit as often as all of the first frames.
            let word = if index % 2 == 0 { index % 20 } else { index };
            region.words()[word].store(value >> shift, Ordering::SeqCst);
        }
        for _ in 0..30 {
            if let Ok(Some(frame)) = reader.try_next() {
                let mut bytes = Vec::new();
                let _parts = (0..frame.part_count().min(8)).map(|part| frame.append(part, &mut bytes)).count();
            }
            let _refused = writer.write(1, 2, None, &[b"more"[..].into()]);
            let _refused = (writer.tidy(), writer.unread_bytes(), writer.unread_count());
        }
    }
}

#[test]
fn each_end_is_had_once_and_only_within_the_region() {
    let _limit = Limit::seconds(30);
    let (region, mut writer, mut reader) = ring();
    writer.write(1, 0, None, &[]).unwrap();
    assert_eq!(reader.try_next().unwrap().unwrap().part_count(), 0);
    assert!(matches!(track(&region).writer(), Err(RingError::Used)));
    assert!(matches!(track(&region).reader(), Err(RingError::Used)));
    assert!(Track::new(&region, 0, 128, AREA_BYTES, CAPACITY + 4096).is_err());
    assert!(Track::new(&region, 0, 4, AREA_BYTES, CAPACITY).is_err());
    assert!(Track::new(&region, 0, 128, AREA_BYTES + 64, CAPACITY - 4096).is_err());
    let error = writer.write(1, 0, None, &[vec![0; CAPACITY][..].into()]).unwrap_err();
    assert!(matches!(error, RingError::Full { .. }), "{error}");
}
