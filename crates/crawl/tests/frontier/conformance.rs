//! What every frontier promises.

use std::time::SystemTime;

use threefold_crawl::engine::FrontierPlace;
use threefold_crawl::frontier::{AnyFrontier, Frontier, HostState, Wanted};
use threefold_crawl::{EntryId, EntryState, Refusal, RequestParts, Validators, Visit};

use crate::server;
use crate::support::*;

/// Runs a test on a new frontier of each kind.
macro_rules! each_frontier {
    ($($name:ident)*) => {
        mod memory {
            $(#[test] fn $name() { super::in_memory(super::$name); })*
        }
        mod sqlite {
            $(#[test] fn $name() { super::in_sqlite(super::$name); })*
        }
        mod postgres {
            $(#[test] fn $name() { super::in_postgres(stringify!($name), super::$name); })*
        }
    };
}

each_frontier! {
    an_address_is_new_once
    entries_are_handed_out_once_with_all_that_was_given
    the_least_deep_go_first_and_hosts_in_turn
    a_full_host_is_passed_over_and_keeps_its_turn
    no_more_of_a_host_than_wanted_are_handed_out
    links_of_a_visit_are_counted_once
    an_entry_that_is_to_be_retried_comes_when_it_is_due
    what_is_given_back_comes_again_untried
    a_delivered_entry_stays_open_until_it_is_done
    a_visit_of_what_was_not_handed_out_changes_nothing
    where_a_redirect_led_is_known
    counts_tell_what_became_of_each_entry
    a_hundred_thousand_known_links_change_nothing
}

fn in_memory<F: AsyncFnOnce(AnyFrontier)>(test: F) {
    block(async { test(open_at(&FrontierPlace::Memory, None).await.unwrap()).await });
}

fn in_sqlite<F: AsyncFnOnce(AnyFrontier)>(test: F) {
    let folder = Folder::new();
    block(async { test(open_at(&in_folder(&folder.path("state"), false), None).await.unwrap()).await });
}

fn in_postgres<F: AsyncFnOnce(AnyFrontier)>(name: &str, test: F) {
    let Some(server) = server::postgres() else { return };
    let place = FrontierPlace::Postgres(server.address(&name[..name.len().min(40)]));
    block(async { test(open_at(&place, None).await.unwrap()).await });
}

async fn an_address_is_new_once(mut frontier: AnyFrontier) {
    let added = frontier.add(vec![link("http://a/", 0), link("http://b/", 0), link("http://a/", 0)]).await.unwrap();
    assert_eq!(added, [true, true, false]);
    assert_eq!(frontier.add(vec![link("http://b/", 3), link("http://c/", 0)]).await.unwrap(), [false, true]);
    assert!(frontier.known_filter().contains(fingerprint("http://c/")));
    assert!(!frontier.known_filter().contains(fingerprint("http://d/")));
}

async fn entries_are_handed_out_once_with_all_that_was_given(mut frontier: AnyFrontier) {
    let parts = RequestParts {
        method: "POST".into(),
        headers: vec![("a".into(), "b".into())],
        body: vec![0, 255],
        data: "{}".into(),
    };
    let mut new = link("http://a/x", 2);
    new.request = Some(Box::new(parts));
    frontier.add(vec![new.clone()]).await.unwrap();
    let taken = take(&mut frontier, 10).await;
    assert_eq!(taken.len(), 1);
    let entry = &taken[0];
    assert_eq!(
        (&entry.url, entry.fingerprint, entry.depth, &entry.parent),
        (&new.url, new.fingerprint, 2, &new.parent)
    );
    assert_eq!((&entry.request, entry.tries, entry.kind), (&new.request, 0, new.kind));
    assert!(take(&mut frontier, 10).await.is_empty());
}

async fn the_least_deep_go_first_and_hosts_in_turn(mut frontier: AnyFrontier) {
    let new = ["http://a/2 2", "http://a/1 1", "http://b/1 1", "http://a/1b 1", "http://b/1b 1", "http://b/0 0"];
    let new = new.map(|text| text.split_once(' ').unwrap());
    frontier.add(new.iter().map(|(url, depth)| link(url, depth.parse().unwrap())).collect()).await.unwrap();
    let taken = take(&mut frontier, 10).await;
    let taken = urls(&taken);
    assert_eq!(taken[0], "http://b/0");
    assert_eq!(taken[5], "http://a/2");
    let hosts: Vec<&str> = taken[1..5].iter().map(|url| &url[..8]).collect();
    assert!(hosts[0] != hosts[1] && hosts[1] != hosts[2] && hosts[2] != hosts[3], "{taken:?}");
}

async fn a_full_host_is_passed_over_and_keeps_its_turn(mut frontier: AnyFrontier) {
    frontier.add(vec![link("http://a/1", 1), link("http://b/2", 2), link("http://a/1b", 1)]).await.unwrap();
    let full_hosts = ["http://a".to_owned()];
    let wanted = Wanted { count: 5, per_host: 5, full_hosts: &full_hosts, now: SystemTime::now() };
    assert_eq!(urls(&frontier.take(wanted).await.unwrap()), ["http://b/2"]);
    assert_eq!(urls(&take(&mut frontier, 5).await), ["http://a/1", "http://a/1b"]);
}

async fn no_more_of_a_host_than_wanted_are_handed_out(mut frontier: AnyFrontier) {
    frontier.add((0..9).map(|number| link(&format!("http://a/{number}"), 1)).collect()).await.unwrap();
    let wanted = Wanted { count: 5, per_host: 2, full_hosts: &[], now: SystemTime::now() };
    assert_eq!(urls(&frontier.take(wanted).await.unwrap()), ["http://a/0", "http://a/1"]);
    assert_eq!(urls(&frontier.take(wanted).await.unwrap()), ["http://a/2", "http://a/3"]);
}

async fn links_of_a_visit_are_counted_once(mut frontier: AnyFrontier) {
    frontier.add(vec![link("http://a/", 0), link("http://a/other", 0)]).await.unwrap();
    let taken = take(&mut frontier, 2).await;
    let links = |names: &[&str]| names.iter().map(|name| link(name, 1)).collect();
    let first = Visit { links: links(&["http://a/1", "http://a/", "http://a/1", "http://a/2"]), ..done(taken[0].id) };
    let second = Visit { links: links(&["http://a/2", "http://a/3"]), ..done(taken[1].id) };
    assert_eq!(frontier.record(vec![first, second]).await.unwrap(), 3);
    assert_eq!(urls(&take(&mut frontier, 9).await), ["http://a/1", "http://a/2", "http://a/3"]);
}

async fn an_entry_that_is_to_be_retried_comes_when_it_is_due(mut frontier: AnyFrontier) {
    let now = SystemTime::now();
    frontier.add(vec![link("http://a/", 0)]).await.unwrap();
    let id = take(&mut frontier, 1).await[0].id;
    let retry = Visit::new(id, EntryState::Retry(now + HOUR, "the server is busy".into()));
    frontier.record(vec![retry]).await.unwrap();
    assert!(take_at(&mut frontier, 1, now).await.is_empty());
    let due = frontier.next_due().await.unwrap().unwrap();
    assert!(due <= now + HOUR, "the retry, or sooner where others may bring work");
    let again = take_at(&mut frontier, 1, now + HOUR).await;
    assert_eq!((again[0].id, again[0].tries), (id, 1));
}

async fn what_is_given_back_comes_again_untried(mut frontier: AnyFrontier) {
    frontier.add(vec![link("http://a/1", 0), link("http://a/2", 0)]).await.unwrap();
    let taken = take(&mut frontier, 1).await;
    frontier.give_back(vec![taken[0].id, EntryId(77)]).await.unwrap();
    let again = take(&mut frontier, 2).await;
    assert_eq!(urls(&again), ["http://a/1", "http://a/2"]);
    assert_eq!(again[0].tries, 0);
}

async fn a_delivered_entry_stays_open_until_it_is_done(mut frontier: AnyFrontier) {
    frontier.add(vec![link("http://a/", 0)]).await.unwrap();
    let id = take(&mut frontier, 1).await[0].id;
    frontier.record(vec![Visit::new(id, EntryState::Delivered(200))]).await.unwrap();
    frontier.flush().await.unwrap();
    let open = frontier.counts().await.unwrap();
    assert_eq!((open.queued, open.leased, open.done), (0, 1, 0));
    assert!(take(&mut frontier, 1).await.is_empty());
    let answer = Visit { links: vec![link("http://a/more", 1)], items: vec![item("{}")], ..done(id) };
    assert_eq!(frontier.record(vec![answer]).await.unwrap(), 1);
    let closed = frontier.counts().await.unwrap();
    assert_eq!((closed.queued, closed.leased, closed.done), (1, 0, 1));
}

async fn a_visit_of_what_was_not_handed_out_changes_nothing(mut frontier: AnyFrontier) {
    frontier.add(vec![link("http://a/", 0)]).await.unwrap();
    let id = take(&mut frontier, 1).await[0].id;
    let visit = Visit { links: vec![link("http://a/1", 1)], ..done(id) };
    assert_eq!(frontier.record(vec![visit.clone()]).await.unwrap(), 1);
    let late = Visit { links: vec![link("http://a/2", 1)], ..visit };
    assert_eq!(frontier.record(vec![late.clone()]).await.unwrap(), 0);
    assert_eq!(frontier.record(vec![Visit { entry: EntryId(99), ..late }]).await.unwrap(), 0);
    let counts = frontier.counts().await.unwrap();
    assert_eq!((counts.done, counts.queued), (1, 1));
}

async fn where_a_redirect_led_is_known(mut frontier: AnyFrontier) {
    frontier.add(vec![link("http://a/", 0)]).await.unwrap();
    let id = take(&mut frontier, 1).await[0].id;
    let target = ("http://a/target".to_owned(), fingerprint("http://a/target"));
    frontier.record(vec![Visit { final_url: Some(target), ..done(id) }]).await.unwrap();
    assert_eq!(frontier.add(vec![link("http://a/target", 1)]).await.unwrap(), [false]);
}

async fn counts_tell_what_became_of_each_entry(mut frontier: AnyFrontier) {
    frontier.add((0..6).map(|number| link(&format!("http://a/{number}"), 0)).collect()).await.unwrap();
    let taken = take(&mut frontier, 5).await;
    let states = [
        EntryState::Done(200),
        EntryState::Failed("no answer".into()),
        EntryState::Refused(Refusal::Robots),
        EntryState::Retry(SystemTime::now() + HOUR, "busy".into()),
    ];
    let visits = taken.iter().zip(states).map(|(entry, state)| Visit::new(entry.id, state)).collect();
    frontier.record(visits).await.unwrap();
    let counts = frontier.counts().await.unwrap();
    assert_eq!((counts.queued, counts.leased, counts.done, counts.failed, counts.refused), (2, 1, 1, 1, 1));
}

async fn a_hundred_thousand_known_links_change_nothing(mut frontier: AnyFrontier) {
    let pages = 100;
    frontier.add((0..pages).map(|number| link(&format!("http://a/{number}"), 0)).collect()).await.unwrap();
    let known: Vec<_> = (0..1000).map(|number| link(&format!("http://a/{}", number % pages), 1)).collect();
    let validators = Validators { etag: Some("\"1\"".into()), last_modified: None };
    let mut visits = 0;
    loop {
        let taken = take(&mut frontier, 10).await;
        if taken.is_empty() {
            break;
        }
        visits += taken.len();
        let visit = |id| Visit { links: known.clone(), validators: validators.clone(), ..done(id) };
        assert_eq!(frontier.record(taken.iter().map(|entry| visit(entry.id)).collect()).await.unwrap(), 0);
    }
    frontier.keep_hosts(vec![HostState { host: "http://a".into(), ..HostState::default() }]).await.unwrap();
    frontier.flush().await.unwrap();
    assert_eq!((visits, frontier.counts().await.unwrap().done), (100, 100));
}
