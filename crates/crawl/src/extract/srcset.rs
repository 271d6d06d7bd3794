//! The addresses in a `srcset`, and in the `content` of a refresh.

/// The addresses of a `srcset`, without their widths and densities.
///
/// Source: WHATWG HTML, "parse a srcset attribute".
pub(super) fn srcset(value: &str) -> Vec<&str> {
    let mut addresses = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches(|next: char| next.is_ascii_whitespace() || next == ',');
        if rest.is_empty() {
            return addresses;
        }
        let end = rest.find(|next: char| next.is_ascii_whitespace()).unwrap_or(rest.len());
        let (address, after) = rest.split_at(end);
        let bare = address.trim_end_matches(',');
        addresses.push(bare);
        rest = if bare.len() < address.len() { after } else { after_descriptors(after) };
    }
}

/// Behind the comma that ends a candidate's descriptors; commas in parentheses do not.
fn after_descriptors(text: &str) -> &str {
    let mut is_inside = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => is_inside = true,
            b')' => is_inside = false,
            b',' if !is_inside => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

/// The address of a refresh: `5; url=next.html`. None where the page would only load itself again.
///
/// Source: WHATWG HTML, "shared declarative refresh steps".
pub(super) fn refresh(content: &str) -> Option<&str> {
    let text = content.trim_start_matches(|next: char| next.is_ascii_whitespace());
    let after = text.trim_start_matches(|next: char| next.is_ascii_digit());
    if after.len() == text.len() && !text.starts_with('.') {
        return None;
    }
    let after = after.trim_start_matches(|next: char| next.is_ascii_digit() || next == '.');
    let separated = after.trim_start_matches(|next: char| next.is_ascii_whitespace());
    let separated = separated.strip_prefix([';', ',']).unwrap_or(separated);
    if separated.len() == after.len() && !after.is_empty() {
        return None;
    }
    let text = separated.trim_start_matches(|next: char| next.is_ascii_whitespace());
    let address = named(text).unwrap_or(text);
    let quote = address.chars().next().filter(|first| matches!(first, '"' | '\''));
    let address = quote.map_or(address, |quote| address[1..].split(quote).next().unwrap_or_default());
    (!address.is_empty()).then_some(address)
}

/// What stands behind `url =`.
fn named(text: &str) -> Option<&str> {
    let head = text.get(..3).filter(|head| head.eq_ignore_ascii_case("url"))?;
    let rest = text[head.len()..].trim_start_matches(|next: char| next.is_ascii_whitespace());
    Some(rest.strip_prefix('=')?.trim_start_matches(|next: char| next.is_ascii_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_srcset_are_found() {
        assert_eq!(
            srcset("a.png, b.png 2x,c,d.png 100w , e,f(x,y) calc(1,2)x, g"),
            ["a.png", "b.png", "c,d.png", "e,f(x,y)", "g"]
        );
        assert_eq!(srcset(" ,, "), Vec::<&str>::new());
    }

    #[test]
    fn the_address_of_a_refresh_is_found() {
        let cases = [
            ("0;url=a.html", Some("a.html")),
            (" 5.5 ; URL = 'a b' c", Some("a b")),
            ("3,\"x\"", Some("x")),
            ("3 x", Some("x")),
            ("0; urlx", Some("urlx")),
            ("0;url=", None),
            ("5", None),
            ("x;url=a", None),
            ("5x", None),
            ("", None),
        ];
        for (content, address) in cases {
            assert_eq!(refresh(content), address, "{content}");
        }
    }
}
