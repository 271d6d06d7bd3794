//! What the kernel tells of many descriptors at once: `epoll`, and a bell that other threads ring.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

/// How many events are taken at once.
const EVENT_COUNT: usize = 256;
/// The bell's token: no descriptor's, since those are half as long.
const BELL: u64 = u64::MAX;

/// What one wants to hear of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// That something can be read.
    pub read: bool,
    /// That something can be written.
    pub write: bool,
    /// Once for each piece of news, instead of as long as it is so.
    pub is_edge: bool,
}

impl Interest {
    /// Nothing.
    pub const NONE: Self = Self { read: false, write: false, is_edge: false };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.read);
        flags.set(epoll::EventFlags::OUT, self.write);
        if self.is_edge {
            // The end and urgent data are told apart: without, a read that came short would prove that nothing is left.
            flags |= epoll::EventFlags::ET | epoll::EventFlags::RDHUP | epoll::EventFlags::PRI;
        }
        flags
    }
}

/// News of a descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// What the descriptor was registered with.
    pub token: u64,
    /// Something can be read, the other end is closed, or reading would say what is wrong.
    pub readable: bool,
    /// Something can be written, or writing would say what is wrong.
    pub writable: bool,
    /// The other end has ended, something is wrong, or there is urgent data.
    pub is_odd: bool,
}

/// News that arrived together; kept by the caller, so that its memory is used again.
#[derive(Debug, Default)]
pub struct Events(Vec<Event>);

impl Events {
    /// The news, in the kernel's order.
    pub fn iter(&self) -> impl Iterator<Item = Event> {
        self.0.iter().copied()
    }
}

impl Event {
    fn of(event: &epoll::Event) -> Self {
        // What cannot be read or written any more is told to both sides: each learns it by trying.
        let ended = epoll::EventFlags::ERR | epoll::EventFlags::HUP;
        // The kernel's structure is packed: read, not borrowed.
        let flags = event.flags;
        Self {
            token: event.data.u64(),
            readable: flags.intersects(epoll::EventFlags::IN | ended),
            writable: flags.intersects(epoll::EventFlags::OUT | ended),
            is_odd: flags.intersects(epoll::EventFlags::RDHUP | epoll::EventFlags::PRI | ended),
        }
    }
}

/// A set of descriptors that the kernel watches, and its bell.
#[derive(Clone, Debug)]
pub struct Epoll(Arc<Descriptors>);

#[derive(Debug)]
struct Descriptors {
    set: OwnedFd,
    bell: OwnedFd,
}

impl Epoll {
    /// An empty set.
    ///
    /// # Errors
    /// What the kernel says: no descriptors left.
    pub fn create() -> io::Result<Self> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Told at each ring, and never read: it counts to 2^64, and is done long before.
        epoll::add(&set, &bell, epoll::EventData::new_u64(BELL), epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        Ok(Self(Arc::new(Descriptors { set, bell })))
    }

    /// The set's own descriptor, which is readable while there is news.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.set.as_fd()
    }

    /// Watches a descriptor.
    ///
    /// # Errors
    /// It is watched already, is closed, or can't be watched (a regular file).
    pub fn add(&self, descriptor: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        let descriptor = named(descriptor)?;
        Ok(epoll::add(&self.0.set, descriptor, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Watches a descriptor for something else.
    ///
    /// # Errors
    /// It is not watched, or closed.
    pub fn modify(&self, descriptor: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        let descriptor = named(descriptor)?;
        Ok(epoll::modify(&self.0.set, descriptor, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Watches a descriptor no more.
    ///
    /// # Errors
    /// It is not watched, or closed.
    pub fn remove(&self, descriptor: RawFd) -> io::Result<()> {
        Ok(epoll::delete(&self.0.set, named(descriptor)?)?)
    }

    /// Waits for news, at most `limit` (`None`: for ever), and puts them in place of the former.
    ///
    /// # Blocking
    /// Up to `limit`, until there is news, the bell rings or a signal arrives.
    ///
    /// # Errors
    /// `Interrupted` when a signal arrived; what else the kernel says.
    pub fn wait(&self, events: &mut Events, limit: Option<Duration>) -> io::Result<()> {
        events.0.clear();
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let mut room = [MaybeUninit::uninit(); EVENT_COUNT];
        let (news, _rest) = epoll::wait(&self.0.set, &mut room, limit.as_ref())?;
        events.0.extend(news.iter().map(Event::of).filter(|event| event.token != BELL));
        Ok(())
    }

    /// Wakes whoever waits, now or next. From any thread, and from a signal handler.
    pub fn ring(&self) {
        // It can fail only when it has been rung 2^64 times.
        let _counted = rustix::io::write(&self.0.bell, &1_u64.to_ne_bytes());
    }
}

/// A descriptor by its number, for system calls that say themselves when there is no such descriptor.
fn named<'fd>(descriptor: RawFd) -> io::Result<BorrowedFd<'fd>> {
    if descriptor < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: not -1. It is handed to `epoll_ctl` only, which does not touch the file's content and answers EBADF when the
    // number is nobody's.
    Ok(unsafe { BorrowedFd::borrow_raw(descriptor) })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_bell_wakes_a_waiter_and_is_no_news() {
        let epoll = Epoll::create().unwrap();
        let mut events = Events::default();
        let ringer = epoll.clone();
        let thread = std::thread::spawn(move || ringer.ring());
        epoll.wait(&mut events, Some(Duration::from_secs(60))).unwrap();
        assert_eq!(events.iter().count(), 0);
        thread.join().unwrap();
        let begin = Instant::now();
        epoll.wait(&mut events, Some(Duration::from_micros(300))).unwrap();
        assert!(begin.elapsed() >= Duration::from_micros(300));
    }

    #[test]
    fn a_ring_before_the_wait_is_not_lost() {
        let epoll = Epoll::create().unwrap();
        epoll.ring();
        let begin = Instant::now();
        epoll.wait(&mut Events::default(), Some(Duration::from_secs(60))).unwrap();
        assert!(begin.elapsed() < Duration::from_secs(30));
    }
}
