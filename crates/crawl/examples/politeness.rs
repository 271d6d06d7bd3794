//! What a start and its end cost the scheduler: `politeness HOSTS STARTS`, for `perf stat`.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use threefold_crawl::politeness::{Next, Outcome, Politeness, PolitenessOptions, Ticket};

const WINDOW: usize = 64;

fn main() -> io::Result<()> {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let host_count = numbers.next().unwrap_or(1);
    let start_count = numbers.next().unwrap_or(1_000_000);
    let hosts: Vec<String> = (0..host_count).map(|number| format!("http://host{number}.example:80")).collect();
    let mut politeness =
        Politeness::new(PolitenessOptions { concurrency: WINDOW, per_host: WINDOW, ..PolitenessOptions::default() });
    let begin = Instant::now();
    let (mut pushed, mut started) = (0, 0);
    let mut in_flight: Vec<Ticket> = Vec::with_capacity(WINDOW);
    while started < start_count {
        while pushed < started + 10 * WINDOW.max(host_count) {
            politeness.push(&hosts[pushed % host_count], pushed);
            pushed += 1;
        }
        while let Next::Start(ticket, _) = politeness.next(begin) {
            in_flight.push(ticket);
            started += 1;
        }
        for ticket in in_flight.drain(..) {
            politeness.finished(ticket, Outcome::of_status(200, Duration::from_millis(1), None), begin);
        }
    }
    let each = begin.elapsed().as_nanos() / u128::try_from(started).unwrap_or(1);
    writeln!(io::stdout(), "{started} starts at {host_count} hosts: {each} ns for each push, start and end")
}
