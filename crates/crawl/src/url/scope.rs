//! Which addresses belong to a crawl.

use std::net::Ipv4Addr;

use ::url::Url;
use regex::Regex;

use super::parts::Parts;
use crate::engine::ScopeKind;
use crate::refusal::Refusal;

/// Why there is no scope: a pattern that is no regular expression, a seed that can't be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScopeError(String);

#[derive(Debug, Clone)]
enum Rule {
    /// Host and port as an address has them, but for a leading `www.`.
    Hosts(Vec<String>),
    /// Registrable domains; of an address or a lone name: the name itself.
    Domains(Vec<String>),
    /// Host and port likewise, and the folder of the path.
    Prefixes(Vec<String>),
    Pattern(Regex),
}

/// Which addresses belong to a crawl: the rule that its seeds give, narrowed by patterns.
#[derive(Debug, Clone)]
pub struct Scope {
    rule: Rule,
    include: Vec<Regex>,
    exclude: Vec<Regex>,
}

impl Scope {
    /// The scope that these seeds and patterns make. `http` and `https` of one host (and folder) belong together, and so do
    /// `example.org` and `www.example.org`: most sites answer at one of the two by leading to the other.
    ///
    /// # Errors
    /// A pattern is no regular expression, or a seed is no `http` or `https` address.
    pub fn new(kind: &ScopeKind, seeds: &[Url], include: &[String], exclude: &[String]) -> Result<Self, ScopeError> {
        let parts = seeds.iter().map(|seed| {
            Parts::of(seed.as_str())
                .ok_or_else(|| ScopeError(format!("{seed} can't be crawled: only http and https addresses can")))
        });
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let each = |make: fn(&Parts<'_>) -> String| {
            let mut all: Vec<String> = parts.iter().map(make).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let rule = match kind {
            ScopeKind::Host => Rule::Hosts(each(|parts| without_www(parts.host).to_owned())),
            ScopeKind::Domain => Rule::Domains(each(|parts| domain_of(parts.host_name()).to_owned())),
            ScopeKind::Prefix => Rule::Prefixes(each(|parts| format!("{}{}", without_www(parts.host), parts.folder()))),
            ScopeKind::Regex(pattern) => Rule::Pattern(compiled("--scope", pattern)?),
        };
        let all = |option: &str, patterns: &[String]| {
            patterns.iter().map(|pattern| compiled(option, pattern)).collect::<Result<_, _>>()
        };
        Ok(Self { rule, include: all("--include", include)?, exclude: all("--exclude", exclude)? })
    }

    /// Whether an address belongs to the crawl.
    ///
    /// # Errors
    /// Why it does not: `NotFetchable`, `OutOfScope` or `Filtered`.
    pub fn admits(&self, url: &Url) -> Result<(), Refusal> {
        self.admits_text(url.as_str())
    }

    /// [`Self::admits`] for a serialised address.
    pub(crate) fn admits_text(&self, url: &str) -> Result<(), Refusal> {
        let parts = Parts::of(url).ok_or(Refusal::NotFetchable)?;
        if !self.covers(url, &parts) {
            return Err(Refusal::OutOfScope);
        }
        let is_filtered = (!self.include.is_empty() && !self.include.iter().any(|pattern| pattern.is_match(url)))
            || self.exclude.iter().any(|pattern| pattern.is_match(url));
        if is_filtered { Err(Refusal::Filtered) } else { Ok(()) }
    }

    /// Says in a sentence whether an address belongs to the crawl, and by which rule.
    pub fn explain(&self, url: &Url) -> String {
        let text = url.as_str();
        let Some(parts) = Parts::of(text) else {
            return format!("{text} can't be fetched: only http and https addresses can");
        };
        if !self.covers(text, &parts) {
            return format!("{text} is outside the scope: {}", self.rule_in_words(&parts, false));
        }
        if let Some(pattern) = self.exclude.iter().find(|pattern| pattern.is_match(text)) {
            return format!("{text} is left out: --exclude {pattern} matches it");
        }
        let Some(included) = self.include.iter().find(|pattern| pattern.is_match(text)) else {
            if self.include.is_empty() {
                return format!("{text} is in the scope: {}", self.rule_in_words(&parts, true));
            }
            return format!("{text} is left out: no --include matches it");
        };
        format!("{text} is in the scope: {}, and --include {included} matches it", self.rule_in_words(&parts, true))
    }

    fn covers(&self, url: &str, parts: &Parts<'_>) -> bool {
        match &self.rule {
            Rule::Hosts(hosts) => hosts.iter().any(|host| host == without_www(parts.host)),
            Rule::Domains(domains) => domains.iter().any(|domain| is_under(parts.host_name(), domain)),
            Rule::Prefixes(prefixes) => prefixes.iter().any(|prefix| {
                prefix
                    .strip_prefix(without_www(parts.host))
                    .is_some_and(|folder| folder.starts_with('/') && parts.path.starts_with(folder))
            }),
            Rule::Pattern(pattern) => pattern.is_match(url),
        }
    }

    fn rule_in_words(&self, parts: &Parts<'_>, covers: bool) -> String {
        let verb = if covers { "is" } else { "is not" };
        match &self.rule {
            Rule::Hosts(hosts) => format!("its host {} {verb} among {}", parts.host, hosts.join(", ")),
            Rule::Domains(domains) => format!("its host {} {verb} under {}", parts.host_name(), domains.join(", ")),
            Rule::Prefixes(prefixes) => {
                format!("it {} with {}", if covers { "begins" } else { "does not begin" }, prefixes.join(", "))
            }
            Rule::Pattern(pattern) => {
                format!("--scope {pattern} {} it", if covers { "matches" } else { "does not match" })
            }
        }
    }
}

fn compiled(option: &str, pattern: &str) -> Result<Regex, ScopeError> {
    // The parser draws its message over several lines; its last one says what is wrong.
    Regex::new(pattern).map_err(|error| {
        let message = error.to_string();
        let reason = message.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
        ScopeError(format!("{option} {pattern:?} is not a regular expression: {reason}"))
    })
}

/// A host without the `www.` that many sites have with and without.
fn without_www(host: &str) -> &str {
    host.strip_prefix("www.").filter(|rest| rest.contains('.')).unwrap_or(host)
}

/// The part of a host name that its owner registered; addresses and names without one stand for themselves.
fn domain_of(host: &str) -> &str {
    let name = host.strip_suffix('.').unwrap_or(host);
    if host.starts_with('[') || name.parse::<Ipv4Addr>().is_ok() {
        return host;
    }
    psl::domain_str(name).unwrap_or(name)
}

fn is_under(host: &str, domain: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    // The list is asked only for names that end like the domain: a suffix of its own may begin below it.
    name == domain || (name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')) && domain_of(name) == domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn scope(kind: &ScopeKind, seed: &str) -> Scope {
        Scope::new(kind, &[url(seed)], &[], &[]).unwrap()
    }

    fn check(scope: &Scope, inside: &[&str], outside: &[&str]) {
        for text in inside {
            assert_eq!(scope.admits(&url(text)), Ok(()), "{text}");
        }
        for text in outside {
            assert_eq!(scope.admits(&url(text)), Err(Refusal::OutOfScope), "{text}");
        }
    }

    #[test]
    fn a_host_is_a_name_and_a_port() {
        let inside = ["http://a.example/x", "https://a.example/", "http://u:p@a.example/"];
        check(
            &scope(&ScopeKind::Host, "http://a.example/b/"),
            &inside,
            &["http://b.a.example/", "http://a.example:81/", "http://example/"],
        );
        check(
            &scope(&ScopeKind::Host, "http://example.org/"),
            &["https://www.example.org/x"],
            &["http://www.www.example.org/", "http://w.example.org/", "http://www.example.com/"],
        );
        check(&scope(&ScopeKind::Host, "http://www.com/"), &["http://www.com/"], &["http://com/"]);
        check(
            &scope(&ScopeKind::Host, "http://127.0.0.1:8901/"),
            &["http://127.0.0.1:8901/p"],
            &["http://127.0.0.1:8902/"],
        );
    }

    #[test]
    fn a_domain_is_what_was_registered() {
        let outside =
            ["http://example.co.uk.evil.org/", "http://co.uk/", "http://other.co.uk/", "http://badexample.co.uk/"];
        check(
            &scope(&ScopeKind::Domain, "http://www.example.co.uk/"),
            &["http://example.co.uk/", "https://x.y.example.co.uk:8443/"],
            &outside,
        );
        check(
            &scope(&ScopeKind::Domain, "http://me.github.io/"),
            &["http://a.me.github.io/"],
            &["http://you.github.io/", "http://github.io/"],
        );
        check(&scope(&ScopeKind::Domain, "http://localhost:1/"), &["http://localhost:2/"], &["http://example.org/"]);
        check(
            &scope(&ScopeKind::Domain, "http://127.0.0.1/"),
            &["http://127.0.0.1:2/"],
            &["http://1.127.0.0.1.org/", "http://0.0.0.1/"],
        );
    }

    #[test]
    fn a_prefix_is_the_folder_of_the_seed() {
        let outside =
            ["http://a.example/", "http://a.example/docsx", "http://b.example/docs/x", "http://a.example:8/docs/"];
        check(
            &scope(&ScopeKind::Prefix, "http://www.a.example/docs/index.html"),
            &["https://www.a.example/docs/x/y", "http://a.example/docs/"],
            &outside,
        );
    }

    #[test]
    fn patterns_choose_and_filter() {
        check(
            &scope(&ScopeKind::Regex("^http://[ab]\\.example/".into()), "http://a.example/"),
            &["http://b.example/"],
            &["http://c.example/"],
        );
        let filtered =
            Scope::new(&ScopeKind::Host, &[url("http://a/")], &["\\.html$".into()], &["private".into()]).unwrap();
        assert_eq!(filtered.admits(&url("http://a/x.html")), Ok(()));
        assert_eq!(filtered.admits(&url("http://a/x.pdf")), Err(Refusal::Filtered));
        assert_eq!(filtered.admits(&url("http://a/private.html")), Err(Refusal::Filtered));
        assert_eq!(filtered.admits(&url("mailto:a@b")), Err(Refusal::NotFetchable));
    }

    #[test]
    fn the_rule_is_said_in_words() {
        let filtered =
            Scope::new(&ScopeKind::Host, &[url("http://a/")], &["\\.html$".into()], &["private".into()]).unwrap();
        assert_eq!(filtered.explain(&url("http://b/")), "http://b/ is outside the scope: its host b is not among a");
        assert_eq!(
            filtered.explain(&url("http://a/private.html")),
            "http://a/private.html is left out: --exclude private matches it"
        );
        assert_eq!(filtered.explain(&url("http://a/x")), "http://a/x is left out: no --include matches it");
        assert_eq!(
            filtered.explain(&url("http://a/x.html")),
            "http://a/x.html is in the scope: its host a is among a, and --include \\.html$ matches it"
        );
    }

    #[test]
    fn a_bad_pattern_is_one_sentence() {
        let error = Scope::new(&ScopeKind::Host, &[url("http://a/")], &["(".into()], &[]).unwrap_err();
        assert_eq!(error.to_string(), "--include \"(\" is not a regular expression: unclosed group");
        assert!(Scope::new(&ScopeKind::Host, &[url("file:///a")], &[], &[]).is_err());
    }
}
