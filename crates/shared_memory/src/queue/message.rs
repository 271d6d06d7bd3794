//! A message's bytes: how its parts lie one behind the other in a body.

use threefold_sys::source::Source;

use super::error::Damage;

/// Buffers begin at multiples of this in a body, so that arrays over a mapped body are aligned.
const ALIGNMENT: u64 = 64;
const WORD: u64 = 8;

/// What is put: a byte string, and buffers that travel beside it (pickle protocol 5, out of band).
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Says how the byte string is to be understood; a number of the user's choice.
    pub tag: u8,
    /// The byte string.
    pub stream: &'a [u8],
    /// The buffers, in their order.
    pub buffers: &'a [Source<'a>],
}

impl<'a> Message<'a> {
    /// A message without buffers.
    #[must_use]
    pub fn new(stream: &'a [u8]) -> Self {
        Self { tag: 0, stream, buffers: &[] }
    }

    /// A message with a tag and without buffers.
    #[must_use]
    pub fn tagged(tag: u8, stream: &'a [u8]) -> Self {
        Self { tag, stream, buffers: &[] }
    }

    /// A message with `buffers` beside it.
    #[must_use]
    pub fn with_buffers(stream: &'a [u8], buffers: &'a [Source<'a>]) -> Self {
        Self { tag: 0, stream, buffers }
    }

    /// The stream and the buffers.
    pub(super) fn parts(&self) -> impl Iterator<Item = Source<'a>> + use<'a> {
        std::iter::once(Source::from(self.stream)).chain(self.buffers.iter().copied())
    }

    /// The table of parts: their number and their lengths.
    pub(super) fn table(&self) -> Vec<u8> {
        let count = 1 + self.buffers.len() as u64;
        let lengths = self.parts().map(|part| part.len() as u64);
        std::iter::once(count).chain(lengths).flat_map(u64::to_ne_bytes).collect()
    }

    /// How long the body with table, parts and padding is.
    pub(super) fn body_bytes(&self) -> u64 {
        self.parts().fold(table_bytes(1 + self.buffers.len() as u64), |end, part| aligned(end) + part.len() as u64)
    }

    /// The body in one piece, for messages that are short.
    pub(super) fn body(&self) -> Vec<u8> {
        let mut body = self.table();
        for (offset, part) in self.placed_parts() {
            body.resize(usize::try_from(offset).unwrap_or(usize::MAX), 0);
            part.append_to(&mut body);
        }
        body
    }

    /// Each part with its place in the body.
    pub(super) fn placed_parts(&self) -> impl Iterator<Item = (u64, Source<'a>)> + use<'a> {
        let mut end = table_bytes(1 + self.buffers.len() as u64);
        self.parts().map(move |part| {
            let start = aligned(end);
            end = start + part.len() as u64;
            (start, part)
        })
    }
}

/// Where one part lies in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The offset of its first byte.
    pub offset_bytes: u64,
    /// Its length.
    pub len_bytes: u64,
}

/// Reads the table at the start of a body of `body_bytes`; `read` gives the word at an offset.
pub(super) fn read_table(body_bytes: u64, read: impl Fn(u64) -> Option<u64>) -> Result<Vec<Part>, Damage> {
    let count = read(0).ok_or(Damage::Parts)?;
    if count == 0 || count > body_bytes / WORD || table_bytes(count) > body_bytes {
        return Err(Damage::Parts);
    }
    let mut end = table_bytes(count);
    let mut parts = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for number in 1..=count {
        let len_bytes = read(number * WORD).ok_or(Damage::Parts)?;
        let offset_bytes = aligned(end);
        end = offset_bytes.checked_add(len_bytes).ok_or(Damage::Parts)?;
        if end > body_bytes {
            return Err(Damage::Parts);
        }
        parts.push(Part { offset_bytes, len_bytes });
    }
    Ok(parts)
}

fn table_bytes(count: u64) -> u64 {
    (count + 1) * WORD
}

fn aligned(offset: u64) -> u64 {
    offset.next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(body: &[u8]) -> impl Fn(u64) -> Option<u64> + '_ {
        |offset| {
            let at = usize::try_from(offset).ok()?;
            Some(u64::from_ne_bytes(body.get(at..at + 8)?.try_into().ok()?))
        }
    }

    #[test]
    fn a_body_gives_its_parts_back_where_they_were_put() {
        let bytes: [&[u8]; 4] = [b"stream", b"first", b"", b"third"];
        let buffers = [bytes[1].into(), bytes[2].into(), bytes[3].into()];
        let message = Message::with_buffers(b"stream", &buffers);
        let body = message.body();
        assert_eq!(body.len() as u64, message.body_bytes());
        let parts = read_table(body.len() as u64, read_from(&body)).unwrap();
        let placed: Vec<_> = message.placed_parts().collect();
        assert_eq!(parts.len(), 4);
        for ((part, (offset, _)), bytes) in parts.iter().zip(placed).zip(bytes) {
            assert_eq!(part.offset_bytes, offset);
            assert_eq!(part.offset_bytes % ALIGNMENT, 0);
            let start = usize::try_from(part.offset_bytes).unwrap();
            assert_eq!(&body[start..start + usize::try_from(part.len_bytes).unwrap()], bytes);
        }
    }

    #[test]
    fn a_table_that_leaves_its_body_is_refused() {
        let mut body = Message::new(b"stream").body();
        body[8..16].copy_from_slice(&u64::MAX.to_ne_bytes());
        assert_eq!(read_table(body.len() as u64, read_from(&body)), Err(Damage::Parts));
        body[0..8].copy_from_slice(&0_u64.to_ne_bytes());
        assert_eq!(read_table(body.len() as u64, read_from(&body)), Err(Damage::Parts));
        assert_eq!(read_table(0, |_| None), Err(Damage::Parts));
    }
}
