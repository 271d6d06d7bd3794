//! Opens the output of a crawl that is resumed: cut back to what is recorded, or written anew from the items that are kept.

use rusqlite::params;

use super::Database;
use super::value::to_number;
use crate::engine::OutputFile;
use crate::entry::Item;
use crate::frontier::FrontierError;
use crate::sink::{Exporter, OutputFormat};

/// How many items are written at once.
const READ_COUNT: u64 = 1000;

impl Database {
    /// Opens an output file so that it holds exactly the items that are recorded.
    pub(in crate::frontier) fn export_to(&mut self, output: &OutputFile) -> Result<Exporter, FrontierError> {
        let name = Exporter::name(output);
        let mark = self.mark(&name)?;
        let was_known = mark.is_some();
        if let Some(mark) = mark {
            if let Some(exporter) = Exporter::reopen(output, mark)? {
                return Ok(exporter);
            }
        }
        if was_known && matches!(OutputFormat::of(output)?, OutputFormat::Warc { .. }) {
            return Err(FrontierError::Unusable(format!(
                "{} is shorter than the crawl left it: pages of an archive are kept nowhere else; name another file",
                output.path.display()
            )));
        }
        let mut exporter = Exporter::create(output)?;
        if exporter.takes_items() && output.path.as_os_str() != "-" {
            self.fill(&mut exporter)?;
        }
        Ok(exporter)
    }

    fn fill(&mut self, exporter: &mut Exporter) -> Result<(), FrontierError> {
        let mut last = 0;
        loop {
            let query = "SELECT id, json FROM items WHERE id > ?1 ORDER BY id LIMIT ?2";
            let found = self.rows(query, params![last, to_number(READ_COUNT)], |row| {
                Ok((row.get::<_, i64>(0)?, Item { json: row.get(1)? }))
            })?;
            let Some((id, _)) = found.last() else { break };
            last = *id;
            let items: Vec<Item> = found.into_iter().map(|(_, item)| item).collect();
            exporter.add(&items, &[])?;
            exporter.write(self.is_durable())?;
        }
        self.set_mark(&Exporter::name(&exporter.output()), &exporter.mark())
    }
}
