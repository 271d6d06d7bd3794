//! The text of an attribute or a title: decoded, with its character references replaced.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

/// The value of an attribute.
pub(super) fn attribute_text<'a>(value: &'a [u8], encoding: &'static Encoding) -> Cow<'a, str> {
    let text = decoded(value, encoding);
    if memchr::memchr(b'&', text.as_bytes()).is_none() {
        return text;
    }
    match htmlize::unescape_attribute(&*text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(unescaped) => Cow::Owned(unescaped),
    }
}

/// The text of a title, white space collapsed; none where nothing is left.
pub(super) fn title_text(value: &[u8], encoding: &'static Encoding) -> Option<String> {
    let text = decoded(value, encoding);
    let text = htmlize::unescape(&*text);
    let mut words = text.split([' ', '\t', '\n', '\r', '\x0c']).filter(|word| !word.is_empty());
    let mut title = words.next()?.to_owned();
    for word in words {
        title.push(' ');
        title.push_str(word);
    }
    Some(title)
}

fn decoded<'a>(value: &'a [u8], encoding: &'static Encoding) -> Cow<'a, str> {
    let text = match std::str::from_utf8(value) {
        Ok(text) if encoding == UTF_8 || text.is_ascii() => Cow::Borrowed(text),
        _ => encoding.decode_without_bom_handling(value).0,
    };
    if memchr::memchr(0, text.as_bytes()).is_some() { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text }
}
