//! Idle connections: each has had one message answered, and has another answered at the end.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::channel::connect;
use crate::pattern::Pattern;

/// Opens connections, says so, and holds them until standard input ends.
///
/// # Errors
///
/// A connection could not be opened, or answered with other bytes.
pub(crate) fn run(port: u16, connection_count: usize, message_bytes: usize) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit })?;
    let pattern = Pattern::new(message_bytes);
    let mut streams = Vec::with_capacity(connection_count);
    for connection in 0..connection_count {
        let mut stream = connect(port)?;
        ask(&mut stream, pattern.message(connection, 0))?;
        streams.push(stream);
    }
    say("HOLDING")?;
    io::stdin().read_to_end(&mut Vec::new())?;
    for (connection, stream) in streams.iter_mut().enumerate() {
        ask(stream, pattern.message(connection, 1))?;
    }
    say("ANSWERED")
}

/// Sends a message and waits until it has come back.
fn ask(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let mut answer = vec![0; message.len()];
    stream.write_all(message)?;
    stream.read_exact(&mut answer)?;
    if answer == message { Ok(()) } else { Err(io::Error::other("other bytes came back than were sent")) }
}

fn say(word: &str) -> io::Result<()> {
    let mut output = io::stdout();
    writeln!(output, "{word}")?;
    output.flush()
}
