//! Servers with faults: each must be noticed, and a server without must pass.
#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected happens, also in what it calls")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread;

const MESSAGE_BYTES: usize = 1000;
const CONNECTIONS: usize = 3;

/// Loads a server that answers each message with what `answer` makes of it; None closes the connection.
///
/// `answer` is given the connection's number, the message's number, and the message.
fn load(answer: fn(usize, usize, Vec<u8>) -> Option<Vec<u8>>) -> Output {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        for (connection, stream) in listener.incoming().take(CONNECTIONS).enumerate() {
            thread::spawn(move || serve(&mut stream.unwrap(), |number, message| answer(connection, number, message)));
        }
    });
    let words = ["exchange", "tcp", &port, "connections=3", "bytes=1000", "messages=300", "warm_up_ms=0"];
    Command::new(env!("CARGO_BIN_EXE_threefold-load")).args(words).output().unwrap()
}

fn serve(stream: &mut TcpStream, answer: impl Fn(usize, Vec<u8>) -> Option<Vec<u8>>) {
    let mut message = vec![0; MESSAGE_BYTES];
    for number in 0.. {
        if stream.read_exact(&mut message).is_err() {
            return;
        }
        match answer(number, message.clone()) {
            Some(bytes) => stream.write_all(&bytes).unwrap_or_default(),
            None => return,
        }
    }
}

#[track_caller]
fn assert_noticed(done: &Output, words: &str) {
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success(), "it passed");
    assert!(told.contains(words), "{told}");
}

#[test]
fn a_server_without_faults_passes() {
    let done = load(|_, _, message| Some(message));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    let counted = text.lines().find_map(|line| line.strip_prefix("messages ")).unwrap();
    // Those that came with the last, and then what was still on its way.
    assert!((300..300 + 2 * CONNECTIONS).contains(&counted.parse().unwrap()), "{text}");
}

#[test]
fn a_changed_byte_is_noticed() {
    let done = load(|connection, number, mut message| {
        message[999] ^= u8::from(connection == 2 && number == 50);
        Some(message)
    });
    assert_noticed(&done, "connection 2, message 50: other bytes");
}

#[test]
fn an_answer_that_comes_twice_is_noticed() {
    let done = load(|_, number, message| Some(if number == 20 { message.repeat(2) } else { message }));
    assert_noticed(&done, "message 21: other bytes");
}

#[test]
fn an_answer_that_never_comes_is_noticed() {
    let done =
        load(|connection, number, message| Some(if connection == 1 && number == 7 { Vec::new() } else { message }));
    assert_noticed(&done, "1 connections had no answer");
}

#[test]
fn a_closed_connection_is_noticed() {
    let done = load(|connection, number, message| (connection == 0 && number < 10).then_some(message));
    assert_noticed(&done, "clos");
}
