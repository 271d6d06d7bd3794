//! Decompresses a body while it comes, any number of times over, and counts what comes out before it is kept.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

mod stages;

use stages::{Brotli, Deflate, Gzip, Stage, Zstd};

/// Up to this size a body may have grown as it likes: short repetitive pages do.
const EXPANSION_COUNTS_FROM: u64 = 4 << 20;

/// Why a body can't be decompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// It is larger than the limit.
    TooLarge,
    /// It grows more than so many times.
    Expands(u32),
    /// It is not what its encoding says, or cut off.
    Corrupt(String),
}

/// What may come out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: u64,
    pub(super) expansion: Option<u32>,
}

/// The decompression of one body.
pub(super) struct Decoder {
    first: Box<dyn Stage>,
    output: Arc<Mutex<Output>>,
}

/// Where the last stage writes.
struct Output {
    bytes: Vec<u8>,
    produced: u64,
    wire: u64,
    bounds: Bounds,
    error: Option<DecodeError>,
}

impl Decoder {
    /// For the values of `Content-Encoding`; none where nothing, or something unknown, is to be undone.
    pub(super) fn new<'a>(encodings: impl Iterator<Item = &'a [u8]>, bounds: Bounds) -> Option<Self> {
        let names: Vec<String> = encodings
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty() && name != "identity")
            .collect();
        // Nobody applies more than two; a list of hundreds is an attack on memory.
        if names.is_empty() || names.len() > 5 {
            return None;
        }
        let output = Arc::new(Mutex::new(Output { bytes: Vec::new(), produced: 0, wire: 0, bounds, error: None }));
        let mut first: Box<dyn Stage> = Box::new(Shared(Arc::clone(&output)));
        // The server applied them in order, so the first that was applied is undone last.
        for name in names {
            first = match name.as_str() {
                "gzip" | "x-gzip" => Box::new(Gzip::new(first)),
                "deflate" => Box::new(Deflate::new(first)),
                "br" => Box::new(Brotli::new(first)),
                "zstd" => Box::new(Zstd::new(first).ok()?),
                _ => return None,
            };
        }
        Some(Self { first, output })
    }

    /// Takes bytes as they came.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).wire += bytes.len() as u64;
        let result = self.first.write_all(bytes);
        self.judge(result)
    }

    /// Says that all have come.
    pub(super) fn finish(&mut self) -> Result<(), DecodeError> {
        let result = self.first.finish();
        self.judge(result)
    }

    /// What came out since it was asked last.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output.lock().unwrap_or_else(PoisonError::into_inner).bytes)
    }

    /// How much came out and was not taken.
    pub(super) fn held_bytes(&self) -> u64 {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).bytes.len() as u64
    }

    fn judge(&self, result: io::Result<()>) -> Result<(), DecodeError> {
        let Err(error) = result else { return Ok(()) };
        let known = self.output.lock().unwrap_or_else(PoisonError::into_inner).error.clone();
        Err(known.unwrap_or_else(|| DecodeError::Corrupt(error.to_string())))
    }
}

impl Output {
    fn add(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.produced += bytes.len() as u64;
        if self.produced > self.bounds.bytes {
            return Err(DecodeError::TooLarge);
        }
        if let Some(expansion) = self.bounds.expansion {
            if self.produced > EXPANSION_COUNTS_FROM && self.produced / u64::from(expansion) > self.wire {
                return Err(DecodeError::Expands(expansion));
            }
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// The last stage.
struct Shared(Arc<Mutex<Output>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = output.add(bytes) {
            output.error = Some(error);
            return Err(io::Error::other("the body is too large"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stage for Shared {
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
