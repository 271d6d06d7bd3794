//! The command line: `exchange tcp|udp|tls PORT NAME=VALUE...`, `hold PORT COUNT BYTES`, `echo tcp|udp`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub(crate) enum Command {
    Exchange(Load),
    Hold { port: u16, connection_count: usize, message_bytes: usize },
    Echo { is_udp: bool },
}

/// What to load a server with, and for how long.
pub(crate) struct Load {
    pub(crate) transport: Transport,
    pub(crate) port: u16,
    pub(crate) connection_count: usize,
    pub(crate) message_bytes: usize,
    /// The time before anything is counted.
    pub(crate) warm_up: Duration,
    pub(crate) end: End,
    /// How long to wait after an answer before anything else is done.
    pub(crate) pause: Duration,
    /// The process whose processor time is counted.
    pub(crate) server: Option<u32>,
}

pub(crate) enum Transport {
    Tcp,
    Udp,
    /// With the file of the certificate that the server must show.
    Tls(PathBuf),
}

/// When it is over.
#[derive(Clone, Copy)]
pub(crate) enum End {
    After(Duration),
    /// After so many messages, warm-up included: for those who count something else than time.
    Messages(u64),
}

/// Reads the command line, without the program's name.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn read(words: impl Iterator<Item = String>) -> Result<Command, String> {
    let words: Vec<String> = words.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["exchange", transport, port, options @ ..] => exchange(transport, port, options).map(Command::Exchange),
        ["hold", port, count, bytes] => Ok(Command::Hold {
            port: number("PORT", port)?,
            connection_count: number("COUNT", count)?,
            message_bytes: number("BYTES", bytes)?,
        }),
        ["echo", "tcp"] => Ok(Command::Echo { is_udp: false }),
        ["echo", "udp"] => Ok(Command::Echo { is_udp: true }),
        _ => {
            Err("usage: exchange tcp|udp|tls PORT [connections=1] [bytes=1024] [warm_up_ms=200] [ms=600 | messages=N] \
                  [pause_us=0] [server=PID] [certificate=FILE] | hold PORT COUNT BYTES | echo tcp|udp"
                .to_owned())
        }
    }
}

fn exchange(transport: &str, port: &str, options: &[&str]) -> Result<Load, String> {
    let mut load = Load {
        transport: if transport == "udp" { Transport::Udp } else { Transport::Tcp },
        port: number("PORT", port)?,
        connection_count: 1,
        message_bytes: 1024,
        warm_up: Duration::from_millis(200),
        end: End::After(Duration::from_millis(600)),
        pause: Duration::ZERO,
        server: None,
    };
    let mut certificate = None;
    for option in options {
        let (name, value) = option.split_once('=').ok_or_else(|| format!("{option}: not NAME=VALUE"))?;
        match name {
            "connections" => load.connection_count = number(name, value)?,
            "bytes" => load.message_bytes = number(name, value)?,
            "warm_up_ms" => load.warm_up = Duration::from_millis(number(name, value)?),
            "ms" => load.end = End::After(Duration::from_millis(number(name, value)?)),
            "messages" => load.end = End::Messages(number(name, value)?),
            "pause_us" => load.pause = Duration::from_micros(number(name, value)?),
            "server" => load.server = Some(number(name, value)?),
            "certificate" => certificate = Some(PathBuf::from(value)),
            _ => return Err(format!("{name}: no such option")),
        }
    }
    if load.connection_count == 0 || load.message_bytes == 0 {
        return Err("there must be a connection and a byte".to_owned());
    }
    match (transport, certificate) {
        ("tls", Some(path)) => load.transport = Transport::Tls(path),
        ("tls", None) => return Err("tls needs certificate=FILE".to_owned()),
        ("tcp" | "udp", _) => {}
        _ => return Err(format!("{transport}: neither tcp, udp nor tls")),
    }
    Ok(load)
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name}: {value} is no number that fits"))
}
