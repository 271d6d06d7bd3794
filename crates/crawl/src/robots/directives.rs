//! What the `X-Robots-Tag` header of an answer says to robots. (What a page says in its meta elements is `extract`'s.)

/// What is said there, as far as a crawler acts on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Directives {
    /// Its links shall not be followed.
    pub nofollow: bool,
    /// It shall not be shown in an index.
    pub noindex: bool,
}

impl Directives {
    /// Reads the values of all `X-Robots-Tag` headers; a value may begin with the name of the robot that it is for.
    pub fn from_header<'a>(values: impl IntoIterator<Item = &'a [u8]>, token: &str) -> Self {
        values
            .into_iter()
            .map(|value| Self::of_header_value(&String::from_utf8_lossy(value), token))
            .fold(Self::default(), Self::and)
    }

    /// Both together: what one of them forbids is forbidden.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { nofollow: self.nofollow || other.nofollow, noindex: self.noindex || other.noindex }
    }

    fn of_header_value(value: &str, token: &str) -> Self {
        // A name holds for all that follows it up to the next name: `a: nofollow, b: noindex`.
        let mut is_for_us = true;
        let mut found = Self::default();
        for part in value.split(',') {
            let directive = match part.split_once(':') {
                Some((name, rest)) if !takes_value(name.trim()) => {
                    is_for_us = name.trim() == "*" || (!token.is_empty() && name.trim().eq_ignore_ascii_case(token));
                    rest
                }
                _ => part,
            };
            if is_for_us {
                found = found.and(Self::of_word(directive));
            }
        }
        found
    }

    fn of_word(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().as_str() {
            "none" => Self { nofollow: true, noindex: true },
            "nofollow" => Self { nofollow: true, noindex: false },
            "noindex" => Self { nofollow: false, noindex: true },
            _ => Self::default(),
        }
    }
}

/// True for the directives that have a colon of their own.
fn takes_value(name: &str) -> bool {
    ["unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOFOLLOW: Directives = Directives { nofollow: true, noindex: false };
    const NOINDEX: Directives = Directives { nofollow: false, noindex: true };
    const NONE: Directives = Directives { nofollow: true, noindex: true };
    const ALL: Directives = Directives { nofollow: false, noindex: false };

    #[test]
    fn a_header_may_speak_to_one_robot() {
        for (values, expected) in [
            (&["noindex, nofollow"][..], NONE),
            (&["other: noindex, nofollow"], ALL),
            (&["bot: nofollow"], NOFOLLOW),
            (&["other: nofollow, BOT: noindex"], NOINDEX),
            (&["unavailable_after: 25 Jun 2010 15:00:00 PST, nofollow"], NOFOLLOW),
            (&["max-snippet: 5, noindex", "nofollow"], NONE),
            (&["other: noindex, *: nofollow"], NOFOLLOW),
            (&["all"], ALL),
            (&[], ALL),
        ] {
            assert_eq!(
                Directives::from_header(values.iter().map(|value| value.as_bytes()), "bot"),
                expected,
                "{values:?}"
            );
        }
    }
}
