//! The plainest echo servers on epoll: what no event loop on one thread is likely to surpass.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::channel::now;

const EVENT_COUNT: usize = 256;
const BUFFER_BYTES: usize = 256 * 1024;
/// The listener's place among the events; connections have those from 0 on.
const LISTENER: u64 = u64::MAX;

/// Serves TCP until it is killed; prints the port first.
pub(crate) fn tcp() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    say_port(listener.local_addr()?.port())?;
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut events = Vec::with_capacity(EVENT_COUNT);
    loop {
        wait(&poll, &mut events)?;
        for event in &events {
            let place = event.data.u64();
            if place == LISTENER {
                let stream = listener.accept()?.0;
                stream.set_nodelay(true)?;
                epoll::add(&poll, &stream, EventData::new_u64(streams.len() as u64), EventFlags::IN)?;
                streams.push(Some(stream));
            } else if let Some(held) = usize::try_from(place).ok().and_then(|index| streams.get_mut(index)) {
                let is_over = held.as_mut().is_none_or(|stream| back(stream, &mut buffer).is_err());
                if is_over {
                    // Closing takes it out of the poll.
                    *held = None;
                }
            }
        }
    }
}

/// Reads once and writes it back, waiting if the other side is slow to read.
fn back(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    match stream.read(buffer)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        read => stream.write_all(&buffer[..read]),
    }
}

/// Serves UDP until it is killed; prints the port first.
pub(crate) fn udp() -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &socket, EventData::new_u64(0), EventFlags::IN)?;
    say_port(socket.local_addr()?.port())?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut events = Vec::with_capacity(EVENT_COUNT);
    loop {
        wait(&poll, &mut events)?;
        loop {
            match socket.recv_from(&mut buffer) {
                Ok((read, address)) => now(socket.send_to(&buffer[..read], address))?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // A client that has gone: the next one may be there.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
        }
    }
}

fn wait(poll: &impl AsFd, events: &mut Vec<Event>) -> io::Result<()> {
    events.clear();
    match epoll::wait(poll, rustix::buffer::spare_capacity(events), None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn say_port(port: u16) -> io::Result<()> {
    let mut output = io::stdout();
    writeln!(output, "READY {port}")?;
    output.flush()
}
