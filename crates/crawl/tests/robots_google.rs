//! Google's matcher and ours answer alike, but for the differences that are listed here with their reasons.

use threefold_crawl::robots::Rules;

/// Where we answer otherwise: agent, path, why.
const DIFFERENCES: [(&str, &str, &str); 8] = [
    ("FooBot", "/foo/bar/ツ", "Google leaves it to the caller to encode the address; the RFC compares encoded octets"),
    ("FooBot", "/foo/bar/baz", "the RFC decodes encoded letters before it compares (2.2.2); Google does not"),
    ("XYZ", "/robots.txt", "/robots.txt is always allowed by the RFC (2.2.2)"),
    ("asdfbot", "/robots.txt", "/robots.txt is always allowed by the RFC (2.2.2)"),
    ("BarBot", "/robots.txt", "/robots.txt is always allowed by the RFC (2.2.2)"),
    ("AB", "/robots.txt", "/robots.txt is always allowed by the RFC (2.2.2)"),
    (
        "AB42bot",
        "/foo/bar",
        "a robot with a digit in its name is spoken to by that name; by the RFC nobody could speak to it",
    ),
    ("AB42bot", "/", "a robot with a digit in its name is spoken to by that name; by the RFC nobody could speak to it"),
];

/// The answers of one file.
struct Case {
    robots: String,
    answers: Vec<(String, String, bool)>,
}

fn cases() -> Vec<Case> {
    let text = include_str!("google_cases.txt");
    let read = |block: &str| {
        let mut case = Case { robots: String::new(), answers: Vec::new() };
        let mut agent = "";
        for line in block.lines() {
            match line.split_at_checked(2) {
                Some(("= ", name)) => agent = name,
                Some((sign @ ("+ " | "- "), path)) => {
                    case.answers.push((agent.to_owned(), path.to_owned(), sign == "+ "));
                }
                _ => case.robots.extend([line, "\n"]),
            }
        }
        case
    };
    text.split("----\n").skip(1).map(read).collect()
}

#[test]
fn we_answer_as_google_does() {
    let mut differing = Vec::new();
    let mut count = 0;
    for case in cases() {
        for (agent, path, expected) in case.answers {
            count += 1;
            let rules = Rules::parse(case.robots.as_bytes(), &agent);
            if rules.verdict(&path).allowed != expected {
                differing.push((agent, path));
            }
        }
    }
    assert!(count > 400, "{count}");
    differing.sort();
    differing.dedup();
    let mut listed: Vec<_> = DIFFERENCES.iter().map(|&(agent, path, _)| (agent.to_owned(), path.to_owned())).collect();
    listed.sort();
    assert_eq!(differing, listed);
}
