//! Items as rows of a SQLite table, for a file that is the output.

use std::path::Path;

use rusqlite::types::Value as Cell;
use rusqlite::{Connection, Result, params_from_iter};
use serde_json::{Map, Value};

/// The table `items`: a column for each key, made when an item first has it.
pub(super) struct ItemTable {
    connection: Connection,
    columns: Vec<String>,
    is_open: bool,
}

impl ItemTable {
    /// Begins the file anew.
    pub(super) fn create(path: &Path) -> Result<Self> {
        // A file that can't be removed shows itself when it is opened.
        let _was_there = std::fs::remove_file(path);
        let table = Self { connection: Connection::open(path)?, columns: Vec::new(), is_open: false };
        table.connection.execute_batch("CREATE TABLE items (item INTEGER PRIMARY KEY)")?;
        Ok(table)
    }

    /// Goes on with a file, without the items after the first `item_count`; none where it has fewer.
    pub(super) fn reopen(path: &Path, item_count: u64) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let connection = Connection::open(path)?;
        let mut columns: Vec<String> = Vec::new();
        connection.pragma_query(None, "table_info", |_| Ok(()))?;
        {
            let mut query = connection.prepare("SELECT name FROM pragma_table_info('items') WHERE name <> 'item'")?;
            for name in query.query_map([], |row| row.get(0))? {
                columns.push(name?);
            }
        }
        let last = i64::try_from(item_count).unwrap_or(i64::MAX);
        connection.execute("DELETE FROM items WHERE item > ?1", [last])?;
        let found: i64 = connection.query_row("SELECT count(*) FROM items", [], |row| row.get(0))?;
        Ok((found == last).then_some(Self { connection, columns, is_open: false }))
    }

    /// Adds an item under its number.
    pub(super) fn add(&mut self, number: u64, json: &str) -> Result<()> {
        if !std::mem::replace(&mut self.is_open, true) {
            self.connection.execute_batch("BEGIN")?;
        }
        let item: Map<String, Value> = match serde_json::from_str(json) {
            Ok(Value::Object(item)) => item,
            // What is no object is kept whole.
            _ => Map::from_iter([("json".to_owned(), Value::String(json.to_owned()))]),
        };
        let mut names = vec!["item".to_owned()];
        let mut cells = vec![Cell::Integer(i64::try_from(number).unwrap_or(i64::MAX))];
        for (key, value) in item {
            names.push(quoted(&self.column(&key)?));
            cells.push(cell(value));
        }
        let marks = vec!["?"; cells.len()].join(", ");
        let statement = format!("INSERT INTO items ({}) VALUES ({marks})", names.join(", "));
        self.connection.prepare_cached(&statement)?.execute(params_from_iter(cells)).map(drop)
    }

    pub(super) fn commit(&mut self) -> Result<()> {
        if std::mem::take(&mut self.is_open) { self.connection.execute_batch("COMMIT") } else { Ok(()) }
    }

    /// The column of a key: its name, with underscores where SQLite takes another column for the same.
    fn column(&mut self, key: &str) -> Result<String> {
        let mut name = key.replace('\0', "_");
        loop {
            if self.columns.contains(&name) {
                return Ok(name);
            }
            let is_taken = |taken: &String| taken.eq_ignore_ascii_case(&name);
            if !name.eq_ignore_ascii_case("item") && !self.columns.iter().any(is_taken) {
                self.connection.execute_batch(&format!("ALTER TABLE items ADD COLUMN {}", quoted(&name)))?;
                self.columns.push(name.clone());
                return Ok(name);
            }
            name.push('_');
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(flag) => Cell::Integer(flag.into()),
        Value::String(text) => Cell::Text(text),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Cell::Integer(whole),
            (None, Some(real)) => Cell::Real(real),
            (None, None) => Cell::Text(number.to_string()),
        },
        nested => Cell::Text(nested.to_string()),
    }
}
