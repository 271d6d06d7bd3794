//! What every frontier promises, asked of each of them; and what only one of them does.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod conformance;
mod exports;
mod folder;
mod kill;
mod postgres;
mod server;
mod support;
