//! The frontier that several share: leases, take-overs, and a database that goes away and comes back.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use threefold_crawl::engine::{CrawlOptions, FrontierPlace, OutputFile};
use threefold_crawl::frontier::{
    AnyFrontier, Frontier, FrontierError, FrontierSettings, HostState, Identity, Wanted, open,
};
use threefold_crawl::url::host_key;
use threefold_crawl::{Entry, EntryState, Refusal, Validators, Visit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::server::{Server, postgres};
use crate::support::*;

async fn worker(address: &str, lease: Duration) -> AnyFrontier {
    let settings = FrontierSettings { lease, hash_key: [7; 16], ..FrontierSettings::default() };
    open(&FrontierPlace::Postgres(address.to_owned()), &identity(), settings).await.unwrap()
}

/// Takes, and asks again while the frontier says that something will come.
async fn take_in_time(frontier: &mut AnyFrontier, wanted: Wanted<'_>) -> Vec<Entry> {
    let end = SystemTime::now() + Duration::from_secs(60);
    loop {
        assert!(SystemTime::now() < end, "nothing was handed out within 60 s: {:?}", frontier.counts().await);
        let taken = frontier.take(Wanted { now: SystemTime::now(), ..wanted }).await.unwrap();
        if !taken.is_empty() {
            return taken;
        }
        let Some(due) = frontier.next_due().await.unwrap() else { return taken };
        tokio::time::sleep(due.duration_since(SystemTime::now()).unwrap_or_default() / 8).await;
    }
}

const FEW: Wanted<'static> = Wanted { count: 3, per_host: 2, full_hosts: &[], now: SystemTime::UNIX_EPOCH };

/// Visits everything that a worker gets: each page leads to two more, on one of five hosts, to a depth of four.
async fn crawl(mut frontier: AnyFrontier) -> Vec<String> {
    let mut visited = Vec::new();
    loop {
        let taken = take_in_time(&mut frontier, FEW).await;
        if taken.is_empty() {
            frontier.close().await.unwrap();
            return visited;
        }
        let visits = taken.iter().map(|entry| {
            let number: u64 = entry.url.rsplit('/').next().unwrap().parse().unwrap();
            let page = |number: u64| link(&format!("http://h{}/{number}", number % 5), entry.depth + 1);
            let links = if entry.depth < 4 { vec![page(2 * number), page(2 * number + 1)] } else { Vec::new() };
            Visit { links, items: vec![item("{}")], ..done(entry.id) }
        });
        let mut recorded = frontier.record(visits.collect()).await.map(drop);
        while let Err(FrontierError::Away(_)) = recorded {
            recorded = frontier.flush().await;
        }
        recorded.unwrap();
        visited.extend(taken.into_iter().map(|entry| entry.url));
    }
}

#[test]
fn workers_share_a_crawl_without_visiting_a_page_twice() {
    let Some(server) = postgres() else { return };
    let address = server.address("shared");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(within("the end of the crawl", async {
        let mut first = worker(&address, HOUR).await;
        first.add((1..=5).map(|number| link(&format!("http://h{}/{number}", number % 5), 0)).collect()).await.unwrap();
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..2 {
            workers.spawn(crawl(worker(&address, HOUR).await));
        }
        workers.spawn(crawl(first));
        // One that fails is the first to end, and what it says is told before the others wait for its hosts.
        let mut visited = Vec::new();
        while let Some(ended) = workers.join_next().await {
            visited.extend(ended.unwrap());
        }
        let distinct: BTreeSet<&String> = visited.iter().collect();
        let expected: BTreeSet<u64> =
            (0..5).flat_map(|depth| (1..=5_u64).flat_map(move |seed| (seed << depth)..((seed + 1) << depth))).collect();
        assert_eq!((visited.len(), distinct.len()), (expected.len(), expected.len()));
    }));
}

#[test]
fn a_host_belongs_to_one_worker_and_goes_to_another_when_that_one_is_dead() {
    let Some(server) = postgres() else { return };
    let address = server.address("taken_over");
    let lease = Duration::from_millis(1500);
    block(async {
        let mut first = worker(&address, lease).await;
        first.add((0..4).map(|number| link(&format!("http://a/{number}"), 0)).collect()).await.unwrap();
        let taken = first.take(FEW).await.unwrap();
        assert_eq!(urls(&taken), ["http://a/0", "http://a/1"]);
        let known = HostState {
            host: "http://a".into(),
            next_allowed: None,
            crawl_delay: Some(Duration::from_secs(9)),
            robots: Some("rules".into()),
            traps: Some("counts".into()),
        };
        first.keep_hosts(vec![known.clone()]).await.unwrap();
        first.record(vec![done(taken[0].id), Visit::new(taken[1].id, EntryState::Delivered(200))]).await.unwrap();

        let mut second = worker(&address, lease).await;
        assert!(second.take(FEW).await.unwrap().is_empty(), "the host is the first one's");
        assert!(second.next_due().await.unwrap().is_some());
        drop(first);
        let again = take_in_time(&mut second, FEW).await;
        assert_eq!(urls(&again), ["http://a/1", "http://a/2"], "what was delivered is visited again");
        assert_eq!(second.new_hosts(), [known]);
    });
}

#[test]
fn a_revisit_begins_when_all_is_done_and_is_shared_as_well() {
    let Some(server) = postgres() else { return };
    let place = FrontierPlace::Postgres(server.address("revisited"));
    let again = |number| FrontierSettings { revisit: true, hash_key: [number; 16], ..FrontierSettings::default() };
    block(async {
        let mut first = open(&place, &identity(), again(1)).await.unwrap();
        first.add(vec![link("http://a/1", 0), link("http://b/2", 0), link("http://b/3", 0)]).await.unwrap();
        let taken = first.take(FEW).await.unwrap();
        let validators = Validators { etag: Some("\"v1\"".into()), last_modified: None };
        let mut visits: Vec<Visit> = taken.iter().map(|entry| done(entry.id)).collect();
        visits[0].validators = validators.clone();
        visits[1].state = EntryState::Failed("gone".into());
        visits[2].state = EntryState::Refused(Refusal::Robots);
        first.record(visits).await.unwrap();
        first.close().await.unwrap();

        let mut second = open(&place, &identity(), again(2)).await.unwrap();
        assert!(second.is_resumed());
        let counts = second.counts().await.unwrap();
        assert_eq!((counts.queued, counts.done, counts.failed, counts.refused), (2, 0, 0, 1));
        // One that joins begins nothing again.
        let mut third = open(&place, &identity(), again(3)).await.unwrap();
        assert_eq!(third.counts().await.unwrap().queued, 2);
        let taken = take_in_time(&mut second, FEW).await;
        assert_eq!(urls(&taken), ["http://a/1", "http://b/2"]);
        assert_eq!(taken[0].validators, validators);
    });
}

#[test]
fn what_a_worker_records_after_its_lease_was_taken_over_is_left_out() {
    let Some(server) = postgres() else { return };
    let address = server.address("late");
    block(async {
        let mut first = worker(&address, HOUR).await;
        first.add(vec![link("http://a/1", 0), link("http://a/2", 0)]).await.unwrap();
        let taken = first.take(FEW).await.unwrap();
        server.run("UPDATE threefold_late.hosts SET lease_until = now() - interval '1 second'").await;
        let mut second = worker(&address, HOUR).await;
        let again = second.take(FEW).await.unwrap();
        assert_eq!(urls(&again), urls(&taken));
        let visit = |entry: &Entry| Visit { links: vec![link("http://a/new", 1)], ..done(entry.id) };
        assert_eq!(first.record(taken.iter().map(visit).collect()).await.unwrap(), 0);
        assert_eq!(first.counts().await.unwrap().done, 0);
        assert_eq!(second.record(again.iter().map(visit).collect()).await.unwrap(), 1);
        assert_eq!(first.counts().await.unwrap().done, 2);
    });
}

#[test]
fn a_connection_that_is_cut_comes_back_and_nothing_is_lost() {
    let Some(server) = postgres() else { return };
    block(async {
        let address = server.address_apart("cut").await;
        let mut frontier = worker(&address, HOUR).await;
        frontier.add((0..40).map(|number| link(&format!("http://a/{number}"), 0)).collect()).await.unwrap();
        let mut visited = 0;
        for turn in 0.. {
            let taken = match frontier.take(Wanted { now: SystemTime::now(), ..FEW }).await {
                Ok(taken) => taken,
                Err(FrontierError::Away(_)) => Vec::new(),
                Err(error) => panic!("{error}"),
            };
            if visited == 40 && taken.is_empty() {
                break;
            }
            assert!(turn < 1000, "only {visited} of 40 were handed out in {turn} turns");
            visited += taken.len();
            server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'cut'").await;
            let visits = taken.iter().map(|entry| Visit { items: vec![item("{}")], ..done(entry.id) }).collect();
            let mut recorded = frontier.record(visits).await.map(drop);
            while let Err(FrontierError::Away(_)) = recorded {
                recorded = frontier.flush().await;
            }
            recorded.unwrap();
        }
        assert_eq!(frontier.counts().await.unwrap().done, 40);
        Server::run_at(&address, "DO $$ BEGIN ASSERT (SELECT count(*) FROM threefold_cut.items) = 40; END $$").await;
    });
}

/// Stands between a worker and the database, and cuts the connection after each `COMMIT` was done, before its answer.
async fn cut_after_commits(listener: UnixListener, server: &'static Server, mut cuts: u32) {
    while let Ok((mut client, _)) = listener.accept().await {
        let mut database = UnixStream::connect(server.socket()).await.unwrap();
        let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut is_committing = false;
        let pass = async {
            loop {
                tokio::select! {
                    sent = client.read(&mut up) => {
                        let length = sent.unwrap_or(0);
                        if length == 0 { return; }
                        is_committing = cuts > 0 && up[..length].windows(7).any(|bytes| bytes == b"COMMIT\0");
                        database.write_all(&up[..length]).await.unwrap();
                    }
                    answered = database.read(&mut down) => {
                        let length = answered.unwrap_or(0);
                        if length == 0 { return; }
                        if is_committing {
                            cuts -= 1;
                            return;
                        }
                        if client.write_all(&down[..length]).await.is_err() { return; }
                    }
                }
            }
        };
        pass.await;
    }
}

#[test]
fn a_commit_whose_answer_was_lost_is_not_applied_twice() {
    let Some(server) = postgres() else { return };
    let folder = Folder::new();
    let output = folder.path("pages.jsonl");
    block(async {
        let listener = UnixListener::bind(folder.path(".s.PGSQL.5432")).unwrap();
        let through = folder.0.to_str().unwrap().replace('/', "%2F");
        drop(worker(&server.address("answer"), HOUR).await);
        // The first connection of the worker commits its entry; the proxy takes connections one at a time, so that the
        // task that renews waits until the test is over.
        let address = format!("postgres://postgres@{through}/postgres?sslmode=disable&crawl=answer");
        let settings = FrontierSettings {
            lease: HOUR,
            hash_key: [7; 16],
            output: Some(OutputFile { path: output.clone() }),
            ..FrontierSettings::default()
        };
        let proxy = tokio::spawn(cut_after_commits(listener, server, 0));
        let mut frontier = open(&FrontierPlace::Postgres(address), &identity(), settings).await.unwrap();
        frontier.add(vec![link("http://a/1", 0), link("http://a/2", 0)]).await.unwrap();
        let taken = frontier.take(FEW).await.unwrap();
        proxy.abort();
        let _ended = proxy.await;
        std::fs::remove_file(folder.path(".s.PGSQL.5432")).unwrap();
        let listener = UnixListener::bind(folder.path(".s.PGSQL.5432")).unwrap();
        let proxy = tokio::spawn(cut_after_commits(listener, server, 1));
        let busy = EntryState::Retry(SystemTime::now() + HOUR, "busy".into());
        let visits = vec![
            Visit { items: vec![item("{\"a\":1}")], links: vec![link("http://b/", 1)], ..done(taken[0].id) },
            Visit::new(taken[1].id, busy),
        ];
        let mut new = 0;
        let mut recorded = frontier.record(visits).await;
        let mut failures = 0;
        while let Err(FrontierError::Away(sentence)) = recorded {
            failures += 1;
            assert!(failures < 50, "{sentence}");
            recorded = frontier.record(Vec::new()).await;
        }
        new += recorded.unwrap();
        assert!(new == 1 && failures > 0, "{new} new links, {failures} failures");
        let counts = frontier.counts().await.unwrap();
        assert_eq!((counts.done, counts.queued), (1, 2));
        proxy.abort();
    });
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "{\"a\":1}\n");
    block(async {
        let check = "DO $$ BEGIN ASSERT (SELECT count(*) FROM threefold_answer.items) = 1;
                     ASSERT (SELECT max(tries) FROM threefold_answer.entries) = 1; END $$";
        server.run(check).await;
    });
}

#[test]
fn each_worker_exports_what_it_recorded_once() {
    let Some(server) = postgres() else { return };
    let folder = Folder::new();
    let output = folder.path("pages.jsonl");
    let address = FrontierPlace::Postgres(server.address("exports"));
    for round in 0..3 {
        block(async {
            let mut frontier = open_at(&address, Some(&output)).await.unwrap();
            frontier.add(vec![link(&format!("http://a/{round}"), 0)]).await.unwrap();
            let taken = frontier.take(FEW).await.unwrap();
            let json = format!("{{\"round\":{round}}}");
            frontier.record(vec![Visit { items: vec![item(&json)], ..done(taken[0].id) }]).await.unwrap();
            frontier.close().await.unwrap();
        });
        let text = std::fs::read_to_string(&output).unwrap();
        assert_eq!(text.lines().count(), round + 1, "{text}");
        std::fs::write(&output, text + "{\"round\"").unwrap();
    }
}

#[test]
fn what_is_no_database_of_this_crawl_is_refused_with_a_sentence() {
    let Some(server) = postgres() else { return };
    let refused = |address: &str, identity: &Identity| {
        let place = FrontierPlace::Postgres(address.to_owned());
        let settings = FrontierSettings::default();
        block(async { refusal(open(&place, identity, settings).await) })
    };
    drop(block(worker(&server.address("named"), HOUR)));
    let other = Identity::of(&CrawlOptions { seeds: vec!["http://b/".into()], ..CrawlOptions::default() });
    let sentence = refused(&server.address("named"), &other);
    assert!(sentence.contains("threefold_named holds another crawl: its seeds are http://a/"), "{sentence}");
    assert!(refused(&server.address("Drop%20it"), &identity()).contains("is not made of 1 to 40 of"));
    assert!(refused("postgres://x:y", &identity()).contains("is no address of a Postgres"));
    let nowhere = refused("postgres://postgres@%2Fnowhere/postgres", &identity());
    assert!(nowhere.contains("can't be reached"), "{nowhere}");
    let unencrypted = refused(&server.address("tls").replace("disable", "require"), &identity());
    assert!(unencrypted.contains("TLS"), "{unencrypted}");
}

#[test]
fn a_link_to_a_page_that_another_worker_is_closing_waits_for_nobody() {
    let Some(server) = postgres() else { return };
    let address = server.address("closing");
    block(async {
        let mut first = worker(&address, HOUR).await;
        first.add(vec![link("http://a/1", 0), link("http://b/1", 0)]).await.unwrap();
        let mut second = worker(&address, HOUR).await;
        let taken = second.take(FEW).await.unwrap();
        let (config, _) = address.split_once("&crawl=").unwrap();
        let (other, connection) = tokio_postgres::connect(config, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let closing = "BEGIN; UPDATE threefold_closing.entries SET state = 'done' WHERE url = 'http://b/1'";
        other.batch_execute(closing).await.unwrap();
        let of_a = taken.iter().find(|entry| entry.url == "http://a/1").unwrap();
        let visit = Visit { links: vec![link("http://b/1", 1)], ..done(of_a.id) };
        // Two that wait for one another's pages would end in a deadlock.
        let recorded = within("the record beside an open transaction", second.record(vec![visit])).await;
        assert_eq!(recorded.unwrap(), 0);
        connection.abort();
    });
}

#[test]
fn hosts_that_workers_hold_at_once_are_never_the_same() {
    let Some(server) = postgres() else { return };
    let address = server.address("apart");
    block(async {
        let mut workers = Vec::new();
        for _ in 0..3 {
            workers.push(worker(&address, HOUR).await);
        }
        workers[0]
            .add((0..30).map(|number| link(&format!("http://h{}/{number}", number % 6), 0)).collect())
            .await
            .unwrap();
        let mut held: Vec<BTreeSet<String>> = Vec::new();
        for frontier in &mut workers {
            let taken = frontier.take(FEW).await.unwrap();
            held.push(taken.iter().map(|entry| host_key(&entry.url).into_owned()).collect());
        }
        let distinct: BTreeSet<&String> = held.iter().flatten().collect();
        assert_eq!(distinct.len(), held.iter().map(BTreeSet::len).sum::<usize>());
        assert!(held.iter().all(|hosts| hosts.len() == 2), "{held:?}");
    });
}
