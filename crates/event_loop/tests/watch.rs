//! The watch over descriptors where a process forks, where a number is nobody's, and where the set is closed.
#![cfg(not(loom))]

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use threefold_event_loop::Watch;
use threefold_event_loop::watch::Side;
use threefold_sys::epoll::{Epoll, Events};

#[test]
fn what_was_watched_is_watched_in_a_set_that_is_made_anew() {
    let epoll = Epoll::create().unwrap();
    let mut watch = Watch::new(epoll.clone());
    let (near, far) = UnixStream::pair().unwrap();
    watch.set(near.as_raw_fd(), Side::Read, "level").unwrap();
    watch.set_edge(far.as_raw_fd(), Side::Read, "edge", false).unwrap();
    std::io::Write::write_all(&mut &far, b"x").unwrap();
    std::io::Write::write_all(&mut &near, b"x").unwrap();
    watch.renew().unwrap();
    let mut events = Events::default();
    epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
    let mut told: Vec<_> = events.iter().filter_map(|event| watch.watcher(event.token, Side::Read).copied()).collect();
    told.sort_unstable();
    assert_eq!(told, ["edge", "level"]);
}

#[test]
fn a_number_that_is_nobody_s_is_refused_before_it_costs_memory() {
    let mut watch = Watch::new(Epoll::create().unwrap());
    let error = watch.set(2_000_000_000, Side::Read, "nobody").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(9));
}

#[test]
fn nothing_can_be_watched_in_a_set_that_is_closed() {
    let epoll = Epoll::create().unwrap();
    let mut watch = Watch::new(epoll.clone());
    let (near, _far) = UnixStream::pair().unwrap();
    watch.set(near.as_raw_fd(), Side::Read, "reader").unwrap();
    assert_eq!(watch.take_all(), ["reader"]);
    epoll.close();
    assert!(watch.set(near.as_raw_fd(), Side::Read, "late").is_err());
    assert!(watch.present(near.as_raw_fd(), Side::Read).is_none());
    assert!(watch.clear(near.as_raw_fd(), Side::Read).is_none() && watch.is_empty());
}
