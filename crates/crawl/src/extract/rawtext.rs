//! Where text ends in which only one end tag is markup: `style`, `title` and their like, and `script` with its two escapes.

use memchr::{memchr, memchr2};

use super::scan::is_space;

/// Where the end tag of this name begins, at or behind this place; none where there is none.
pub(super) fn raw_text_end(bytes: &[u8], from: usize, name: &[u8]) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr(b'<', bytes.get(at..)?)?;
        if is_end_tag(&bytes[at + 1..], name) {
            return Some(at);
        }
        at += 1;
    }
}

/// `/name` and then what ends a name: else it is text.
fn is_end_tag(rest: &[u8], name: &[u8]) -> bool {
    rest.first() == Some(&b'/') && begins_name(&rest[1..], name)
}

fn begins_name(rest: &[u8], name: &[u8]) -> bool {
    let Some((head, tail)) = rest.split_at_checked(name.len()) else { return false };
    tail.first().is_some_and(|next| is_space(*next) || matches!(next, b'/' | b'>')) && head.eq_ignore_ascii_case(name)
}

/// How the text of a script is escaped: by `<!--`, and in that again by `<script`, whose end tag is none then.
enum Escape {
    None,
    Once,
    Twice,
}

/// Where the end tag of a script begins, at or behind this place; none where there is none.
pub(super) fn script_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut escape = Escape::None;
    let mut at = from;
    loop {
        at += match escape {
            Escape::None => memchr(b'<', bytes.get(at..)?)?,
            Escape::Once | Escape::Twice => memchr2(b'<', b'>', bytes.get(at..)?)?,
        };
        if bytes[at] == b'>' {
            // The dashes of `<!--` itself count, so that `<!-->` escapes nothing.
            if bytes[..at].ends_with(b"--") {
                escape = Escape::None;
            }
            at += 1;
            continue;
        }
        let rest = &bytes[at + 1..];
        match escape {
            Escape::None | Escape::Once if is_end_tag(rest, b"script") => return Some(at),
            Escape::None if rest.starts_with(b"!--") => {
                escape = Escape::Once;
                at += 3;
            }
            Escape::Once if begins_name(rest, b"script") => escape = Escape::Twice,
            Escape::Twice if is_end_tag(rest, b"script") => escape = Escape::Once,
            _ => {}
        }
        at += 1;
    }
}
