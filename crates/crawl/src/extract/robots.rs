//! What a page says to robots about itself: the `robots` meta element and the `X-Robots-Tag` header.

/// What was said; what is not said is allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MetaRobots {
    /// Its links are not to be followed.
    pub no_follow: bool,
    /// It is not to be kept.
    pub no_index: bool,
}

impl MetaRobots {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { no_follow: self.no_follow || other.no_follow, no_index: self.no_index || other.no_index }
    }

    /// What a list of directives says.
    pub(super) fn read(directives: &str) -> Self {
        directives.split(',').map(str::trim).fold(Self::default(), |said, directive| {
            let is = |name: &str| directive.eq_ignore_ascii_case(name);
            said.and(Self { no_follow: is("nofollow") || is("none"), no_index: is("noindex") || is("none") })
        })
    }
}

/// What one `X-Robots-Tag` header says to the robot of this name (`googlebot: noindex` is for that one alone).
pub fn robots_header(value: &str, agent: &str) -> MetaRobots {
    let Some((name, directives)) = value.split_once(':') else { return MetaRobots::read(value) };
    let name = name.trim();
    // Directives with values have a colon, too; they come later in a list or are none of ours.
    let is_name = !name.contains(',')
        && !["unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"].contains(&name);
    if !is_name {
        return MetaRobots::read(value);
    }
    if name.eq_ignore_ascii_case(agent) || name == "*" { MetaRobots::read(directives) } else { MetaRobots::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read() {
        let said = |no_follow, no_index| MetaRobots { no_follow, no_index };
        assert_eq!(MetaRobots::read("NOINDEX, follow"), said(false, true));
        assert_eq!(MetaRobots::read("none"), said(true, true));
        assert_eq!(MetaRobots::read("index,max-snippet:-1"), said(false, false));
        assert_eq!(robots_header("nofollow", "threefold"), said(true, false));
        assert_eq!(robots_header("other: nofollow", "threefold"), said(false, false));
        assert_eq!(robots_header("Threefold: nofollow, noindex", "threefold"), said(true, true));
        assert_eq!(
            robots_header("noindex, unavailable_after: 25 Jun 2030 15:00:00 PST", "threefold"),
            said(false, true)
        );
        assert_eq!(robots_header("unavailable_after: 25 Jun 2030 15:00:00 PST", "threefold"), said(false, false));
    }
}
