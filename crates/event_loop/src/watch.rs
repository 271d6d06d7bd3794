//! Who wants to hear of which descriptor, and what the kernel was asked to tell.
//!
//! A descriptor is watched in one of two ways. By *level*: as long as somebody hears of it, and told of again and again
//! while it is ready. By *edge*: registered at the first wait and for good, told of once for each piece of news; what
//! the news said is kept until an attempt finds nothing left. A socket that is waited for again and again needs no
//! system call for that, and news that nobody waits for costs no more than one look. A descriptor whose file is held
//! open elsewhere after it was closed here can't be taken out of the kernel's set; by edge it does not keep the loop awake.

use std::io;
use std::os::fd::RawFd;

use threefold_sys::epoll::{Epoll, Event, Interest};

/// Descriptors that are watched, each with who reads it and who writes to it.
#[derive(Debug)]
pub struct Watch<W> {
    epoll: Epoll,
    /// By descriptor.
    entries: Vec<Entry<W>>,
    watched_count: usize,
}

/// A side of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Something can be read, or the other end is closed.
    Read,
    /// Something can be written.
    Write,
}

#[derive(Debug)]
struct Entry<W> {
    reader: Option<W>,
    writer: Option<W>,
    /// What the kernel was asked for.
    registered: Interest,
    /// Tells news of an earlier owner of the descriptor's number from that of the present one.
    generation: u32,
    /// There while it is watched by edge.
    edge: Option<Readiness>,
}

/// What is known of a descriptor that is watched by edge.
#[derive(Clone, Copy, Debug, Default)]
struct Readiness {
    may_read: bool,
    may_write: bool,
    /// Its end, an error or urgent data were told of: a read that came short proves nothing any more.
    is_odd: bool,
}

impl<W> Entry<W> {
    const fn new() -> Self {
        Self { reader: None, writer: None, registered: Interest::NONE, generation: 0, edge: None }
    }

    fn is_idle(&self) -> bool {
        self.reader.is_none() && self.writer.is_none()
    }

    const fn is_registered(&self, side: Side) -> bool {
        match side {
            Side::Read => self.registered.read,
            Side::Write => self.registered.write,
        }
    }

    fn side(&mut self, side: Side) -> &mut Option<W> {
        match side {
            Side::Read => &mut self.reader,
            Side::Write => &mut self.writer,
        }
    }

    const fn watcher(&self, side: Side) -> Option<&W> {
        match side {
            Side::Read => self.reader.as_ref(),
            Side::Write => self.writer.as_ref(),
        }
    }

    fn wanted(&self) -> Interest {
        Interest { read: self.reader.is_some(), write: self.writer.is_some(), is_edge: false }
    }
}

impl<W> Watch<W> {
    /// Watches through `epoll`.
    pub fn new(epoll: Epoll) -> Self {
        Self { epoll, entries: Vec::new(), watched_count: 0 }
    }

    /// Sets who hears of a side of a descriptor, by level; returns who did so far.
    ///
    /// # Errors
    /// What the kernel says, such as that the descriptor is closed or a regular file; then nothing has changed.
    pub fn set(&mut self, descriptor: RawFd, side: Side, watcher: W) -> io::Result<Option<W>> {
        let entry = entry_of(&self.epoll, &mut self.entries, descriptor)?;
        let was_idle = entry.is_idle();
        let previous = entry.side(side).replace(watcher);
        let edge = entry.edge.take();
        if was_idle && edge.is_some() {
            // Perhaps the number is a new file's.
            entry.generation = entry.generation.wrapping_add(1);
        }
        // The kernel is asked even if it should know: the program may have closed the file, and this be another one.
        if let Err(error) = register(&self.epoll, descriptor, entry) {
            *entry.side(side) = previous;
            entry.edge = edge;
            return Err(error);
        }
        self.watched_count += usize::from(was_idle);
        Ok(previous)
    }

    /// Sets who hears of a side of a descriptor, by edge if nobody hears of it by level; returns who did so far.
    ///
    /// `is_known` says that the descriptor is still the file that it was when this was called last.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub fn set_edge(&mut self, descriptor: RawFd, side: Side, watcher: W, is_known: bool) -> io::Result<Option<W>> {
        let entry = entry_of(&self.epoll, &mut self.entries, descriptor)?;
        if entry.edge.is_none() && !entry.is_idle() {
            return self.set(descriptor, side, watcher);
        }
        let was_idle = entry.is_idle();
        let previous = entry.side(side).replace(watcher);
        let is_same = is_known && entry.edge.is_some();
        if !(is_same && entry.is_registered(side)) {
            let edge = entry.edge;
            if !is_same {
                entry.edge = Some(Readiness::default());
                entry.generation = entry.generation.wrapping_add(1);
            }
            if let Err(error) = register(&self.epoll, descriptor, entry) {
                *entry.side(side) = previous;
                entry.edge = edge;
                return Err(error);
            }
        }
        self.watched_count += usize::from(was_idle);
        Ok(previous)
    }

    /// Whether an attempt on a side of a descriptor may find something: no only if it is watched by edge and nothing was
    /// told since the last attempt that found all.
    pub fn may(&self, descriptor: RawFd, side: Side) -> bool {
        let entry = usize::try_from(descriptor).ok().and_then(|index| self.entries.get(index));
        let Some((entry, readiness)) = entry.and_then(|entry| Some((entry, entry.edge?))) else { return true };
        let was_told = match side {
            Side::Read => readiness.may_read || readiness.is_odd,
            Side::Write => readiness.may_write || readiness.is_odd,
        };
        was_told || !entry.is_registered(side)
    }

    /// Whether a descriptor is watched by edge.
    pub fn is_edge(&self, descriptor: RawFd) -> bool {
        let entry = usize::try_from(descriptor).ok().and_then(|index| self.entries.get(index));
        entry.is_some_and(|entry| entry.edge.is_some())
    }

    /// An attempt has found all that there was.
    pub fn note_exhausted(&mut self, descriptor: RawFd, side: Side) {
        let entry = usize::try_from(descriptor).ok().and_then(|index| self.entries.get_mut(index));
        let Some(readiness) = entry.and_then(|entry| entry.edge.as_mut()) else { return };
        match side {
            Side::Read => readiness.may_read = false,
            Side::Write => readiness.may_write = false,
        }
    }

    /// Keeps what was told of a descriptor that is watched by edge, and drops what nobody wants to be told of.
    pub fn note(&mut self, event: &Event) {
        let index = (event.token & 0xffff_ffff) as usize;
        let Some(entry) = self.entries.get_mut(index) else { return };
        let Some(readiness) = entry.edge.as_mut() else { return };
        if u64::from(entry.generation) != event.token >> 32 {
            return;
        }
        readiness.may_read |= event.readable;
        readiness.may_write |= event.writable;
        readiness.is_odd |= event.is_odd;
        let wakes_for_nothing = event.writable && !event.readable && entry.writer.is_none();
        if wakes_for_nothing && entry.registered.write {
            // A datagram that has left the house is told of each time.
            entry.registered.write = false;
            let _closed_meanwhile = register(&self.epoll, Self::descriptor(event.token), entry);
        }
    }

    /// Nobody hears of a side of a descriptor any more; returns who did. A descriptor that the program has closed
    /// meanwhile is no error. What is watched by edge stays registered.
    pub fn clear(&mut self, descriptor: RawFd, side: Side) -> Option<W> {
        let entry = self.entries.get_mut(usize::try_from(descriptor).ok()?)?;
        let previous = entry.side(side).take()?;
        if entry.edge.is_none() {
            let _closed_meanwhile = register(&self.epoll, descriptor, entry);
        }
        self.watched_count -= usize::from(entry.is_idle());
        Some(previous)
    }

    /// Who hears of a side of a descriptor, if `token` is of its present owner.
    pub fn watcher(&self, token: u64, side: Side) -> Option<&W> {
        let (index, generation) = ((token & 0xffff_ffff) as usize, (token >> 32) as u32);
        let entry = self.entries.get(index)?;
        if entry.generation != generation {
            return None;
        }
        entry.watcher(side)
    }

    /// The descriptor of a token.
    #[allow(clippy::cast_possible_wrap, reason = "the lower half of a token is a descriptor, which is not negative")]
    pub fn descriptor(token: u64) -> RawFd {
        (token & 0xffff_ffff) as RawFd
    }

    /// Who hears of a side of a descriptor now.
    pub fn present(&self, descriptor: RawFd, side: Side) -> Option<&W> {
        self.entries.get(usize::try_from(descriptor).ok()?)?.watcher(side)
    }

    /// How many descriptors are watched.
    pub fn len(&self) -> usize {
        self.watched_count
    }

    /// Whether no descriptor is watched.
    pub fn is_empty(&self) -> bool {
        self.watched_count == 0
    }

    /// All who hear of something.
    pub fn watchers(&self) -> impl Iterator<Item = &W> {
        self.entries.iter().flat_map(|entry| entry.reader.iter().chain(&entry.writer))
    }

    /// Makes the kernel's set anew, and watches in it what was watched so far: in the child of a fork, where the set is the
    /// parent's, too.
    ///
    /// # Errors
    /// No descriptors left; then the set is the parent's as before.
    pub fn renew(&mut self) -> io::Result<()> {
        self.epoll.renew()?;
        for (descriptor, entry) in (0..).zip(&mut self.entries) {
            entry.registered = Interest::NONE;
            let is_idle = entry.is_idle();
            entry.edge = entry.edge.filter(|_| !is_idle).map(|_| Readiness::default());
            if !is_idle {
                let _closed_meanwhile = register(&self.epoll, descriptor, entry);
            }
        }
        Ok(())
    }

    /// Takes out all who hear of something, and forgets the descriptors.
    pub fn take_all(&mut self) -> Vec<W> {
        self.watched_count = 0;
        let entries = std::mem::take(&mut self.entries);
        entries.into_iter().flat_map(|entry| entry.reader.into_iter().chain(entry.writer)).collect()
    }
}

fn entry_of<'a, W>(epoll: &Epoll, entries: &'a mut Vec<Entry<W>>, descriptor: RawFd) -> io::Result<&'a mut Entry<W>> {
    let unknown = || io::Error::from_raw_os_error(9);
    let index = usize::try_from(descriptor).map_err(|_negative| unknown())?;
    if index >= entries.len() {
        // A number that is nobody's may be any, and must not cost memory. The kernel knows, whatever it is asked.
        match epoll.modify(descriptor, 0, Interest::NONE) {
            Err(error) if error.raw_os_error() == unknown().raw_os_error() => return Err(error),
            _ => entries.resize_with((index + 1).next_power_of_two(), Entry::new),
        }
    }
    entries.get_mut(index).ok_or_else(unknown)
}

/// Asks the kernel for what is wanted of a descriptor now.
fn register<W>(epoll: &Epoll, descriptor: RawFd, entry: &mut Entry<W>) -> io::Result<()> {
    let mut wanted = entry.wanted();
    wanted.is_edge = entry.edge.is_some();
    if wanted.is_edge {
        wanted.read |= entry.registered.read;
        wanted.write |= entry.registered.write;
    }
    if !wanted.read && !wanted.write {
        entry.edge = None;
        entry.registered = Interest::NONE;
        entry.generation = entry.generation.wrapping_add(1);
        return epoll.remove(descriptor);
    }
    let token = u64::from(entry.generation) << 32 | u64::from(descriptor.unsigned_abs());
    // The kernel forgets a descriptor when its file is closed, without a word to us; and it still knows one whose number
    // was taken over by a duplicate.
    if entry.registered == Interest::NONE {
        match epoll.add(descriptor, token, wanted) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => epoll.modify(descriptor, token, wanted)?,
            result => result?,
        }
    } else {
        match epoll.modify(descriptor, token, wanted) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => epoll.add(descriptor, token, wanted)?,
            result => result?,
        }
    }
    entry.registered = wanted;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use threefold_sys::epoll::Events;

    use super::*;

    fn heard(watch: &Watch<&'static str>, epoll: &Epoll) -> Vec<&'static str> {
        let mut events = Events::default();
        epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        let sides = |token, readable, writable| {
            let reader = if readable { watch.watcher(token, Side::Read) } else { None };
            let writer = if writable { watch.watcher(token, Side::Write) } else { None };
            reader.into_iter().chain(writer).copied()
        };
        events.iter().flat_map(|event| sides(event.token, event.readable, event.writable)).collect()
    }

    fn watch() -> (Watch<&'static str>, Epoll) {
        let epoll = Epoll::create().unwrap();
        (Watch::new(epoll.clone()), epoll)
    }

    #[test]
    fn both_sides_of_a_descriptor_are_heard_of_by_their_own() {
        let (mut watch, epoll) = watch();
        let (near, far) = UnixStream::pair().unwrap();
        assert_eq!(watch.set(near.as_raw_fd(), Side::Read, "reader").unwrap(), None);
        assert_eq!(heard(&watch, &epoll), [""; 0]);
        assert_eq!(watch.set(near.as_raw_fd(), Side::Write, "writer").unwrap(), None);
        assert_eq!(heard(&watch, &epoll), ["writer"]);
        std::io::Write::write_all(&mut &far, b"x").unwrap();
        assert_eq!(heard(&watch, &epoll), ["reader", "writer"]);
        assert_eq!(watch.set(near.as_raw_fd(), Side::Read, "second").unwrap(), Some("reader"));
        assert_eq!(watch.clear(near.as_raw_fd(), Side::Write), Some("writer"));
        assert_eq!(heard(&watch, &epoll), ["second"]);
        assert_eq!(watch.clear(near.as_raw_fd(), Side::Read), Some("second"));
        assert_eq!(watch.clear(near.as_raw_fd(), Side::Read), None);
        assert!(watch.is_empty() && heard(&watch, &epoll).is_empty());
    }

    #[test]
    fn news_of_an_earlier_owner_reaches_nobody() {
        let (mut watch, epoll) = watch();
        let (near, far) = UnixStream::pair().unwrap();
        std::io::Write::write_all(&mut &far, b"x").unwrap();
        watch.set(near.as_raw_fd(), Side::Read, "first").unwrap();
        let mut events = Events::default();
        epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        let token = events.iter().next().unwrap().token;
        watch.clear(near.as_raw_fd(), Side::Read);
        watch.set(near.as_raw_fd(), Side::Read, "second").unwrap();
        assert_eq!(watch.watcher(token, Side::Read), None);
        assert_eq!(heard(&watch, &epoll), ["second"]);
    }

    #[test]
    fn a_descriptor_that_was_closed_and_opened_anew_is_watched_again() {
        let (mut watch, epoll) = watch();
        let (near, _far) = UnixStream::pair().unwrap();
        let number = near.as_raw_fd();
        watch.set(number, Side::Read, "first").unwrap();
        drop(near);
        let (left, right) = UnixStream::pair().unwrap();
        let (reused, other) = if left.as_raw_fd() == number { (left, right) } else { (right, left) };
        if reused.as_raw_fd() != number {
            return; // Another test took the number.
        }
        std::io::Write::write_all(&mut &other, b"x").unwrap();
        assert_eq!(watch.set(number, Side::Write, "writer").unwrap(), None);
        assert_eq!(watch.set(number, Side::Read, "second").unwrap(), Some("first"));
        assert_eq!(heard(&watch, &epoll), ["second", "writer"]);
    }

    #[test]
    fn what_cannot_be_watched_is_an_error_and_changes_nothing() {
        let (mut watch, _epoll) = watch();
        let file = std::fs::File::open("/proc/self/status").unwrap();
        let file_error = watch.set(file.as_raw_fd(), Side::Read, "reader");
        assert!(file_error.is_ok() || watch.present(file.as_raw_fd(), Side::Read).is_none());
        assert!(watch.set(-1, Side::Read, "reader").is_err());
        assert!(watch.set(9_999, Side::Read, "reader").is_err());
        assert!(watch.present(9_999, Side::Read).is_none());
    }

    fn take(epoll: &Epoll, watch: &mut Watch<&'static str>) -> Vec<Event> {
        let mut events = Events::default();
        epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        let events: Vec<_> = events.iter().collect();
        for event in &events {
            watch.note(event);
        }
        events
    }

    #[test]
    fn what_is_watched_by_edge_is_told_of_once_and_remembered() {
        let (mut watch, epoll) = watch();
        let (near, far) = UnixStream::pair().unwrap();
        let number = near.as_raw_fd();
        assert!(watch.may(number, Side::Read));
        watch.set_edge(number, Side::Read, "reader", false).unwrap();
        assert!(!watch.may(number, Side::Read) && watch.may(number, Side::Write));
        std::io::Write::write_all(&mut &far, b"x").unwrap();
        let events = take(&epoll, &mut watch);
        assert_eq!(watch.watcher(events[0].token, Side::Read), Some(&"reader"));
        assert_eq!(watch.clear(number, Side::Read), Some("reader"));
        assert!(watch.is_empty() && watch.may(number, Side::Read));
        assert!(take(&epoll, &mut watch).is_empty());
        watch.note_exhausted(number, Side::Read);
        watch.set_edge(number, Side::Read, "second", true).unwrap();
        assert!(!watch.may(number, Side::Read));
        std::io::Write::write_all(&mut &far, b"y").unwrap();
        assert_eq!(take(&epoll, &mut watch).len(), 1);
        assert!(watch.may(number, Side::Read));
    }

    #[test]
    fn after_the_end_an_attempt_is_always_worth_it() {
        let (mut watch, epoll) = watch();
        let (near, far) = UnixStream::pair().unwrap();
        watch.set_edge(near.as_raw_fd(), Side::Read, "reader", false).unwrap();
        drop(far);
        assert!(take(&epoll, &mut watch)[0].is_odd);
        watch.note_exhausted(near.as_raw_fd(), Side::Read);
        assert!(watch.may(near.as_raw_fd(), Side::Read));
    }

    #[test]
    fn a_new_file_under_a_number_that_is_watched_by_edge_is_registered() {
        let (mut watch, epoll) = watch();
        let (near, far) = UnixStream::pair().unwrap();
        let number = near.as_raw_fd();
        watch.set_edge(number, Side::Read, "first", false).unwrap();
        std::io::Write::write_all(&mut &far, b"x").unwrap();
        let stale = take(&epoll, &mut watch)[0].token;
        watch.clear(number, Side::Read);
        // The file stays open under another number, so that the kernel goes on watching it.
        let elsewhere = near.try_clone().unwrap();
        drop(near);
        let (left, right) = UnixStream::pair().unwrap();
        let (reused, other) = if left.as_raw_fd() == number { (left, right) } else { (right, left) };
        if reused.as_raw_fd() != number {
            return; // Another test took the number.
        }
        watch.set_edge(number, Side::Read, "second", false).unwrap();
        assert!(!watch.may(number, Side::Read));
        std::io::Write::write_all(&mut &far, b"z").unwrap();
        for event in take(&epoll, &mut watch) {
            assert_eq!(watch.watcher(event.token, Side::Read), None);
        }
        assert!(!watch.may(number, Side::Read));
        std::io::Write::write_all(&mut &other, b"y").unwrap();
        let news = take(&epoll, &mut watch);
        assert!(news.iter().any(|event| watch.watcher(event.token, Side::Read) == Some(&"second")));
        assert_eq!(watch.watcher(stale, Side::Read), None);
        drop(elsewhere);
    }

    #[test]
    fn who_hears_by_level_takes_a_descriptor_over_and_gives_it_back() {
        let (mut watch, epoll) = watch();
        let (near, far) = UnixStream::pair().unwrap();
        let number = near.as_raw_fd();
        watch.set_edge(number, Side::Read, "edge", false).unwrap();
        watch.set(number, Side::Write, "level").unwrap();
        assert!(!watch.is_edge(number) && watch.may(number, Side::Read));
        assert_eq!(heard(&watch, &epoll), ["level"]);
        assert_eq!(heard(&watch, &epoll), ["level"]);
        std::io::Write::write_all(&mut &far, b"x").unwrap();
        assert_eq!(heard(&watch, &epoll), ["edge", "level"]);
        watch.clear(number, Side::Write);
        watch.clear(number, Side::Read);
        watch.set_edge(number, Side::Read, "again", true).unwrap();
        assert_eq!(take(&epoll, &mut watch).len(), 1);
        assert!(watch.is_edge(number) && watch.may(number, Side::Read));
    }
}
