//! The frontier's file: `crawl.sqlite` in the folder of a crawl, one writer, open to every reader.

mod apply;
mod database;
mod export;
mod failure;
mod folder;
mod load;
mod look_up;
mod schema;
pub(in crate::frontier) mod value;

pub(super) use database::{Database, Opened, Way};
pub(super) use load::{Batch, Loaded};
pub use look_up::{KnownEntry, look_up};
