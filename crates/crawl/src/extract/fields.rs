//! Declared fields: values that selectors take from a page, without a program.

use html5ever::driver::{ParseOpts, parse_document};
use html5ever::tendril::TendrilSink;
use scraper::{ElementRef, Html, HtmlTreeSink, Selector};

/// The time that a tree takes grows with the square of its depth: a page is cut where it is nested deeper than this, as in Blink.
const DEPTH_AT_MOST: usize = 512;
/// Elements that are not closed are repeated in each paragraph: a small page can have any number of them.
const NODES_AT_MOST: usize = 500_000;
/// How often that is looked at.
const PIECE_BYTES: usize = 1024;

/// What is wrong with a declared field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the field {name:?} can't be read: {reason}")]
pub struct FieldError {
    name: String,
    reason: String,
}

/// What is taken of an element.
#[derive(Debug, Clone)]
enum Part {
    /// Its text with that of all elements in it, white space collapsed.
    Text,
    /// Its markup, with its own tags.
    Markup,
    /// The value of an attribute.
    Attribute(String),
}

#[derive(Debug, Clone)]
struct Field {
    /// The name as JSON.
    name: String,
    selector: Selector,
    part: Part,
    is_list: bool,
}

/// Declared fields, ready to be read from pages.
///
/// A field is a name and a CSS selector with what to take of the element: `h1::text` (or `h1` alone), `a.next::attr(href)`,
/// `div.body::html`. It takes the first element that matches; with a star behind it (`li::text*`, `a::attr(href)*`) all of them,
/// as a list.
///
/// # Examples
/// ```
/// use threefold_crawl::extract::Fields;
/// let declared = [("title", "h1::text"), ("links", "a::attr(href)*"), ("price", ".price")];
/// let fields = Fields::new(&declared.map(|(name, selector)| (name.to_owned(), selector.to_owned()))).unwrap();
/// let item = fields.read("<h1>A  <b>book</b></h1><a href=1><a href=2>");
/// assert_eq!(item, r#"{"title":"A book","links":["1","2"],"price":null}"#);
/// ```
#[derive(Debug, Clone)]
pub struct Fields {
    fields: Vec<Field>,
}

impl Fields {
    /// Reads declarations: names with their selectors.
    ///
    /// # Errors
    /// A selector is none, or what stands behind `::` is unknown.
    pub fn new(declared: &[(String, String)]) -> Result<Self, FieldError> {
        let fields = declared.iter().map(|(name, text)| {
            let error = |reason: String| FieldError { name: name.clone(), reason };
            let (selector, part, is_list) = declaration(text).map_err(&error)?;
            let selector =
                Selector::parse(selector).map_err(|_| error(format!("{selector:?} is not a CSS selector")))?;
            Ok(Field { name: quoted(name), selector, part, is_list })
        });
        Ok(Self { fields: fields.collect::<Result<_, _>>()? })
    }

    /// The values of the fields of a page, as a JSON object in the order of the declarations; null where nothing matches.
    pub fn read(&self, text: &str) -> String {
        let document = parsed(text);
        let mut json = String::from("{");
        for (number, field) in self.fields.iter().enumerate() {
            if number > 0 {
                json.push(',');
            }
            json.push_str(&field.name);
            json.push(':');
            field.write(&document, &mut json);
        }
        json.push('}');
        json
    }
}

impl Field {
    fn write(&self, document: &Html, json: &mut String) {
        let mut values =
            document.select(&self.selector).filter_map(|element| self.part.of(element)).map(|value| quoted(&value));
        if self.is_list {
            json.push('[');
            json.push_str(&values.collect::<Vec<_>>().join(","));
            json.push(']');
        } else {
            json.push_str(values.next().as_deref().unwrap_or("null"));
        }
    }
}

impl Part {
    fn of(&self, element: ElementRef<'_>) -> Option<String> {
        match self {
            Self::Text => {
                let text: String = element.text().collect();
                Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
            }
            Self::Markup => Some(element.html()),
            Self::Attribute(name) => element.value().attr(name).map(str::to_owned),
        }
    }
}

/// The tree of a page, cut where it gets too deep or too large.
fn parsed(text: &str) -> Html {
    let mut parser = parse_document(HtmlTreeSink::new(Html::new_document()), ParseOpts::default());
    let mut rest = text;
    let mut known_count = 0;
    while !rest.is_empty() {
        let end = (PIECE_BYTES..rest.len()).find(|end| rest.is_char_boundary(*end)).unwrap_or(rest.len());
        parser.process(rest[..end].into());
        rest = &rest[end..];
        let document = parser.tokenizer.sink.sink.0.borrow();
        let nodes = document.tree.nodes();
        let count = nodes.len();
        // Some of the new nodes are enough: a piece has many of them before the tree is much deeper.
        let depths = nodes.rev().take(count - known_count).step_by(8).map(|node| node.ancestors().count());
        if count > NODES_AT_MOST || depths.max().is_some_and(|depth| depth > DEPTH_AT_MOST) {
            break;
        }
        known_count = count;
    }
    parser.finish()
}

/// Selector, part, and whether all are wanted.
fn declaration(text: &str) -> Result<(&str, Part, bool), String> {
    let Some((selector, part)) = text.rsplit_once("::") else { return Ok((text, Part::Text, false)) };
    let part = part.trim();
    let (part, is_list) = part.strip_suffix('*').map_or((part, false), |part| (part.trim_end(), true));
    let attribute = part
        .strip_prefix("attr(")
        .and_then(|rest| rest.strip_suffix(')'))
        .map(str::trim)
        .filter(|name| !name.is_empty());
    match (part, attribute) {
        ("text", _) => Ok((selector, Part::Text, is_list)),
        ("html", _) => Ok((selector, Part::Markup, is_list)),
        (_, Some(name)) => Ok((selector, Part::Attribute(name.to_ascii_lowercase()), is_list)),
        _ => Err(format!("behind :: stands text, html or attr(name), not {part:?}")),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(declared: &[(&str, &str)]) -> Result<Fields, FieldError> {
        Fields::new(&declared.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn values_are_taken_by_selectors() {
        let page = "<div class=body><p>One\n two</p><p>\"3\" &amp; 4</p><img SRC=x.png></div>";
        let cases = [
            ("p", "\"One two\""),
            ("p::text*", r#"["One two","\"3\" & 4"]"#),
            ("img::attr(Src)", "\"x.png\""),
            ("img::attr(alt)", "null"),
            ("h1::text*", "[]"),
            ("p:first-child::html", "\"<p>One\\n two</p>\""),
            ("div > *::attr(src)*", "[\"x.png\"]"),
        ];
        for (text, value) in cases {
            assert_eq!(fields(&[("f\"", text)]).unwrap().read(page), format!("{{\"f\\\"\":{value}}}"), "{text}");
        }
        assert_eq!(fields(&[]).unwrap().read(page), "{}");
        let long = format!("<p>{}</p>", "ä".repeat(5_000));
        assert_eq!(fields(&[("a", "p")]).unwrap().read(&long), format!("{{\"a\":\"{}\"}}", "ä".repeat(5_000)));
    }

    #[test]
    fn a_bad_declaration_is_one_sentence() {
        let message = |text| fields(&[("a", text)]).unwrap_err().to_string();
        assert_eq!(
            message("p::first"),
            "the field \"a\" can't be read: behind :: stands text, html or attr(name), not \"first\""
        );
        assert_eq!(message("p[::text"), "the field \"a\" can't be read: \"p[\" is not a CSS selector");
        assert_eq!(message("::attr(href)"), "the field \"a\" can't be read: \"\" is not a CSS selector");
    }

    #[test]
    fn pages_made_to_cost_are_cut() {
        let fields =
            fields(&[("first", "h1"), ("all", "p::text*"), ("deep", "div div p"), ("body", "body::html")]).unwrap();
        let fonts = (0..500).map(|number| format!("<font color={number}>")).collect::<Vec<_>>().concat();
        for trap in
            ["<div>".repeat(20_000), format!("<p>{fonts}{}", "x<p>".repeat(3_000)), "<table><tr><td>".repeat(9_000)]
        {
            let item = fields.read(&format!("<h1>x</h1>{trap}<p>far away</p>"));
            assert!(item.starts_with("{\"first\":\"x\",") && !item.contains("far away"));
        }
    }

    #[test]
    fn fields_are_shared_by_threads() {
        fn is_shared<T: Send + Sync>() {}
        is_shared::<Fields>();
    }
}
