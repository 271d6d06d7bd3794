//! What makes a crawl that crawl: the options that its set of pages follows from.

use serde::{Deserialize, Serialize};

use crate::engine::{CrawlOptions, ScopeKind};

/// The seeds and the options that decide which pages belong to a crawl; a state is resumed only with the same ones.
/// Limits, politeness and where the output goes may change in between.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    seeds: Vec<String>,
    settings: Vec<(String, String)>,
}

impl Identity {
    /// The identity of the crawl that these options describe.
    pub fn of(options: &CrawlOptions) -> Self {
        let scope = match &options.scope {
            ScopeKind::Host => "host".to_owned(),
            ScopeKind::Domain => "domain".to_owned(),
            ScopeKind::Prefix => "prefix".to_owned(),
            ScopeKind::Regex(pattern) => format!("regex {pattern}"),
        };
        let fields: Vec<String> = options.fields.iter().map(|(name, selector)| format!("{name}={selector}")).collect();
        let settings = [
            ("scope", scope),
            ("include", options.include.join(" ")),
            ("exclude", options.exclude.join(" ")),
            ("depth", options.depth.to_string()),
            ("follow", options.follow.to_string()),
            ("robots", options.robots.to_string()),
            ("sitemaps", options.sitemaps.to_string()),
            ("allow-private", options.allow_private.to_string()),
            ("fields", fields.join(" ")),
        ];
        Self { seeds: options.seeds.clone(), settings: settings.map(|(name, value)| (name.to_owned(), value)).to_vec() }
    }

    /// The form that a store keeps.
    pub(super) fn to_json(&self) -> String {
        serde_json::json!({ "seeds": self.seeds, "settings": self.settings }).to_string()
    }

    /// Reads what [`Identity::to_json`] gave; none where it is something else.
    pub(super) fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// How a stored crawl differs from this one, as the end of a sentence; none where they are the same.
    pub(super) fn difference(&self, stored: &Self) -> Option<String> {
        if self.seeds != stored.seeds {
            return Some(format!("its seeds are {}, not {}", stored.seeds.join(" "), self.seeds.join(" ")));
        }
        let value = |settings: &[(String, String)], name: &str| {
            settings.iter().find(|(known, _)| known == name).map_or(String::new(), |(_, value)| value.clone())
        };
        let names = self.settings.iter().chain(&stored.settings).map(|(name, _)| name);
        let differing = names.into_iter().find(|name| value(&self.settings, name) != value(&stored.settings, name))?;
        let quoted = |settings| format!("\"{}\"", value(settings, differing));
        Some(format!("its {differing} is {}, not {}", quoted(&stored.settings), quoted(&self.settings)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crawl_is_the_same_whatever_its_limits_are() {
        let options = CrawlOptions { seeds: vec!["http://a/".into()], ..CrawlOptions::default() };
        let limited = CrawlOptions { pages: Some(7), concurrency: 1, ..options.clone() };
        let kept = Identity::from_json(&Identity::of(&options).to_json()).unwrap();
        assert_eq!(Identity::of(&limited).difference(&kept), None);
    }

    #[test]
    fn the_difference_names_the_option_and_both_values() {
        let options = CrawlOptions { seeds: vec!["http://a/".into()], ..CrawlOptions::default() };
        let deeper = CrawlOptions { depth: 3, ..options.clone() };
        let stored = Identity::of(&options);
        assert_eq!(Identity::of(&deeper).difference(&stored).unwrap(), "its depth is \"50\", not \"3\"");
        let other = CrawlOptions { seeds: vec!["http://b/".into()], ..options };
        assert_eq!(Identity::of(&other).difference(&stored).unwrap(), "its seeds are http://a/, not http://b/");
    }
}
