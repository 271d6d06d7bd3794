//! Crawls a site and prints what it cost:
//! `crawl URL [--concurrency 16] [--per-host N] [--threads 2] [--frontier memory|FOLDER|postgres://...] [--depth N] [--no-robots]`
//! prints `@@ pages seconds processor_seconds peak_KiB` and the report as JSON.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use threefold_crawl::engine::{Crawl, CrawlOptions, FrontierPlace};

fn main() -> ExitCode {
    let options = match options(env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let started = Instant::now();
    let crawl = match Crawl::start(options, None) {
        Ok(crawl) => crawl,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(4);
        }
    };
    let Some(report) = crawl.wait(None) else { return ExitCode::from(5) };
    let seconds = started.elapsed().as_secs_f64();
    println!("@@ {} {seconds:.3} {:.3} {}", report.progress.pages, processor_seconds(), peak_kib());
    match serde_json::to_string(&report) {
        Ok(json) => println!("{json}"),
        Err(error) => eprintln!("{error}"),
    }
    ExitCode::SUCCESS
}

fn options(mut words: impl Iterator<Item = String>) -> Result<CrawlOptions, String> {
    let mut options = CrawlOptions { concurrency: 16, per_host: 16, threads: 2, ..CrawlOptions::default() };
    while let Some(word) = words.next() {
        if !word.starts_with("--") {
            options.seeds.push(word);
            continue;
        }
        if word == "--no-robots" {
            options.robots = false;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<usize>().map_err(|error| format!("{word} {value}: {error}"));
        match word.as_str() {
            "--concurrency" => (options.concurrency, options.per_host) = (number()?, number()?),
            "--per-host" => options.per_host = number()?,
            "--threads" => options.threads = number()?,
            "--depth" => options.depth = u32::try_from(number()?).map_err(|error| error.to_string())?,
            "--pages" => options.pages = Some(number()? as u64),
            "--frontier" => options.frontier = place(&value),
            _ => return Err(format!("there is no {word}")),
        }
    }
    Ok(options)
}

fn place(text: &str) -> FrontierPlace {
    match text {
        "memory" => FrontierPlace::Memory,
        address if address.starts_with("postgres") => FrontierPlace::Postgres(address.to_owned()),
        folder => {
            let resume = std::path::Path::new(folder).exists();
            FrontierPlace::Folder { path: folder.into(), resume, durable: false }
        }
    }
}

/// User and system time of this process: fields 14 and 15 of its line in /proc, in hundredths of a second.
fn processor_seconds() -> f64 {
    let line = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = line.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|field| field.parse().ok()).unwrap_or(0)
}
