//! What a page says to robots about itself in its `robots` meta element; what the header says is read in `crate::robots`.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read() {
        let said = |no_follow, no_index| MetaRobots { no_follow, no_index };
        assert_eq!(MetaRobots::read("NOINDEX, follow"), said(false, true));
        assert_eq!(MetaRobots::read("none"), said(true, true));
        assert_eq!(MetaRobots::read("index,max-snippet:-1"), said(false, false));
    }
}
