//! A crawl that is killed at any moment, again and again, visits what one that isn't visits, and exports each item once.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use threefold_crawl::engine::OutputFile;
use threefold_crawl::frontier::{Frontier, FrontierSettings, open};
use threefold_crawl::{EntryState, Visit};

use crate::support::*;

const PAGES: u64 = 3000;
const KILLS: usize = 20;
/// What the child is told its folder and output with.
const STATE: &str = "THREEFOLD_TEST_STATE";
const OUTPUT: &str = "THREEFOLD_TEST_OUTPUT";

/// The child: page n leads to pages 2n and 2n + 1, and makes an item; every third is answered by a program, later.
#[test]
#[ignore = "it is run by the test that kills it"]
fn a_crawl_to_be_killed() {
    let (Some(state), Some(output)) = (std::env::var_os(STATE), std::env::var_os(OUTPUT)) else { return };
    let (state, output) = (Path::new(&state), Path::new(&output));
    block(async {
        let place = in_folder(state, state.join("crawl.sqlite").exists());
        let settings =
            FrontierSettings { output: Some(OutputFile { path: output.into() }), ..FrontierSettings::default() };
        let mut frontier = open(&place, &identity(), settings).await.unwrap();
        frontier.add(vec![link("http://a/1", 0)]).await.unwrap();
        loop {
            // A byte allows one more batch; without a parent that gives them there is no end to what is allowed.
            let _allowed = std::io::stdin().read(&mut [0]).unwrap();
            std::io::stdout().write_all(b"batch\n").unwrap();
            let entries = take(&mut frontier, 5).await;
            if entries.is_empty() {
                break;
            }
            let mut answers = Vec::new();
            let mut visits = Vec::new();
            for entry in entries {
                let number: u64 = entry.url.rsplit('/').next().unwrap().parse().unwrap();
                let leads_to =
                    [2 * number, 2 * number + 1, number / 2].into_iter().filter(|page| (1..=PAGES).contains(page));
                let links = leads_to.map(|page| link(&format!("http://a/{page}"), entry.depth + 1)).collect();
                let mut visit = Visit { links, items: vec![item(&format!("{{\"page\":{number}}}"))], ..done(entry.id) };
                visit.archived = format!("[{number}]").into_bytes();
                if number % 3 == 0 {
                    answers.push(Visit { items: std::mem::take(&mut visit.items), ..done(entry.id) });
                    visit.state = EntryState::Delivered(200);
                    answers.last_mut().unwrap().archived = std::mem::take(&mut visit.archived);
                }
                visits.push(visit);
            }
            frontier.record(visits).await.unwrap();
            if answers.len() > 1 {
                frontier.flush().await.unwrap();
            }
            frontier.record(answers).await.unwrap();
        }
        frontier.flush().await.unwrap();
    });
}

fn start(state: &Path, output: &Path, allowance: Stdio) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["kill::a_crawl_to_be_killed", "--exact", "--ignored", "--nocapture"])
        .env(STATE, state)
        .env(OUTPUT, output)
        .stdin(allowance)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills a crawl at some moment of a few batches, while it works or waits to be allowed more; then has it end by itself.
fn crawl_and_kill(state: &Path, output: &Path, mut random: u64) {
    for _ in 0..KILLS {
        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        let batches = usize::try_from(random >> 33).unwrap() % 25;
        let mut child = start(state, output, Stdio::piped());
        let mut allowance = child.stdin.take().unwrap();
        allowance.write_all(&vec![1; batches + 3]).unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let seen = lines.by_ref().filter(|line| line.contains("batch")).take(batches + 1).count();
        assert_eq!(seen, batches + 1, "the crawl is over before it is killed");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(start(state, output, Stdio::null()).wait_with_output().unwrap().status.success());
}

#[test]
fn killed_twenty_times_it_visits_all_and_exports_each_item_once() {
    let folder = Folder::new();
    let (state, output) = (folder.path("state"), folder.path("pages.jsonl"));
    crawl_and_kill(&state, &output, 1);
    let text = std::fs::read_to_string(&output).unwrap();
    let distinct: BTreeSet<&str> = text.lines().collect();
    assert_eq!((text.lines().count() as u64, distinct.len() as u64), (PAGES, PAGES));
    let database = rusqlite::Connection::open(state.join("crawl.sqlite")).unwrap();
    let count = |query: &str| database.query_row(query, [], |row| row.get::<_, u64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM entries WHERE state = 'done'"), PAGES);
    assert_eq!(count("SELECT count(DISTINCT fingerprint) FROM entries"), PAGES);
    assert_eq!(count("SELECT count(DISTINCT json) FROM items"), PAGES);
    assert_eq!(count("SELECT bytes FROM exports"), text.len() as u64);
}
