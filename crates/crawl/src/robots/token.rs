//! Product tokens: the name under which a robots.txt speaks to a crawler.

/// The product token of a `User-Agent` header: its first product's name, or that of the one behind `compatible;` where the header
/// begins like a browser's. Empty where there is none; such a crawler follows what is said to all.
pub fn product_token(user_agent: &str) -> &str {
    let first = leading(user_agent.trim_start());
    if !first.eq_ignore_ascii_case("mozilla") {
        return first;
    }
    let marker = "compatible;";
    match user_agent.find(marker) {
        Some(start) => match leading(user_agent[start + marker.len()..].trim_start()) {
            "" => first,
            own => own,
        },
        None => first,
    }
}

fn leading(text: &str) -> &str {
    let end = text.find(|character: char| !is_of_token(character) && !character.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

/// True for what RFC 9309 (2.2.1) lets a product token consist of.
fn is_of_token(character: char) -> bool {
    character.is_ascii_alphabetic() || character == '_' || character == '-'
}

/// Whom a user-agent line speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addressee {
    All,
    Us,
    Another,
}

/// Whom the value of a user-agent line speaks to, if this is our token.
///
/// What follows the token in the line is ignored (`FooBot/1.0`, `foobot*`), as Google does. Digits are no part of a token by the RFC,
/// but of the names of real crawlers (`MJ12bot`): who has one is spoken to by it, too.
pub(super) fn addressee(value: &[u8], token: &str) -> Addressee {
    if value.first() == Some(&b'*') && value.get(1).is_none_or(u8::is_ascii_whitespace) {
        return Addressee::All;
    }
    let run = |with_digits: bool| {
        let part = |&byte: &u8| is_of_token(char::from(byte)) || (with_digits && byte.is_ascii_digit());
        let end = value.iter().position(|byte| !part(byte)).unwrap_or(value.len());
        &value[..end]
    };
    let is_ours = |name: &[u8]| !name.is_empty() && name.eq_ignore_ascii_case(token.as_bytes());
    if is_ours(run(false)) || is_ours(run(true)) { Addressee::Us } else { Addressee::Another }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_the_name_of_the_first_product() {
        for (header, token) in [
            ("threefold/0.1", "threefold"),
            ("  Foo_Bot-x (+http://foo)", "Foo_Bot-x"),
            ("MJ12bot/v1.4", "MJ12bot"),
            ("Mozilla/5.0 (compatible; FooBot/2.1; +http://foo)", "FooBot"),
            ("Mozilla/5.0 (compatible;)", "Mozilla"),
            ("Mozilla/5.0 (X11; Linux)", "Mozilla"),
            ("", ""),
            ("/1", ""),
        ] {
            assert_eq!(product_token(header), token, "{header}");
        }
    }

    #[test]
    fn a_line_speaks_to_the_token_that_it_begins_with_in_any_case() {
        for (value, expected) in [
            ("foobot", Addressee::Us),
            ("FOOBOT/2.1 (x)", Addressee::Us),
            ("FooBot*", Addressee::Us),
            ("foobot42", Addressee::Us),
            ("*", Addressee::All),
            ("* # all", Addressee::All),
            ("*bot", Addressee::Another),
            ("foobot-news", Addressee::Another),
            ("foo", Addressee::Another),
            ("", Addressee::Another),
        ] {
            assert_eq!(addressee(value.as_bytes(), "FooBot"), expected, "{value}");
        }
        assert_eq!(addressee(b"MJ12bot", "mj12BOT"), Addressee::Us);
        assert_eq!(addressee(b"anything", ""), Addressee::Another);
    }
}
