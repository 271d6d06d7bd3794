//! The writer's space, played with a reader that follows.

use super::*;

/// A reader that follows the placements one by one.
struct Played {
    space: Space,
    unread: VecDeque<Placement>,
    head: Position,
}

impl Played {
    fn new(capacity: u64) -> Self {
        Self { space: Space::new(capacity), unread: VecDeque::new(), head: Position(0) }
    }

    fn write(&mut self, bytes: u64) -> Result<Placement, RingError> {
        let placement = self.space.place(bytes, || self.head)?;
        self.space.commit(&placement);
        self.unread.push_back(placement);
        Ok(placement)
    }

    fn read(&mut self) {
        self.head = self.unread.pop_front().unwrap().tail;
    }
}

#[test]
fn a_reader_that_keeps_up_keeps_the_frames_in_few_pages() {
    let mut played = Played::new(1 << 30);
    for _ in 0..10_000 {
        assert!(played.write(640).unwrap().tail.offset() <= WARM_BYTES);
        played.read();
    }
    assert!(played.space.take_waste().is_none());
}

#[test]
fn two_long_frames_at_a_time_go_round_and_do_not_grow_for_ever() {
    let mut played = Played::new(1 << 30);
    played.write(8 << 20).unwrap();
    for _ in 0..1000 {
        assert!(played.write(8 << 20).unwrap().tail.offset() <= 64 << 20);
        played.read();
    }
}

#[test]
fn what_lags_grows_to_the_capacity_and_is_then_refused_with_numbers() {
    let mut played = Played::new(1 << 20);
    let mut count = 0;
    let error = loop {
        match played.write(6400) {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert!(count * 6400 > (1 << 20) - 3 * 6400);
    assert!(
        matches!(error, RingError::Full { needed_bytes: 6400, unread_bytes, .. } if unread_bytes == count * 6400),
        "{error}"
    );
    (0..3).for_each(|_| played.read());
    played.write(6400).unwrap();
    while !played.unread.is_empty() {
        played.read();
    }
    played.space.refresh(played.head).unwrap();
    assert_eq!(played.space.unread_bytes(), 0);
    assert!(played.space.take_waste().is_some());
    played.write(6400).unwrap();
}

#[test]
fn a_reader_at_a_place_where_it_cannot_be_is_seen() {
    let mut played = Played::new(1 << 20);
    played.write(640).unwrap();
    assert_eq!(played.space.refresh(Position::new(0, 704)), Err(RingDamage::Position));
    assert_eq!(played.space.refresh(Position::new(1, 0)), Err(RingDamage::Position));
    assert_eq!(played.space.refresh(Position::new(0, 640)), Ok(()));
    assert_eq!(played.space.refresh(Position::new(0, 0)), Err(RingDamage::Position));
}
