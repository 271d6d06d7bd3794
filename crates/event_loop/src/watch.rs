//! Who wants to hear of which descriptor, and what the kernel was asked to tell.

use std::io;
use std::os::fd::RawFd;

use threefold_sys::epoll::{Epoll, Interest};

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
}

impl<W> Entry<W> {
    const fn new() -> Self {
        Self { reader: None, writer: None, registered: Interest::NONE, generation: 0 }
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
        Interest { read: self.reader.is_some(), write: self.writer.is_some() }
    }
}

impl<W> Watch<W> {
    /// Watches through `epoll`.
    pub fn new(epoll: Epoll) -> Self {
        Self { epoll, entries: Vec::new(), watched_count: 0 }
    }

    /// Sets who hears of a side of a descriptor; returns who did so far.
    ///
    /// # Errors
    /// What the kernel says, such as that the descriptor is closed or a regular file; then nothing has changed.
    pub fn set(&mut self, descriptor: RawFd, side: Side, watcher: W) -> io::Result<Option<W>> {
        let index = usize::try_from(descriptor).map_err(|_negative| io::Error::from_raw_os_error(9))?;
        if index >= self.entries.len() {
            self.entries.resize_with(index + 1, Entry::new);
        }
        let Some(entry) = self.entries.get_mut(index) else { return Ok(None) };
        let previous = entry.side(side).replace(watcher);
        // The kernel is asked even if it should know: the program may have closed the file, and this be another one.
        let was_watched = entry.registered != Interest::NONE;
        if let Err(error) = register(&self.epoll, descriptor, entry) {
            *entry.side(side) = previous;
            return Err(error);
        }
        self.watched_count += usize::from(!was_watched);
        Ok(previous)
    }

    /// Nobody hears of a side of a descriptor any more; returns who did. A descriptor that the program has closed
    /// meanwhile is no error.
    pub fn clear(&mut self, descriptor: RawFd, side: Side) -> Option<W> {
        let entry = self.entries.get_mut(usize::try_from(descriptor).ok()?)?;
        let previous = entry.side(side).take()?;
        let _closed_meanwhile = register(&self.epoll, descriptor, entry);
        if entry.wanted() == Interest::NONE {
            self.watched_count -= 1;
        }
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

    /// Takes out all who hear of something, and forgets the descriptors.
    pub fn take_all(&mut self) -> Vec<W> {
        self.watched_count = 0;
        let entries = std::mem::take(&mut self.entries);
        entries.into_iter().flat_map(|entry| entry.reader.into_iter().chain(entry.writer)).collect()
    }
}

/// Asks the kernel for what is wanted of a descriptor now.
fn register<W>(epoll: &Epoll, descriptor: RawFd, entry: &mut Entry<W>) -> io::Result<()> {
    let wanted = entry.wanted();
    if wanted == Interest::NONE {
        entry.registered = wanted;
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
}
