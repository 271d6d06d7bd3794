//! The output file of a crawl: items and archived pages, appended in their order, up to a length that can be returned to.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::csv::CsvRows;
use super::table::ItemTable;
use super::warc::archive_info;
use crate::engine::OutputFile;
use crate::entry::Item;
use crate::frontier::FrontierError;

/// The formats that a file's name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// One JSON object a line; also for `-`, the standard output.
    Jsonl,
    /// Comma-separated values.
    Csv,
    /// A SQLite file with the table `items`.
    Sqlite,
    /// A web archive of the pages as they came.
    Warc {
        /// True where each record is compressed.
        gzip: bool,
    },
}

impl OutputFormat {
    /// The format of an output.
    ///
    /// # Errors
    /// The name has none of the endings.
    pub fn of(output: &OutputFile) -> Result<Self, FrontierError> {
        let name = output.path.to_string_lossy();
        let lower = name.to_ascii_lowercase();
        let known = [
            (".jsonl", Self::Jsonl),
            (".csv", Self::Csv),
            (".sqlite", Self::Sqlite),
            (".warc", Self::Warc { gzip: false }),
            (".warc.gz", Self::Warc { gzip: true }),
        ];
        if name == "-" {
            return Ok(Self::Jsonl);
        }
        known.into_iter().find(|(ending, _)| lower.ends_with(ending)).map(|(_, format)| format).ok_or_else(|| {
            FrontierError::Unusable(format!(
                "the output {name} has none of the endings .jsonl, .csv, .sqlite, .warc, .warc.gz"
            ))
        })
    }
}

/// How far a file has got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Its length.
    pub(crate) bytes: u64,
    /// How many items are in it.
    pub(crate) items: u64,
    /// The columns of a CSV file.
    pub(crate) columns: Option<Vec<String>>,
}

enum Target {
    File(File),
    StandardOutput(io::Stdout),
    Table(ItemTable),
}

/// An open output file.
pub(crate) struct Exporter {
    path: PathBuf,
    format: OutputFormat,
    target: Target,
    rows: CsvRows,
    mark: Mark,
    /// What is to be appended.
    pending: Vec<u8>,
    has_more: bool,
}

/// What can't be done to the output, and why.
fn failure(path: &Path, error: &dyn std::fmt::Display) -> FrontierError {
    FrontierError::Store(format!("the output {} can't be written: {error}", path.display()))
}

impl Exporter {
    /// Begins a file anew; what was in it is gone.
    pub(crate) fn create(output: &OutputFile) -> Result<Self, FrontierError> {
        let path = &output.path;
        let format = OutputFormat::of(output)?;
        let target = if path.as_os_str() == "-" {
            Target::StandardOutput(io::stdout())
        } else if format == OutputFormat::Sqlite {
            Target::Table(ItemTable::create(path).map_err(|error| failure(path, &error))?)
        } else {
            Target::File(File::create(path).map_err(|error| failure(path, &error))?)
        };
        let mut exporter = Self::with(path, format, target, Mark::default());
        if let OutputFormat::Warc { gzip } = format {
            exporter.add(&[], &archive_info(SystemTime::now(), gzip))?;
        }
        Ok(exporter)
    }

    /// Goes on with a file, cut back to a mark; none where it is gone or shorter.
    pub(crate) fn reopen(output: &OutputFile, mark: Mark) -> Result<Option<Self>, FrontierError> {
        let path = &output.path;
        let format = OutputFormat::of(output)?;
        if path.as_os_str() == "-" {
            return Self::create(output).map(Some);
        }
        let failed = |error: &dyn std::fmt::Display| failure(path, error);
        if format == OutputFormat::Sqlite {
            let table = ItemTable::reopen(path, mark.items).map_err(|error| failed(&error))?;
            return Ok(table.map(|table| Self::with(path, format, Target::Table(table), mark)));
        }
        let mut file = match OpenOptions::new().write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        if file.metadata().map_err(|error| failed(&error))?.len() < mark.bytes {
            return Ok(None);
        }
        file.set_len(mark.bytes)
            .and_then(|()| file.seek(SeekFrom::Start(mark.bytes)))
            .map_err(|error| failed(&error))?;
        Ok(Some(Self::with(path, format, Target::File(file), mark)))
    }

    fn with(path: &Path, format: OutputFormat, target: Target, mut mark: Mark) -> Self {
        let rows = CsvRows::new(mark.columns.take());
        Self { path: path.to_owned(), format, target, rows, mark, pending: Vec::new(), has_more: false }
    }

    /// The name that the file is remembered by.
    pub(crate) fn name(output: &OutputFile) -> String {
        std::path::absolute(&output.path).unwrap_or_else(|_| output.path.clone()).to_string_lossy().into_owned()
    }

    /// The output that this is.
    pub(crate) fn output(&self) -> OutputFile {
        OutputFile { path: self.path.clone() }
    }

    /// True where items go to it, and not pages as they came.
    pub(crate) fn takes_items(&self) -> bool {
        !matches!(self.format, OutputFormat::Warc { .. })
    }

    /// How far it has got with the last [`Exporter::write`].
    pub(crate) fn mark(&self) -> Mark {
        Mark { columns: self.rows.columns().map(<[String]>::to_vec), ..self.mark }
    }

    /// Takes back what was written after a mark, because it was not recorded.
    pub(crate) fn cut_back(&mut self, mark: Mark) -> Result<(), FrontierError> {
        match Self::reopen(&self.output(), mark)? {
            Some(exporter) => *self = exporter,
            None => return Err(failure(&self.path, &"it is shorter than it was left")),
        }
        Ok(())
    }

    /// Takes what is to be appended.
    pub(crate) fn add(&mut self, items: &[Item], archived: &[u8]) -> Result<(), FrontierError> {
        if !self.takes_items() {
            self.pending.extend_from_slice(archived);
            self.has_more |= !archived.is_empty();
            return Ok(());
        }
        for item in items {
            self.has_more = true;
            self.mark.items += 1;
            match (&mut self.target, self.format) {
                (Target::Table(table), _) => {
                    table.add(self.mark.items, &item.json).map_err(|error| failure(&self.path, &error))?;
                }
                (_, OutputFormat::Csv) => self.rows.add(&item.json, &mut self.pending),
                _ => {
                    self.pending.extend_from_slice(item.json.as_bytes());
                    self.pending.push(b'\n');
                }
            }
        }
        Ok(())
    }

    /// Appends what was taken, and says whether there was anything.
    ///
    /// # Errors
    /// The file can't be written; it is as it was before then.
    pub(crate) fn write(&mut self, is_durable: bool) -> Result<bool, FrontierError> {
        if !std::mem::take(&mut self.has_more) {
            return Ok(false);
        }
        let pending = std::mem::take(&mut self.pending);
        let written = match &mut self.target {
            Target::File(file) => {
                let synced = |file: &File| if is_durable { file.sync_data() } else { Ok(()) };
                file.write_all(&pending).and_then(|()| synced(file)).map_err(|error| {
                    // Part of it may be there; if it can't be cut off now, it is when the crawl is resumed.
                    let _cut = file.set_len(self.mark.bytes);
                    failure(&self.path, &error)
                })
            }
            Target::StandardOutput(stream) => {
                stream.write_all(&pending).and_then(|()| stream.flush()).map_err(|error| failure(&self.path, &error))
            }
            Target::Table(table) => table.commit().map_err(|error| failure(&self.path, &error)),
        };
        written?;
        self.mark.bytes += pending.len() as u64;
        Ok(true)
    }
}
