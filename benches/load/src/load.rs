//! Drives all exchanges from one thread, and takes the times between warm-up and end.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::arguments::{End, Load, Transport};
use crate::channel::Channel;
use crate::exchange::Exchange;
use crate::pattern::Pattern;
use crate::processor_time::ProcessorTime;
use crate::report::Report;
use crate::tls::{self, TlsChannel};

const EVENT_COUNT: usize = 256;
/// How long a server may say nothing at all.
const SILENCE_LIMIT: Duration = Duration::from_secs(5);

/// Loads a server and returns the figures, a line each.
///
/// # Errors
///
/// The server closed a connection, answered with other bytes, or not at all to one of the messages.
pub(crate) fn run(load: &Load) -> io::Result<String> {
    let mut driver = Driver::new(load)?;
    let begin = Instant::now();
    driver.until(|_| begin.elapsed() >= load.warm_up)?;
    driver.is_counting = true;
    let counted = Instant::now();
    let times = ProcessorTime::now(load.server)?;
    match load.end {
        End::After(duration) => driver.until(|_| counted.elapsed() >= duration)?,
        End::Messages(count) => driver.until(|driver| driver.message_count >= count)?,
    }
    let elapsed = counted.elapsed();
    let spent = ProcessorTime::now(load.server)?.since(&times);
    // What is still on its way must come, too, or it was lost.
    (driver.is_counting, driver.is_ending) = (false, true);
    driver.until(|driver| driver.exchanges.iter().all(Exchange::is_done))?;
    Ok(driver.report.text(driver.message_count, elapsed, &spent))
}

/// All connections, and what has come of them.
struct Driver {
    exchanges: Vec<Exchange>,
    poll: OwnedFd,
    events: Vec<Event>,
    pattern: Pattern,
    buffer: Vec<u8>,
    pause: Duration,
    report: Report,
    message_count: u64,
    is_counting: bool,
    /// Whether no message follows the one that has come back.
    is_ending: bool,
}

impl Driver {
    /// Connects, and sends the first message of each connection.
    fn new(load: &Load) -> io::Result<Self> {
        let pattern = Pattern::new(load.message_bytes);
        let mut exchanges = connect(load)?;
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        for (index, exchange) in exchanges.iter().enumerate() {
            // Each edge once: between two messages there is one wait, one read and one write.
            let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&poll, exchange.channel(), EventData::new_u64(index as u64), interest)?;
        }
        for exchange in &mut exchanges {
            exchange.begin(&pattern)?;
        }
        Ok(Self {
            exchanges,
            poll,
            events: Vec::with_capacity(EVENT_COUNT),
            buffer: vec![0; pattern.message_bytes()],
            pattern,
            pause: load.pause,
            report: Report::new(),
            message_count: 0,
            is_counting: false,
            is_ending: false,
        })
    }

    /// Exchanges messages until something is so.
    fn until(&mut self, is_over: impl Fn(&Self) -> bool) -> io::Result<()> {
        let mut answered = Instant::now();
        while !is_over(self) {
            wait(&self.poll, &mut self.events)?;
            let before = self.message_count;
            for event in &self.events {
                let index = usize::try_from(event.data.u64()).unwrap_or_default();
                let took = self.exchanges[index].advance(&self.pattern, &mut self.buffer, self.is_ending)?;
                if let Some(took) = took {
                    self.message_count += 1;
                    if self.is_counting {
                        self.report.add(took);
                    }
                }
            }
            if self.message_count > before {
                answered = Instant::now();
                pause(self.pause);
            } else if answered.elapsed() > SILENCE_LIMIT {
                return Err(self.silence());
            }
        }
        Ok(())
    }

    fn silence(&self) -> io::Error {
        let waiting = self.exchanges.iter().filter(|exchange| !exchange.is_done()).count();
        io::Error::new(io::ErrorKind::TimedOut, format!("{waiting} connections had no answer within 5 s"))
    }
}

fn connect(load: &Load) -> io::Result<Vec<Exchange>> {
    let settings = match &load.transport {
        Transport::Tls(certificate) => Some(tls::settings(certificate)?),
        Transport::Tcp | Transport::Udp => None,
    };
    let connect_one = || match (&load.transport, &settings) {
        (Transport::Udp, _) => Channel::udp(load.port),
        (_, Some(settings)) => Ok(Channel::Tls(Box::new(TlsChannel::connect(load.port, settings)?))),
        (_, None) => Channel::tcp(load.port),
    };
    (0..load.connection_count).map(|index| Ok(Exchange::new(connect_one()?, index))).collect()
}

/// Leaves the server the time to become idle.
fn pause(duration: Duration) {
    if !duration.is_zero() {
        #[expect(clippy::disallowed_methods, reason = "nobody waits for this process, and no signal is handled")]
        std::thread::sleep(duration);
    }
}

/// Waits for events; for a moment only, so that the clock is looked at.
fn wait(poll: &impl AsFd, events: &mut Vec<Event>) -> io::Result<()> {
    let moment = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
    events.clear();
    match epoll::wait(poll, rustix::buffer::spare_capacity(events), Some(&moment)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
