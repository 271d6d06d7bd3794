//! One encoding each: takes compressed bytes, writes the others to the next stage, and knows at the end whether something is missing.

use std::io::{self, ErrorKind, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as RawZstd, Operation};

/// A step of decompression.
pub(super) trait Stage: Write + Send {
    /// Says that all bytes have come: whatever is missing is an error.
    fn finish(&mut self) -> io::Result<()>;
}

type Next = Box<dyn Stage>;

fn cut_off() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "it ends too early")
}

/// gzip: members one after another; what follows the last one is ignored, as browsers do.
pub(super) struct Gzip(GzipState);

enum GzipState {
    /// Nothing has come yet, or the next member may begin.
    Between(Next, bool),
    Inside(Box<GzDecoder<Next>>),
    /// Something else follows.
    Over(Next),
    Failed,
}

impl Gzip {
    pub(super) fn new(next: Next) -> Self {
        Self(GzipState::Between(next, true))
    }
}

impl Write for Gzip {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        match std::mem::replace(&mut self.0, GzipState::Failed) {
            GzipState::Between(next, is_first) if is_first || bytes[0] == 0x1f => {
                self.0 = GzipState::Inside(Box::new(GzDecoder::new(next)));
                self.write(bytes)
            }
            GzipState::Between(next, _) | GzipState::Over(next) => {
                self.0 = GzipState::Over(next);
                Ok(bytes.len())
            }
            GzipState::Inside(mut decoder) => {
                let count = decoder.write(bytes)?;
                if count > 0 {
                    self.0 = GzipState::Inside(decoder);
                    return Ok(count);
                }
                self.0 = GzipState::Between(decoder.finish()?, false);
                self.write(bytes)
            }
            GzipState::Failed => Err(ErrorKind::InvalidData.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            GzipState::Inside(decoder) => decoder.flush(),
            _ => Ok(()),
        }
    }
}

impl Stage for Gzip {
    fn finish(&mut self) -> io::Result<()> {
        let mut next = match std::mem::replace(&mut self.0, GzipState::Failed) {
            GzipState::Between(next, _) | GzipState::Over(next) => next,
            GzipState::Inside(decoder) => decoder.finish().map_err(|_| cut_off())?,
            GzipState::Failed => return Err(ErrorKind::InvalidData.into()),
        };
        next.finish()
    }
}

/// deflate: in zlib's wrapping, as the standard says, or bare, as some servers send it.
pub(super) struct Deflate {
    next: Next,
    /// None until the first two bytes have told which of the two it is.
    inflate: Option<Decompress>,
    held: Vec<u8>,
    is_over: bool,
    buffer: Vec<u8>,
}

impl Deflate {
    pub(super) fn new(next: Next) -> Self {
        Self { next, inflate: None, held: Vec::new(), is_over: false, buffer: vec![0; 32 << 10] }
    }

    fn run(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let Some(inflate) = self.inflate.as_mut() else { return Ok(()) };
        while !self.is_over {
            let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
            let status = inflate
                .decompress(bytes, &mut self.buffer, FlushDecompress::None)
                .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            let taken = usize::try_from(inflate.total_in() - before_in).map_err(io::Error::other)?;
            let made = usize::try_from(inflate.total_out() - before_out).map_err(io::Error::other)?;
            self.next.write_all(&self.buffer[..made])?;
            bytes = &bytes[taken..];
            self.is_over = status == Status::StreamEnd;
            if made < self.buffer.len() && (bytes.is_empty() || taken == 0) {
                break;
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> io::Result<()> {
        let has_wrapping = match self.held[..] {
            [first, second, ..] => first & 0x0f == 8 && (u16::from(first) << 8 | u16::from(second)) % 31 == 0,
            _ => false,
        };
        self.inflate = Some(Decompress::new(has_wrapping));
        let held = std::mem::take(&mut self.held);
        self.run(&held)
    }
}

impl Write for Deflate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.inflate.is_some() {
            self.run(bytes)?;
        } else {
            self.held.extend_from_slice(bytes);
            if self.held.len() >= 2 {
                self.begin()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stage for Deflate {
    fn finish(&mut self) -> io::Result<()> {
        let is_empty = self.inflate.is_none() && self.held.is_empty();
        if self.inflate.is_none() {
            self.begin()?;
        }
        if !self.is_over && !is_empty {
            return Err(cut_off());
        }
        self.next.finish()
    }
}

/// br.
pub(super) struct Brotli {
    decoder: DecompressorWriter<Next>,
    is_empty: bool,
}

impl Brotli {
    pub(super) fn new(next: Next) -> Self {
        Self { decoder: DecompressorWriter::new(next, 32 << 10), is_empty: true }
    }
}

impl Write for Brotli {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_empty &= bytes.is_empty();
        self.decoder.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stage for Brotli {
    fn finish(&mut self) -> io::Result<()> {
        if !self.is_empty {
            self.decoder.close().map_err(|error| if error.get_ref().is_some() { error } else { cut_off() })?;
        }
        self.decoder.get_mut().finish()
    }
}

/// zstd: frames one after another.
pub(super) struct Zstd {
    next: Next,
    decoder: RawZstd<'static>,
    is_between_frames: bool,
    buffer: Vec<u8>,
}

/// The largest window that a server may ask for, as RFC 9659 has it: 8 MiB.
const WINDOW_BITS: u32 = 23;

impl Zstd {
    pub(super) fn new(next: Next) -> io::Result<Self> {
        let mut decoder = RawZstd::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_BITS))?;
        Ok(Self { next, decoder, is_between_frames: true, buffer: vec![0; 32 << 10] })
    }
}

impl Write for Zstd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        loop {
            let status = self.decoder.run_on_buffers(rest, &mut self.buffer)?;
            self.next.write_all(&self.buffer[..status.bytes_written])?;
            rest = &rest[status.bytes_read..];
            self.is_between_frames = status.remaining == 0;
            if rest.is_empty() && status.bytes_written < self.buffer.len() {
                return Ok(bytes.len());
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stage for Zstd {
    fn finish(&mut self) -> io::Result<()> {
        if !self.is_between_frames {
            return Err(cut_off());
        }
        self.next.finish()
    }
}
