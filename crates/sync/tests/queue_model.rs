//! A queue against a plain list: arbitrary sequences of operations, with getters and putters that wait.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]
#![allow(dead_code, unreachable_pub, reason = "the support is shared; each test program uses its part")]

use std::collections::VecDeque;

use proptest::prelude::*;
use threefold_sync::Queue;
use threefold_sync::error::{DoneError, GetError, PutError};
use threefold_sync::queue::Order;
use threefold_wait::{Owner, Ticket, Wait, Withdrawal};

#[path = "../../wait/tests/support/limit.rs"]
mod limit;
use limit::Limit;

#[derive(Clone, Debug)]
enum Step {
    TryPut,
    TryPutMany(usize),
    TryGet,
    TryGetMany(usize),
    WaitToPut,
    WaitToGet,
    GiveUpPutting,
    GiveUpGetting,
    SetMaxsize(usize),
    TaskDone,
    ShutDown(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::TryPut),
        3 => (0..5_usize).prop_map(Step::TryPutMany),
        8 => Just(Step::TryGet),
        3 => (0..5_usize).prop_map(Step::TryGetMany),
        6 => Just(Step::WaitToPut),
        6 => Just(Step::WaitToGet),
        2 => Just(Step::GiveUpPutting),
        2 => Just(Step::GiveUpGetting),
        2 => (0..6_usize).prop_map(Step::SetMaxsize),
        4 => Just(Step::TaskDone),
        1 => any::<bool>().prop_map(Step::ShutDown),
    ]
}

/// The queue, and what it should hold.
struct Pair {
    queue: Queue<u64>,
    order: Order,
    items: VecDeque<u64>,
    maxsize: usize,
    unfinished_count: usize,
    is_shut_down: bool,
    getters: VecDeque<Ticket>,
    putters: VecDeque<(Ticket, Option<u64>)>,
    number: u64,
}

impl Pair {
    fn new(order: Order, maxsize: usize) -> Self {
        Self {
            queue: Queue::new(order, maxsize),
            order,
            items: VecDeque::new(),
            maxsize,
            unfinished_count: 0,
            is_shut_down: false,
            getters: VecDeque::new(),
            putters: VecDeque::new(),
            number: 0,
        }
    }

    fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn room(&self) -> usize {
        if self.maxsize == 0 { usize::MAX } else { self.maxsize.saturating_sub(self.items.len()) }
    }

    fn expect_put(&mut self, item: u64) {
        self.items.push_back(item);
        self.unfinished_count += 1;
    }

    fn expect_get(&mut self) -> Option<u64> {
        if self.order == Order::FirstInFirstOut { self.items.pop_front() } else { self.items.pop_back() }
    }

    fn nothing(&self) -> GetError {
        if self.is_shut_down { GetError::ShutDown } else { GetError::Empty }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::TryPut => self.try_put(),
            Step::TryPutMany(count) => self.try_put_many(count),
            Step::TryGet => {
                let expected = self.expect_get();
                assert_eq!(self.queue.try_get(), expected.map(Some).ok_or(self.nothing()));
            }
            Step::TryGetMany(limit) => {
                let count = limit.min(self.items.len());
                let expected: Vec<_> = (0..count).map(|_| self.expect_get()).collect();
                assert_eq!(self.queue.try_get_many(limit), expected);
            }
            Step::WaitToPut => {
                let item = self.next();
                self.putters.push_back((Ticket::thread(Owner(item)), Some(item)));
            }
            Step::WaitToGet => {
                let number = self.next();
                self.getters.push_back(Ticket::thread(Owner(number)));
            }
            Step::GiveUpPutting => {
                if let Some((mut ticket, mut item)) = self.putters.pop_back() {
                    assert_eq!(self.queue.put(&mut item).withdraw(&mut ticket, Withdrawal::HandOn), None);
                    assert!(item.is_some());
                }
            }
            Step::GiveUpGetting => {
                if let Some(mut ticket) = self.getters.pop_front() {
                    assert_eq!(self.queue.get().withdraw(&mut ticket, Withdrawal::Keep), None);
                }
            }
            Step::SetMaxsize(maxsize) => {
                self.queue.set_maxsize(maxsize);
                self.maxsize = maxsize;
            }
            Step::TaskDone => match self.unfinished_count.checked_sub(1) {
                Some(left) => {
                    self.unfinished_count = left;
                    assert_eq!(self.queue.task_done(), Ok(()));
                }
                None => assert_eq!(self.queue.task_done(), Err(DoneError::TooOften)),
            },
            Step::ShutDown(is_immediate) => {
                self.is_shut_down = true;
                let expected = if is_immediate { std::mem::take(&mut self.items) } else { VecDeque::new() };
                self.unfinished_count = self.unfinished_count.saturating_sub(expected.len());
                assert_eq!(self.queue.shut_down(is_immediate), expected);
            }
        }
    }

    fn try_put(&mut self) {
        let item = self.next();
        let expected = match (self.is_shut_down, self.room()) {
            (true, _) => Err(PutError::ShutDown(item)),
            (false, 0) => Err(PutError::Full(item)),
            (false, _) => {
                self.expect_put(item);
                Ok(())
            }
        };
        assert_eq!(self.queue.try_put(item), expected);
    }

    fn try_put_many(&mut self, count: usize) {
        let mut items: VecDeque<_> = (0..count).map(|_| self.next()).collect();
        let expected = if self.is_shut_down { Err(PutError::ShutDown(())) } else { Ok(count.min(self.room())) };
        items.iter().take(expected.unwrap_or(0)).for_each(|&item| self.expect_put(item));
        assert_eq!(self.queue.try_put_many(&mut items), expected);
        assert_eq!(items.len(), count - expected.unwrap_or(0));
    }

    /// All who wait look, first come first served, until none of them finds anything.
    fn let_them_look(&mut self) {
        loop {
            let waiting_count = self.getters.len() + self.putters.len();
            for mut ticket in std::mem::take(&mut self.getters) {
                match self.queue.get().poll(&mut ticket) {
                    None => self.getters.push_back(ticket),
                    Some(Ok(item)) => assert_eq!(item, self.expect_get()),
                    Some(Err(error)) => assert_eq!((error, self.items.len()), (GetError::ShutDown, 0)),
                }
            }
            for (mut ticket, mut item) in std::mem::take(&mut self.putters) {
                let number = item.unwrap();
                match self.queue.put(&mut item).poll(&mut ticket) {
                    None => self.putters.push_back((ticket, item)),
                    Some(Ok(())) => self.expect_put(number),
                    Some(Err(error)) => {
                        assert_eq!((error, item), (PutError::ShutDown(()), Some(number)));
                        assert!(self.is_shut_down);
                    }
                }
            }
            if self.getters.len() + self.putters.len() == waiting_count {
                break;
            }
        }
    }

    fn compare(&self) {
        assert_eq!(self.queue.len(), self.items.len());
        assert_eq!(self.queue.unfinished_count(), self.unfinished_count);
        assert_eq!(self.queue.is_full(), self.maxsize != 0 && self.items.len() >= self.maxsize);
        assert!(self.getters.is_empty() || self.items.is_empty(), "somebody waits while there is an item");
        assert!(self.putters.is_empty() || self.room() == 0, "somebody waits while there is room");
        let mut seen = VecDeque::new();
        self.queue.visit(|&item| seen.push_back(item));
        assert_eq!(seen, self.items);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_holds_what_a_list_would(
        is_first_out in any::<bool>(),
        maxsize in 0..5_usize,
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let _limit = Limit::seconds(60);
        let order = if is_first_out { Order::FirstInFirstOut } else { Order::LastInFirstOut };
        let mut pair = Pair::new(order, maxsize);
        for step in &steps {
            pair.take(step);
            pair.let_them_look();
            pair.compare();
        }
    }
}
