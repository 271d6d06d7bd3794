//! Names and places as small handles to a string region, which is the same in a process and in its forked children.
//!
//! A program that makes a million threads or tasks gives them a million names that differ in a number: `Task-812345`.
//! So a handle is a pattern plus one number, and only the pattern takes room.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::layout::{TEXTS, WORD_BYTES};
use crate::table;

/// Longer texts are cut.
const MOST_BYTES: usize = 240;

/// Stands for the number in a pattern.
const NUMBER: char = '\0';

/// A handle to a text; two equal texts have equal handles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text {
    /// First word of the pattern in the region; 0 = no text.
    pattern: u32,
    /// What stands in the pattern's place for it.
    number: u32,
}

impl Text {
    /// No text.
    pub const NONE: Self = Self { pattern: 0, number: 0 };

    /// As one word.
    pub const fn bits(self) -> u64 {
        (self.pattern as u64) << 32 | self.number as u64
    }

    /// From [`Text::bits`] of the same process or an ancestor of it.
    pub const fn from_bits(bits: u64) -> Self {
        Self { pattern: (bits >> 32) as u32, number: (bits & 0xffff_ffff) as u32 }
    }

    pub(crate) const fn first_word(self) -> u32 {
        self.pattern
    }

    /// Puts the number back into the pattern.
    pub(crate) fn fill(self, pattern: &str) -> String {
        pattern.replace(NUMBER, &self.number.to_string())
    }
}

/// Everything interned so far: the words of the region and where each pattern lies in them.
#[derive(Debug, Default)]
pub(crate) struct Store {
    firsts: HashMap<Box<str>, u32>,
    words: Vec<u64>,
}

impl Store {
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// The first word of `pattern`, added if it is new; 0 when the region is full.
    fn first_word(&mut self, pattern: &str) -> u32 {
        if let Some(&first) = self.firsts.get(pattern) {
            return first;
        }
        // Word 0 stays empty, so that 0 can mean "none".
        let first = self.words.len().max(1);
        let mut bytes = Vec::with_capacity(pattern.len() + 2 + WORD_BYTES);
        bytes.extend_from_slice(&u16::try_from(pattern.len()).unwrap_or(0).to_ne_bytes());
        bytes.extend_from_slice(pattern.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(WORD_BYTES), 0);
        let end = first + bytes.len() / WORD_BYTES;
        if end > TEXTS.capacity as usize {
            table::count_lost_text();
            return 0;
        }
        self.words.resize(first, 0);
        self.words.extend(
            bytes.chunks_exact(WORD_BYTES).map(|chunk| u64::from_ne_bytes(chunk.try_into().unwrap_or_default())),
        );
        if !table::write_texts(first, &self.words[first..]) {
            self.words.truncate(first);
            table::count_lost_text();
            return 0;
        }
        let first = u32::try_from(first).unwrap_or(0);
        self.firsts.insert(pattern.into(), first);
        first
    }
}

static STORE: Mutex<Option<Store>> = Mutex::new(None);

/// The store, locked. Held for a look-up and a copy only.
pub(crate) fn store() -> MutexGuard<'static, Option<Store>> {
    STORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handle for `text`; [`Text::NONE`] when it is empty or the region is full.
pub fn intern(text: &str) -> Text {
    if text.is_empty() {
        return Text::NONE;
    }
    let mut pattern = [0_u8; MOST_BYTES];
    let Some((pattern, number)) = split(text, &mut pattern) else {
        return intern(&cut(&text.replace(NUMBER, "\u{fffd}")));
    };
    match store().get_or_insert_default().first_word(pattern) {
        0 => Text::NONE,
        first => Text { pattern: first, number },
    }
}

/// Takes the number out of `text`, into `buffer`; `None` for a text that must be cleaned or cut first.
fn split<'a>(text: &str, buffer: &'a mut [u8; MOST_BYTES]) -> Option<(&'a str, u32)> {
    if text.len() >= MOST_BYTES || text.contains(NUMBER) {
        return None;
    }
    let (before, number, after) = match number_in(text) {
        Some((start, end, number)) => (&text[..start], Some(number), &text[end..]),
        None => (text, None, ""),
    };
    let mut length = before.len();
    buffer[..length].copy_from_slice(before.as_bytes());
    if number.is_some() {
        length += 1;
    }
    buffer[length..length + after.len()].copy_from_slice(after.as_bytes());
    let pattern = std::str::from_utf8(&buffer[..length + after.len()]).ok()?;
    Some((pattern, number.unwrap_or(0)))
}

/// Where the number is that tells texts of a kind apart: the line after the last colon (`app.py:12`), or what follows
/// the first dash or underscore before a digit (`Task-7`, `Thread-7 (work2)`).
fn number_in(text: &str) -> Option<(usize, usize, u32)> {
    let bytes = text.as_bytes();
    let line = text.rfind(':').map(|colon| colon + 1).filter(|&start| is_number(&text[start..]));
    let start = line.or_else(|| {
        let at = bytes.windows(2).position(|pair| matches!(pair[0], b'-' | b'_') && pair[1].is_ascii_digit())?;
        Some(at + 1)
    })?;
    let end =
        bytes[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |length| start + length);
    // A number that would be written differently ("007") stays as it is.
    if !is_number(&text[start..end]) || (end - start > 1 && bytes[start] == b'0') {
        return None;
    }
    Some((start, end, text[start..end].parse().ok()?))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The end of a place, the beginning of a name: what a reader needs most of a text that is too long.
fn cut(text: &str) -> String {
    const ROOM: usize = MOST_BYTES - 8;
    if text.len() < ROOM {
        return text.to_owned();
    }
    if number_in(text).is_some_and(|(_, end, _)| end == text.len()) {
        let start = (text.len() - ROOM..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
        return format!("…{}", &text[start..]);
    }
    let end = (0..=ROOM).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, u32) {
        let mut buffer = [0; MOST_BYTES];
        let (pattern, number) = split(text, &mut buffer).unwrap();
        (pattern.to_owned(), number)
    }

    #[test]
    fn texts_that_differ_in_their_number_share_a_pattern() {
        assert_eq!(parts("Task-812345"), ("Task-\0".into(), 812_345));
        assert_eq!(parts("Thread-3 (work_2)"), ("Thread-\0 (work_2)".into(), 3));
        assert_eq!(parts("app-2.py:31"), ("app-2.py:\0".into(), 31));
        assert_eq!(parts("MainThread"), ("MainThread".into(), 0));
        assert_eq!(parts("agent-007"), ("agent-007".into(), 0));
        assert_eq!(parts("n-99999999999"), ("n-99999999999".into(), 0));
    }

    #[test]
    fn equal_texts_have_equal_handles_and_different_ones_do_not() {
        assert_eq!(intern("same-1"), intern("same-1"));
        assert_ne!(intern("same-1"), intern("same-2"));
        assert_ne!(intern("same-0"), intern("same-"));
        assert_eq!(intern(""), Text::NONE);
        assert_eq!(Text::from_bits(intern("same-7").bits()), intern("same-7"));
    }

    #[test]
    fn a_long_place_keeps_its_end_and_a_long_name_its_beginning() {
        let place = format!("{}/app.py:31", "é".repeat(300));
        assert!(cut(&place).ends_with("/app.py:31") && cut(&place).len() < MOST_BYTES);
        let name = format!("first{}", "é".repeat(300));
        assert!(cut(&name).starts_with("first") && cut(&name).len() < MOST_BYTES);
        assert_ne!(intern(&place), Text::NONE);
        assert_ne!(intern("with\0zero"), Text::NONE);
    }
}
