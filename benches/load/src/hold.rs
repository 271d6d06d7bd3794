//! Idle connections: each has had one message answered, and has another answered at the end.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::channel::connect;
use crate::pattern::Pattern;

/// How many are asked together: few enough that their messages have room in the sockets, and one wait serves many.
const TOGETHER: usize = 100;

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
    while streams.len() < connection_count {
        let first = streams.len();
        let count = TOGETHER.min(connection_count - first);
        for _ in 0..count {
            streams.push(connect(port)?);
        }
        ask(&mut streams[first..], |index| pattern.message(first + index, 0))?;
    }
    say("HOLDING")?;
    io::stdin().read_to_end(&mut Vec::new())?;
    for (group, streams) in streams.chunks_mut(TOGETHER).enumerate() {
        ask(streams, |index| pattern.message(group * TOGETHER + index, 1))?;
    }
    say("ANSWERED")
}

/// Sends each a message and waits until all have come back.
fn ask<'a>(streams: &mut [TcpStream], message: impl Fn(usize) -> &'a [u8]) -> io::Result<()> {
    for (index, stream) in streams.iter_mut().enumerate() {
        stream.write_all(message(index))?;
    }
    for (index, stream) in streams.iter_mut().enumerate() {
        let mut answer = vec![0; message(index).len()];
        stream.read_exact(&mut answer)?;
        if answer != message(index) {
            return Err(io::Error::other("other bytes came back than were sent"));
        }
    }
    Ok(())
}

fn say(word: &str) -> io::Result<()> {
    let mut output = io::stdout();
    writeln!(output, "{word}")?;
    output.flush()
}
