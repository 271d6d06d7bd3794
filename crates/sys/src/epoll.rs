//! What the kernel tells of many descriptors at once: `epoll`, and a bell that other threads ring.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use rustix::io::Errno;

const MILLISECOND: Duration = Duration::from_millis(1);

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
///
/// `close` gives both descriptors back while the set still has owners. All but `ring` then fail with EBADF, and must not be
/// called by one thread while another one closes.
#[derive(Clone, Debug)]
pub struct Epoll(Arc<Descriptors>);

#[derive(Debug)]
struct Descriptors {
    /// -1 when it is closed.
    set: AtomicI32,
    bell: AtomicI32,
    /// Threads that ring just now: the bell's number must stay the bell's.
    ringers: AtomicU32,
}

impl Epoll {
    /// An empty set.
    ///
    /// # Errors
    /// What the kernel says: no descriptors left.
    pub fn create() -> io::Result<Self> {
        let (set, bell) = make()?;
        Ok(Self(Arc::new(Descriptors {
            set: AtomicI32::new(set.into_raw_fd()),
            bell: AtomicI32::new(bell.into_raw_fd()),
            ringers: AtomicU32::new(0),
        })))
    }

    /// The number of the set's own descriptor, which is readable while there is news; -1 when it is closed.
    pub fn number(&self) -> RawFd {
        self.0.set.load(Ordering::Relaxed)
    }

    fn set(&self) -> io::Result<BorrowedFd<'_>> {
        // It is open: it is closed only when nobody uses it any more.
        named(self.number())
    }

    /// Closes the set, and the bell unless somebody rings just now; that is closed with the last owner then.
    pub fn close(&self) {
        drop(owned(self.0.set.swap(-1, Ordering::SeqCst)));
        let bell = self.0.bell.swap(-1, Ordering::SeqCst);
        // A thread that has read the bell's number before is counted: both are sequentially consistent, so that either it
        // is seen here, or it sees that there is no bell.
        if self.0.ringers.load(Ordering::SeqCst) == 0 {
            drop(owned(bell));
        } else {
            self.0.bell.store(bell, Ordering::SeqCst);
        }
    }

    /// Makes the set and the bell anew, with nothing in the set: in the child of a fork, where they are the parent's, too.
    ///
    /// # Errors
    /// No descriptors left; then they are the parent's as before.
    pub fn renew(&self) -> io::Result<()> {
        if self.number() < 0 {
            return Ok(());
        }
        let (set, bell) = make()?;
        drop(owned(self.0.set.swap(set.into_raw_fd(), Ordering::SeqCst)));
        drop(owned(self.0.bell.swap(bell.into_raw_fd(), Ordering::SeqCst)));
        // Threads that rang in the parent are not here.
        self.0.ringers.store(0, Ordering::SeqCst);
        Ok(())
    }

    /// Watches a descriptor.
    ///
    /// # Errors
    /// It is watched already, is closed, or can't be watched (a regular file).
    pub fn add(&self, descriptor: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        let descriptor = named(descriptor)?;
        Ok(epoll::add(self.set()?, descriptor, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Watches a descriptor for something else.
    ///
    /// # Errors
    /// It is not watched, or closed.
    pub fn modify(&self, descriptor: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        let descriptor = named(descriptor)?;
        Ok(epoll::modify(self.set()?, descriptor, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Watches a descriptor no more.
    ///
    /// # Errors
    /// It is not watched, or closed.
    pub fn remove(&self, descriptor: RawFd) -> io::Result<()> {
        Ok(epoll::delete(self.set()?, named(descriptor)?)?)
    }

    /// Waits for news, at most `limit` (`None`: for ever), and puts them in place of the former.
    ///
    /// The kernel's older call knows whole milliseconds only. So a wait may end early by less than one; what is left of
    /// it is waited for exactly.
    ///
    /// # Blocking
    /// Up to `limit`, until there is news, the bell rings or a signal arrives.
    ///
    /// # Errors
    /// `Interrupted` when a signal arrived; what else the kernel says.
    pub fn wait(&self, events: &mut Events, limit: Option<Duration>) -> io::Result<()> {
        events.0.clear();
        let set = self.set()?;
        let limit = match limit {
            Some(limit) if limit < MILLISECOND && !limit.is_zero() => {
                let limit = Timespec::try_from(limit).ok();
                if poll(&mut [PollFd::new(&set, PollFlags::IN)], limit.as_ref())? == 0 {
                    return Ok(());
                }
                Some(Duration::ZERO)
            }
            Some(limit) => Some(Duration::new(limit.as_secs(), limit.subsec_millis() * 1_000_000)),
            None => None,
        };
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let mut room = [MaybeUninit::uninit(); EVENT_COUNT];
        let (news, _rest) = epoll::wait(set, &mut room, limit.as_ref())?;
        events.0.extend(news.iter().map(Event::of).filter(|event| event.token != BELL));
        Ok(())
    }

    /// Wakes whoever waits, now or next. From any thread, and from a signal handler.
    pub fn ring(&self) {
        self.0.ringers.fetch_add(1, Ordering::SeqCst);
        if let Ok(bell) = named(self.0.bell.load(Ordering::SeqCst)) {
            // It can fail only when it has been rung 2^64 times.
            let _counted = rustix::io::write(bell, &1_u64.to_ne_bytes());
        }
        self.0.ringers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        drop((owned(*self.set.get_mut()), owned(*self.bell.get_mut())));
    }
}

fn make() -> io::Result<(OwnedFd, OwnedFd)> {
    let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    // Told at each ring, and never read: it counts to 2^64, and is done long before.
    epoll::add(&set, &bell, epoll::EventData::new_u64(BELL), epoll::EventFlags::IN | epoll::EventFlags::ET)?;
    Ok((set, bell))
}

/// The owner of a descriptor that `Descriptors` has given up; none for -1.
fn owned(descriptor: RawFd) -> Option<OwnedFd> {
    // SAFETY: not -1, and taken out of `Descriptors`, which owned it, by an exchange or with the last reference: nobody else
    // has it.
    (descriptor >= 0).then(|| unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// A descriptor by its number, for system calls that say themselves when there is no such descriptor.
fn named<'fd>(descriptor: RawFd) -> io::Result<BorrowedFd<'fd>> {
    if descriptor < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: not -1. A program's descriptor is handed to `epoll_ctl` only, which does not touch the file's content and
    // answers EBADF when the number is nobody's. The set's and the bell's are open while they are used: see `Epoll`.
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
    fn a_closed_set_gives_its_descriptors_back_and_is_rung_in_vain() {
        let epoll = Epoll::create().unwrap();
        let number = epoll.number();
        let kept = epoll.clone();
        epoll.close();
        assert_eq!(kept.number(), -1);
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(std::os::fd::AsRawFd::as_raw_fd(&file) <= number);
        kept.ring();
        let error = kept.wait(&mut Events::default(), Some(Duration::ZERO)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(9));
        kept.close();
    }

    #[test]
    fn a_set_that_is_made_anew_watches_nothing_and_has_a_bell() {
        let epoll = Epoll::create().unwrap();
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        let interest = Interest { read: true, write: false, is_edge: false };
        epoll.add(std::os::fd::AsRawFd::as_raw_fd(&near), 7, interest).unwrap();
        std::io::Write::write_all(&mut &far, b"x").unwrap();
        epoll.renew().unwrap();
        epoll.ring();
        let mut events = Events::default();
        epoll.wait(&mut events, Some(Duration::from_secs(60))).unwrap();
        assert_eq!(events.iter().count(), 0);
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
