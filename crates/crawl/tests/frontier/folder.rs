//! The frontier in a folder: what is there again after a crash, and what is refused.

use std::process::Command;
use std::time::{Duration, SystemTime};

use threefold_crawl::engine::{CrawlOptions, FrontierPlace};
use threefold_crawl::frontier::{Frontier, FrontierSettings, HostState, Identity, look_up, open};
use threefold_crawl::{EntryState, Refusal, Validators, Visit};

use crate::support::*;

#[test]
fn a_crawl_goes_on_where_it_was() {
    let folder = Folder::new();
    let state = folder.path("state");
    let now = SystemTime::now();
    let (first, key) = block(async {
        let mut frontier = open_at(&in_folder(&state, false), None).await.unwrap();
        assert!(!frontier.is_resumed());
        frontier.add((0..5).map(|number| link(&format!("http://a/{number}"), 0)).collect()).await.unwrap();
        let taken = take(&mut frontier, 4).await;
        let visits = vec![
            Visit { links: vec![link("http://b/", 1)], ..done(taken[0].id) },
            Visit::new(taken[1].id, EntryState::Delivered(200)),
            Visit::new(taken[2].id, EntryState::Retry(now + HOUR, "busy".into())),
        ];
        frontier.record(visits).await.unwrap();
        let host = HostState {
            host: "http://a".into(),
            next_allowed: Some(SystemTime::UNIX_EPOCH + HOUR),
            crawl_delay: Some(Duration::from_millis(1500)),
            robots: Some("rules".into()),
            traps: Some("counts".into()),
        };
        frontier.keep_hosts(vec![host.clone()]).await.unwrap();
        (host, frontier.hash_key())
    });
    block(async {
        let mut frontier = open_at(&in_folder(&state, true), None).await.unwrap();
        assert!(frontier.is_resumed());
        assert_eq!(frontier.hash_key(), key);
        assert_eq!(frontier.add(vec![link("http://a/0", 0), link("http://b/", 0)]).await.unwrap(), [false, false]);
        let taken = take_at(&mut frontier, 10, now).await;
        assert_eq!(urls(&taken), ["http://a/1", "http://a/3", "http://a/4", "http://b/"]);
        assert_eq!(frontier.new_hosts()[0], first);
        let retried = take_at(&mut frontier, 10, now + HOUR).await;
        assert_eq!((urls(&retried), retried[0].tries), (vec!["http://a/2"], 1));
        assert_eq!(frontier.counts().await.unwrap().done, 1);
    });
}

#[test]
fn revisiting_begins_again_only_when_all_is_done() {
    let folder = Folder::new();
    let state = folder.path("state");
    let again = || FrontierSettings { revisit: true, ..FrontierSettings::default() };
    block(async {
        let mut frontier = open_at(&in_folder(&state, false), None).await.unwrap();
        frontier.add(vec![link("http://a/1", 0), link("http://a/2", 0)]).await.unwrap();
        let taken = take(&mut frontier, 1).await;
        let validators = Validators { etag: Some("\"v1\"".into()), last_modified: Some("today".into()) };
        frontier.record(vec![Visit { validators, ..done(taken[0].id) }]).await.unwrap();
    });
    block(async {
        let mut frontier = open(&in_folder(&state, true), &identity(), again()).await.unwrap();
        let taken = take(&mut frontier, 9).await;
        assert_eq!(urls(&taken), ["http://a/2"]);
        frontier.record(vec![Visit::new(taken[0].id, EntryState::Refused(Refusal::Robots))]).await.unwrap();
    });
    block(async {
        let mut frontier = open(&in_folder(&state, true), &identity(), again()).await.unwrap();
        let taken = take(&mut frontier, 9).await;
        assert_eq!(urls(&taken), ["http://a/1"]);
        assert_eq!(taken[0].validators.etag.as_deref(), Some("\"v1\""));
    });
}

#[test]
fn what_is_no_state_of_this_crawl_is_refused_with_a_sentence() {
    let folder = Folder::new();
    let state = folder.path("state");
    let opened = |place: FrontierPlace| block(async { refusal(open_at(&place, None).await) });
    assert!(opened(in_folder(&state, true)).contains("there is no crawl to resume"));
    let file = folder.path("file");
    std::fs::write(&file, "text").unwrap();
    assert!(opened(in_folder(&file, false)).contains("is a file, not a folder"));
    assert!(opened(in_folder(&folder.0, true)).contains("it has no crawl.sqlite"));

    drop(block(open_at(&in_folder(&state, false), None)).unwrap());
    assert!(opened(in_folder(&state, false)).contains("holds a crawl already"));
    let other = Identity::of(&CrawlOptions { seeds: vec!["http://b/".into()], ..CrawlOptions::default() });
    let sentence = refusal(block(open(&in_folder(&state, true), &other, FrontierSettings::default())));
    assert!(sentence.contains("holds another crawl: its seeds are http://a/, not http://b/"), "{sentence}");

    let database = rusqlite::Connection::open(state.join("crawl.sqlite")).unwrap();
    database.execute_batch("PRAGMA user_version = 9").unwrap();
    assert!(opened(in_folder(&state, true)).contains("(format 9), this one reads format 1"));
    database.execute_batch("PRAGMA application_id = 1").unwrap();
    assert!(opened(in_folder(&state, true)).contains("is not the state of a crawl"));
    drop(database);
    std::fs::write(state.join("crawl.sqlite"), "this is no database, whatever its name says".repeat(99)).unwrap();
    assert!(opened(in_folder(&state, true)).contains("is damaged or is not the state of a crawl"));
    std::fs::write(state.join("crawl.sqlite"), "").unwrap();
    drop(block(open_at(&in_folder(&state, true), None)).expect("a start that was killed leaves an empty file"));
}

#[test]
fn a_folder_in_use_is_refused_and_can_be_read_all_the_same() {
    let folder = Folder::new();
    let state = folder.path("state");
    block(async {
        let mut frontier = open_at(&in_folder(&state, false), None).await.unwrap();
        frontier.add(vec![link("http://a/", 0)]).await.unwrap();
        frontier.flush().await.unwrap();
        assert!(
            refusal(open_at(&in_folder(&state, true), None).await).contains("another crawl is running in the folder")
        );
        let found = look_up(&state, |_| fingerprint("http://a/")).unwrap().unwrap();
        assert_eq!((found.url.as_str(), found.state.as_str(), found.depth), ("http://a/", "queued", 0));
        assert_eq!(look_up(&state, |_| fingerprint("http://b/")).unwrap(), None);
    });
    assert!(
        look_up(&folder.path("nothing"), |_| fingerprint("")).unwrap_err().to_string().contains("there is no crawl in")
    );
}

#[test]
fn people_can_read_the_tables() {
    let folder = Folder::new();
    let state = folder.path("state");
    block(async {
        let mut frontier = open_at(&in_folder(&state, false), None).await.unwrap();
        frontier.add(vec![link("http://a/", 0)]).await.unwrap();
        let taken = take(&mut frontier, 1).await;
        frontier.record(vec![Visit { items: vec![item("{\"a\":1}")], ..done(taken[0].id) }]).await.unwrap();
    });
    let Ok(read) = Command::new("sqlite3")
        .arg(state.join("crawl.sqlite"))
        .arg("SELECT entries.url, state, status, json FROM entries JOIN items ON items.entry = entries.id")
        .output()
    else {
        return;
    };
    assert_eq!(String::from_utf8_lossy(&read.stdout).trim(), "http://a/|done|200|{\"a\":1}");
}

#[test]
fn a_folder_that_cannot_be_made_is_refused_without_a_word_of_resuming() {
    let place = in_folder(std::path::Path::new("/proc/threefold/state"), false);
    let sentence = refusal(block(open_at(&place, None)));
    assert!(sentence.contains("/proc/threefold/state for the state of the crawl can't be made"), "{sentence}");
    assert!(!sentence.contains("resume"), "{sentence}");
}
