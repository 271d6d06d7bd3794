//! What bytes go through, without waiting: a TCP connection, a connected UDP socket, a TLS connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use crate::tls::TlsChannel;

pub(crate) enum Channel {
    Tcp(TcpStream),
    Udp(UdpSocket),
    Tls(Box<TlsChannel>),
}

impl Channel {
    /// Connects and does not wait from then on.
    pub(crate) fn tcp(port: u16) -> io::Result<Self> {
        let stream = connect(port)?;
        stream.set_nonblocking(true)?;
        Ok(Self::Tcp(stream))
    }

    pub(crate) fn udp(port: u16) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_nonblocking(true)?;
        Ok(Self::Udp(socket))
    }

    /// Takes bytes to send: how many, 0 if none can be taken now.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => now(stream.write(bytes)),
            Self::Udp(socket) => now(socket.send(bytes)),
            Self::Tls(channel) => channel.send(bytes),
        }
    }

    /// Sends what was taken and is still here.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(_) | Self::Udp(_) => Ok(()),
            Self::Tls(channel) => channel.flush(),
        }
    }

    /// Receives what is there, up to the length of `into`.
    ///
    /// If that is less, nothing was left: the next byte to come is a new event.
    pub(crate) fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => match stream.read(into) {
                Ok(0) => Err(closed()),
                received => now(received),
            },
            Self::Udp(socket) => now(socket.recv(into)),
            Self::Tls(channel) => channel.receive(into),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Udp(socket) => socket.as_fd(),
            Self::Tls(channel) => channel.as_fd(),
        }
    }
}

/// Connects over loopback, without delay for small messages.
pub(crate) fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Returns a call's count, 0 if it would have had to wait.
pub(crate) fn now(done: io::Result<usize>) -> io::Result<usize> {
    match done {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

pub(crate) fn closed() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the server closed a connection")
}
