//! Tasks wait through the lookout, with real threads and rings: without slices, so that a lost wake is a test that hangs.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod support;

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Wake, Waker};
use std::time::Duration;

use support::limit::Limit;
use threefold_shared_memory::lookout::{Lookout, Shift, Sight, Waiting};
use threefold_shared_memory::{Event, Home, Instant, Lock, Region, Semaphore};
use threefold_sys::futex;

const NEVER: Duration = Duration::from_secs(3600);

/// A "task": a thread that sleeps between its attempts as a task does, until its waker was called.
#[derive(Default)]
struct Sleeper(AtomicU32);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.store(1, Ordering::SeqCst);
        futex::wake(&self.0);
    }
}

impl Sleeper {
    fn sleep(&self) {
        while self.0.swap(0, Ordering::SeqCst) == 0 {
            let _look_again = futex::wait(&self.0, 0, None);
        }
    }
}

/// Says that it was woken.
struct Teller(Mutex<mpsc::Sender<()>>);

impl Wake for Teller {
    fn wake(self: Arc<Self>) {
        self.0.lock().unwrap().send(()).unwrap();
    }
}

fn home() -> Home {
    Home::new(Arc::new(Region::create("test", 4096, 4096).unwrap()), 0)
}

/// One process's lookout, with a thread when one is needed.
struct Process {
    lookout: Lookout,
    start_count: AtomicUsize,
}

impl Process {
    fn new(most_words: usize, slice: Duration) -> Arc<Self> {
        let lookout = Lookout::with(most_words, slice);
        Arc::new(Self { lookout, start_count: AtomicUsize::new(0) })
    }

    fn start(self: &Arc<Self>) {
        self.start_count.fetch_add(1, Ordering::SeqCst);
        let process = Arc::clone(self);
        std::thread::spawn(move || {
            process.lookout.keep_watch(&Shift::default(), threefold_shared_memory::lookout::Chosen::wake);
        });
    }

    /// Waits as a task does: see `binding/src/shared/task.rs`.
    fn wait(self: &Arc<Self>, sight: &Arc<dyn Sight>, sleeper: &Arc<Sleeper>, attempt: &dyn Fn() -> bool) {
        if attempt() {
            return;
        }
        let waker = Waker::from(Arc::clone(sleeper));
        let mut waiting: Option<Waiting> = None;
        loop {
            if let Some(chosen) = waiting.as_ref() {
                if attempt() {
                    self.lookout.finish(chosen);
                    return;
                }
            }
            let (entered, is_unwatched) = self.lookout.enter(sight, &waker, waiting.is_some());
            if is_unwatched {
                self.start();
            }
            loop {
                if attempt() {
                    self.lookout.finish(&entered);
                    return;
                }
                if self.lookout.is_settled(&entered) {
                    break;
                }
            }
            while !entered.is_chosen() {
                sleeper.sleep();
            }
            waiting = Some(entered);
        }
    }
}

#[test]
fn every_permit_reaches_a_task_of_some_process() {
    let _limit = Limit::seconds(60);
    for most_words in [128, 1] {
        let semaphore = Arc::new(Semaphore::create(home(), 0, u64::MAX).unwrap());
        let processes = [Process::new(most_words, NEVER), Process::new(most_words, NEVER)];
        std::thread::scope(|scope| {
            for number in 0..6 {
                let (process, semaphore) = (Arc::clone(&processes[number % 2]), Arc::clone(&semaphore));
                scope.spawn(move || {
                    let (sight, sleeper) = (semaphore.sight().unwrap(), Arc::default());
                    for _ in 0..500 {
                        process.wait(&sight, &sleeper, &|| semaphore.try_acquire());
                    }
                });
            }
            for count in [1, 3, 2].into_iter().cycle().take(1500) {
                semaphore.release(count).unwrap();
                if count == 2 {
                    std::thread::yield_now();
                }
            }
        });
        assert_eq!(semaphore.permits(), 0);
    }
}

#[test]
fn a_lock_goes_from_task_to_task_and_to_threads() {
    let _limit = Limit::seconds(60);
    let lock = Arc::new(Lock::create(home()).unwrap());
    let process = Process::new(128, NEVER);
    let inside = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (process, lock, inside) = (Arc::clone(&process), Arc::clone(&lock), &inside);
            scope.spawn(move || {
                let (sight, sleeper) = (lock.sight().unwrap(), Arc::default());
                for _ in 0..2000 {
                    if number == 0 {
                        lock.acquire(None, &mut threefold_shared_memory::Plain).unwrap();
                    } else {
                        process.wait(&sight, &sleeper, &|| lock.try_acquire_again().is_some());
                    }
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    lock.release().unwrap();
                }
            });
        }
    });
    assert!(lock.holder().is_nobody());
}

#[test]
fn who_gives_up_after_it_was_chosen_passes_it_on() {
    let _limit = Limit::seconds(60);
    let semaphore = Semaphore::create(home(), 0, 9).unwrap();
    let process = Process::new(128, NEVER);
    let sight = semaphore.sight().unwrap();
    let sleepers: [Arc<Sleeper>; 2] = std::array::from_fn(|_| Arc::default());
    for _ in 0..200 {
        let [first, second] = sleepers.each_ref().map(|sleeper| {
            let (entered, is_unwatched) = process.lookout.enter(&sight, &Waker::from(Arc::clone(sleeper)), false);
            if is_unwatched {
                process.start();
            }
            entered
        });
        semaphore.release(1).unwrap();
        while !first.is_chosen() {
            sleepers[0].sleep();
        }
        process.lookout.leave(&first);
        while !second.is_chosen() {
            sleepers[1].sleep();
        }
        assert!(semaphore.try_acquire());
        process.lookout.finish(&second);
    }
}

#[test]
fn an_event_wakes_all_and_the_thread_ends_and_starts_again() {
    let _limit = Limit::seconds(60);
    let event = Event::create(home()).unwrap();
    let process = Process::new(128, Duration::from_millis(200));
    for round in 1..=2 {
        let sight = event.sight(event.moment()).unwrap();
        let (sender, receiver) = mpsc::channel();
        let waker = Waker::from(Arc::new(Teller(Mutex::new(sender))));
        for _ in 0..1000 {
            let (_entered, is_unwatched) = process.lookout.enter(&sight, &waker, false);
            if is_unwatched {
                process.start();
            }
        }
        event.set();
        event.clear();
        assert_eq!(receiver.iter().take(1000).count(), 1000);
        assert_eq!(process.start_count.load(Ordering::SeqCst), round);
        // Longer than a thread for whom nobody waits stays.
        futex::pause(Duration::from_millis(1500));
    }
}

#[test]
fn a_dead_holder_and_a_blocked_task_cost_a_slice() {
    let _limit = Limit::seconds(60);
    let semaphore = Semaphore::create(home(), 0, 9).unwrap();
    let process = Process::new(128, Duration::from_millis(200));
    let sight = semaphore.sight().unwrap();
    let sleepers: [Arc<Sleeper>; 2] = std::array::from_fn(|_| Arc::default());
    let [blocked, second] = sleepers.each_ref().map(|sleeper| {
        let (entered, is_unwatched) = process.lookout.enter(&sight, &Waker::from(Arc::clone(sleeper)), false);
        if is_unwatched {
            process.start();
        }
        entered
    });
    let began = Instant::now();
    semaphore.release(1).unwrap();
    while !second.is_chosen() {
        sleepers[1].sleep();
    }
    assert!(blocked.is_chosen() && semaphore.try_acquire());
    assert!(Instant::now().since(began) < Duration::from_secs(5));
    process.lookout.finish(&second);
}
