//! One connection's turns: send a message, receive it back, compare every byte, send the next.

use std::io;
use std::time::{Duration, Instant};

use crate::channel::Channel;
use crate::pattern::Pattern;

pub(crate) struct Exchange {
    channel: Channel,
    connection: usize,
    /// The message that is on its way.
    number: usize,
    sent_bytes: usize,
    received_bytes: usize,
    began: Instant,
    /// Whether nothing is on its way any more.
    is_done: bool,
}

impl Exchange {
    pub(crate) fn new(channel: Channel, connection: usize) -> Self {
        Self { channel, connection, number: 0, sent_bytes: 0, received_bytes: 0, began: Instant::now(), is_done: false }
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Whether all that was sent has come back, and nothing follows.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Begins a message.
    pub(crate) fn begin(&mut self, pattern: &Pattern) -> io::Result<()> {
        self.began = Instant::now();
        self.send(pattern)
    }

    /// Does what can be done without waiting.
    ///
    /// Returns how long the message took that has come back whole, if one has. It `is_last` if none shall follow.
    pub(crate) fn advance(
        &mut self,
        pattern: &Pattern,
        buffer: &mut [u8],
        is_last: bool,
    ) -> io::Result<Option<Duration>> {
        if self.is_done {
            return Ok(None);
        }
        self.send(pattern)?;
        let message = pattern.message(self.connection, self.number);
        let into = &mut buffer[..message.len() - self.received_bytes];
        let received = self.channel.receive(into)?;
        if into[..received] != message[self.received_bytes..][..received] {
            return Err(io::Error::other(format!(
                "connection {}, message {}: other bytes came back than were sent, within {received} from {}",
                self.connection, self.number, self.received_bytes
            )));
        }
        self.received_bytes += received;
        if self.received_bytes < message.len() {
            return Ok(None);
        }
        let took = self.began.elapsed();
        (self.number, self.sent_bytes, self.received_bytes) = (self.number + 1, 0, 0);
        if is_last {
            self.is_done = true;
        } else {
            // Nothing more can have come: its answer will be a new event.
            self.begin(pattern)?;
        }
        Ok(Some(took))
    }

    fn send(&mut self, pattern: &Pattern) -> io::Result<()> {
        let message = pattern.message(self.connection, self.number);
        self.channel.flush()?;
        while self.sent_bytes < message.len() {
            match self.channel.send(&message[self.sent_bytes..])? {
                0 => break,
                sent => self.sent_bytes += sent,
            }
        }
        Ok(())
    }
}
