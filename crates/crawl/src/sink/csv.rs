//! Items as rows of comma-separated values (RFC 4180).

use serde_json::{Map, Value};

use super::row::PAGE_COLUMNS;

/// The column for what later items have beyond the first one's keys.
const REST: &str = "more";

/// The header, once it is known. It is the first item's keys and `more`, which holds a JSON object of the keys that are in
/// none of the columns, where an item has such. Rows of pages have no `more`: their keys never change.
pub(super) struct CsvRows {
    columns: Option<Vec<String>>,
}

impl CsvRows {
    /// The rows of a file that has this header already, or none yet.
    pub(super) fn new(columns: Option<Vec<String>>) -> Self {
        Self { columns }
    }

    pub(super) fn columns(&self) -> Option<&[String]> {
        self.columns.as_deref()
    }

    /// Appends an item, and the header before the first one.
    pub(super) fn add(&mut self, json: &str, text: &mut Vec<u8>) {
        let mut item: Map<String, Value> = match serde_json::from_str(json) {
            Ok(Value::Object(item)) => item,
            // What is no object is kept whole.
            _ => Map::from_iter([(REST.to_owned(), Value::String(json.to_owned()))]),
        };
        let columns = self.columns.get_or_insert_with(|| {
            let columns = header(json, &item);
            write_row(columns.iter().map(String::as_str), text);
            columns
        });
        let has_rest = columns.last().is_some_and(|last| last == REST) && !item.contains_key(REST);
        let named = if has_rest { &columns[..columns.len() - 1] } else { &columns[..] };
        let mut values: Vec<String> = named.iter().map(|key| cell(item.remove(key))).collect();
        if has_rest {
            values.push(if item.is_empty() { String::new() } else { Value::Object(item).to_string() });
        }
        write_row(values.iter().map(String::as_str), text);
    }
}

/// The columns that follow from the first item, in the order of its text.
fn header(json: &str, item: &Map<String, Value>) -> Vec<String> {
    let mut keys: Vec<String> = item.keys().cloned().collect();
    // The map is sorted; the item's author had an order in mind. A key stands in the text as JSON writes it.
    keys.sort_by_key(|key| json.find(&format!("{}:", Value::String(key.clone()))).unwrap_or(usize::MAX));
    if !keys.iter().map(String::as_str).eq(PAGE_COLUMNS) && !item.contains_key(REST) {
        keys.push(REST.to_owned());
    }
    keys
}

/// Text as it is, nothing for null and what is missing, everything else as JSON.
pub(super) fn cell(value: Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    }
}

fn write_row<'a>(cells: impl Iterator<Item = &'a str>, text: &mut Vec<u8>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            text.push(b',');
        }
        if cell.contains(['"', ',', '\r', '\n']) || cell.starts_with(' ') || cell.ends_with(' ') {
            text.push(b'"');
            text.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
            text.push(b'"');
        } else {
            text.extend_from_slice(cell.as_bytes());
        }
    }
    text.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(items: &[&str]) -> String {
        let (mut rows, mut text) = (CsvRows::new(None), Vec::new());
        for item in items {
            rows.add(item, &mut text);
        }
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_header_is_the_first_item_and_later_keys_are_kept() {
        let text = rows(&[r#"{"title":"a","price":1}"#, r#"{"price":2.5,"title":null,"colour":["red"]}"#]);
        assert_eq!(text, "title,price,more\r\na,1,\r\n,2.5,\"{\"\"colour\"\":[\"\"red\"\"]}\"\r\n");
    }

    #[test]
    fn cells_with_commas_quotes_and_line_feeds_are_quoted() {
        assert_eq!(
            rows(&[r#"{"a":"x,y","b":"say \"hi\"\nthere"}"#]),
            "a,b,more\r\n\"x,y\",\"say \"\"hi\"\"\nthere\",\r\n"
        );
    }

    #[test]
    fn a_file_that_is_gone_on_with_gets_no_second_header() {
        let (mut rows, mut text) = (CsvRows::new(Some(vec!["a".into(), "more".into()])), Vec::new());
        rows.add(r#"{"a":1}"#, &mut text);
        assert_eq!(text, b"1,\r\n");
    }
}
