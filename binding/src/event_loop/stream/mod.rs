//! Stream connections: the native part of their transport, and of the readers and writers over it.
//!
//! | file | what is there |
//! |---|---|
//! | `connection` | what a transport keeps, and who hears of its socket |
//! | `reading`, `writing`, `chunk` | what happens per packet |
//! | `methods` | the native methods of a transport's class |
//! | `read`, `want`, `reader` | one read of a reader, what it wants, and what the reader keeps |
//! | `reader_and_writer` | the native methods of readers and writers |

mod chunk;
mod connection;
mod methods;
mod read;
mod reader;
mod reader_and_writer;
mod reading;
mod want;
mod writing;

use pyo3::prelude::*;

pub(super) use chunk::{Chunk, Given};
pub(super) use connection::{StreamCore, leaves_loop};
pub(super) use read::Served;
pub(super) use reader::ReaderCore;
pub(super) use reading::Receiver;
pub(super) use writing::{write, write_given, write_lines};

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    connection::register(module)?;
    methods::register(module)?;
    read::register(module)?;
    reader::register(module)?;
    reader_and_writer::register(module)
}
