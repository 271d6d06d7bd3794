//! Answers for robots.txt files, for comparison with other readers of them.
//!
//! Each line of the standard input is a JSON object with `robots` (the file), `agents` (product tokens) and `urls`. Each line of the
//! output answers one of them, with a list that has for each agent: `verdicts` (for each address whether it is allowed, and the number of
//! the line that says so), `delay` in seconds, `sitemaps`.

use std::io::{self, BufRead, BufWriter, Write};

use serde::{Deserialize, Serialize};
use threefold_crawl::robots::{Reason, Rules};
use url::{Position, Url};

#[derive(Deserialize)]
struct Question {
    robots: String,
    agents: Vec<String>,
    urls: Vec<String>,
}

#[derive(Serialize)]
struct Answers {
    verdicts: Vec<(bool, Option<u32>)>,
    delay: Option<f64>,
    sitemaps: Vec<String>,
}

fn main() -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let question: Question = serde_json::from_str(&line?)?;
        let all: Vec<Answers> = question.agents.iter().map(|agent| answers(&question, agent)).collect();
        serde_json::to_writer(&mut output, &all)?;
        output.write_all(b"\n")?;
    }
    output.flush()
}

fn answers(question: &Question, agent: &str) -> Answers {
    let rules = Rules::parse(question.robots.as_bytes(), agent);
    let verdict = |url: &String| {
        let parsed = Url::parse(url);
        let path = parsed.as_ref().map_or(url.as_str(), |parsed| &parsed[Position::BeforePath..Position::AfterQuery]);
        let verdict = rules.verdict(path);
        let line = if let Reason::Rule { line, .. } = verdict.reason { Some(line) } else { None };
        (verdict.allowed, line)
    };
    Answers {
        verdicts: question.urls.iter().map(verdict).collect(),
        delay: rules.delay().map(|delay| delay.asked.as_secs_f64()),
        sitemaps: rules.sitemaps().map(str::to_owned).collect(),
    }
}
