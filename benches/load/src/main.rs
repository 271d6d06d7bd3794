//! Loads echo servers and takes the times (`exchange`), holds idle connections (`hold`), or is the plainest server (`echo`).

mod arguments;
mod channel;
mod echo;
mod exchange;
mod hold;
mod load;
mod pattern;
mod processor_time;
mod report;
mod tls;

use std::io::{self, Write};
use std::process::ExitCode;

use arguments::Command;

fn main() -> ExitCode {
    let done = match arguments::read(std::env::args().skip(1)) {
        Ok(Command::Exchange(load)) => load::run(&load).and_then(|report| io::stdout().write_all(report.as_bytes())),
        Ok(Command::Hold { port, connection_count, message_bytes }) => hold::run(port, connection_count, message_bytes),
        Ok(Command::Echo { is_udp: false }) => echo::tcp(),
        Ok(Command::Echo { is_udp: true }) => echo::udp(),
        Err(reason) => Err(io::Error::new(io::ErrorKind::InvalidInput, reason)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Where standard error is closed nobody is left to tell.
            let _ = writeln!(io::stderr(), "{reason}");
            ExitCode::FAILURE
        }
    }
}
