//! Items in output files: each once, whatever happens to the file and to the process.

use std::path::Path;

use threefold_crawl::Visit;
use threefold_crawl::engine::{FrontierPlace, OutputFile};
use threefold_crawl::frontier::Frontier;
use threefold_crawl::sink::OutputFormat;

use crate::support::*;

/// Visits the addresses `from..to`, with an item each, and closes the frontier.
fn visit(place: &FrontierPlace, output: &Path, from: u32, to: u32) {
    block(async {
        let mut frontier = open_at(place, Some(output)).await.unwrap();
        frontier.add((from..to).map(|number| link(&format!("http://a/{number}"), 0)).collect()).await.unwrap();
        let taken = take(&mut frontier, 1000).await;
        let visits = taken.iter().map(|entry| {
            let json = format!("{{\"url\":\"{}\",\"depth\":{}}}", entry.url, entry.depth);
            Visit { items: vec![item(&json)], archived: format!("[{}]", entry.url).into_bytes(), ..done(entry.id) }
        });
        frontier.record(visits.collect()).await.unwrap();
        frontier.flush().await.unwrap();
    });
}

fn text(path: &Path) -> String {
    String::from_utf8(std::fs::read(path).unwrap()).unwrap()
}

fn lines(from: u32, to: u32) -> String {
    let lines: Vec<String> =
        (from..to).map(|number| format!("{{\"url\":\"http://a/{number}\",\"depth\":0}}\n")).collect();
    lines.concat()
}

fn append(path: &Path, tail: &str) {
    std::fs::write(path, text(path) + tail).unwrap();
}

#[test]
fn a_crawl_in_memory_writes_its_items_to_a_new_file() {
    let folder = Folder::new();
    let output = folder.path("pages.jsonl");
    std::fs::write(&output, "what was there before").unwrap();
    visit(&FrontierPlace::Memory, &output, 0, 3);
    assert_eq!(text(&output), lines(0, 3));
}

#[test]
fn what_was_written_and_not_committed_is_cut_off() {
    let folder = Folder::new();
    let (state, output) = (folder.path("state"), folder.path("pages.jsonl"));
    visit(&in_folder(&state, false), &output, 0, 3);
    append(&output, "{\"url\":\"http://a/3\",\"de");
    visit(&in_folder(&state, true), &output, 3, 6);
    assert_eq!(text(&output), lines(0, 6));
}

#[test]
fn a_file_that_is_gone_or_new_gets_all_items() {
    let folder = Folder::new();
    let (state, output) = (folder.path("state"), folder.path("pages.jsonl"));
    visit(&in_folder(&state, false), &output, 0, 3);
    std::fs::remove_file(&output).unwrap();
    visit(&in_folder(&state, true), &output, 3, 6);
    assert_eq!(text(&output), lines(0, 6));
    let other = folder.path("other.jsonl");
    visit(&in_folder(&state, true), &other, 6, 8);
    assert_eq!(text(&other), lines(0, 8));
    visit(&in_folder(&state, true), &output, 8, 9);
    assert_eq!(text(&other), lines(0, 8));
}

#[test]
fn a_csv_file_keeps_its_header_over_a_crash() {
    let folder = Folder::new();
    let (state, output) = (folder.path("state"), folder.path("pages.csv"));
    visit(&in_folder(&state, false), &output, 0, 2);
    append(&output, "http://a/2,0");
    visit(&in_folder(&state, true), &output, 2, 3);
    assert_eq!(text(&output), "url,depth,more\r\nhttp://a/0,0,\r\nhttp://a/1,0,\r\nhttp://a/2,0,\r\n");
}

#[test]
fn a_table_loses_the_rows_that_were_not_committed() {
    let folder = Folder::new();
    let (state, output) = (folder.path("state"), folder.path("pages.sqlite"));
    visit(&in_folder(&state, false), &output, 0, 2);
    let table = rusqlite::Connection::open(&output).unwrap();
    table.execute("INSERT INTO items (item, url) VALUES (3, 'lost')", []).unwrap();
    visit(&in_folder(&state, true), &output, 2, 4);
    let read = "SELECT group_concat(item || ' ' || url || ' ' || depth, ',') FROM items";
    let rows: String = table.query_row(read, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, "1 http://a/0 0,2 http://a/1 0,3 http://a/2 0,4 http://a/3 0");
}

#[test]
fn an_archive_is_cut_back_and_never_begun_anew_silently() {
    let folder = Folder::new();
    let (state, output) = (folder.path("state"), folder.path("pages.warc"));
    visit(&in_folder(&state, false), &output, 0, 2);
    append(&output, "[half");
    visit(&in_folder(&state, true), &output, 2, 3);
    let archive = text(&output);
    assert!(archive.starts_with("WARC/1.1\r\nWARC-Type: warcinfo\r\n"), "{archive}");
    assert!(archive.ends_with("\r\n\r\n[http://a/0][http://a/1][http://a/2]"), "{archive}");
    std::fs::write(&output, "").unwrap();
    let sentence = block(async { refusal(open_at(&in_folder(&state, true), Some(&output)).await) });
    assert!(sentence.contains("is shorter than the crawl left it"), "{sentence}");
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let folder = Folder::new();
    let output = folder.path("nowhere").join("pages.jsonl");
    let sentence = block(async { refusal(open_at(&FrontierPlace::Memory, Some(&output)).await) });
    assert!(sentence.contains("nowhere/pages.jsonl can't be written: No such file"), "{sentence}");
    let unknown = OutputFormat::of(&OutputFile { path: "pages.txt".into() }).unwrap_err();
    assert!(unknown.to_string().contains("pages.txt has none of the endings"), "{unknown}");
    assert_eq!(OutputFormat::of(&OutputFile { path: "A.WARC.GZ".into() }).unwrap(), OutputFormat::Warc { gzip: true });
}

#[test]
fn a_full_output_ends_the_crawl_with_a_sentence() {
    let output = Path::new("/dev/full");
    if !output.exists() {
        return;
    }
    let folder = Folder::new();
    let full = folder.path("full.jsonl");
    std::os::unix::fs::symlink(output, &full).unwrap();
    block(async {
        let mut frontier = open_at(&in_folder(&folder.path("state"), false), Some(&full)).await.unwrap();
        frontier.add(vec![link("http://a/", 0)]).await.unwrap();
        let taken = take(&mut frontier, 1).await;
        frontier.record(vec![Visit { items: vec![item("{}")], ..done(taken[0].id) }]).await.unwrap();
        let sentence = frontier.flush().await.unwrap_err().to_string();
        assert!(sentence.contains("full.jsonl can't be written: No space left on device"), "{sentence}");
    });
}
