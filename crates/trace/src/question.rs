//! What only the interpreter can tell, the tasks of event loops: a reader asks by a word in the table, and a thread of the
//! process that waits for nobody answers by a file beside it.
//!
//! The answer is a file of its own, since it is read once and then stale: its texts shall not stay in the table.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use threefold_sys::clock::Instant;
use threefold_sys::futex;

use crate::layout::{WORD_BYTES, header};
use crate::owner::Owner;
use crate::read::Source;
use crate::table;

/// How long a reader waits for an answer: a process that is stopped, or whose interpreter is held, gives none.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(2);

/// An event loop, as the process itself tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoopTold {
    /// The slot of the thread that runs it.
    pub slot: u32,
    /// How many tasks it has that are not done.
    pub task_count: u64,
    /// Callbacks that are ready to be run.
    pub ready_count: u64,
    /// Timers.
    pub timer_count: u64,
    /// Descriptors of which it wants to hear.
    pub descriptor_count: u64,
    /// Whether it sleeps in the kernel.
    pub is_asleep: bool,
}

/// A task, as the process itself tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskTold {
    /// The slot of the thread that runs its loop.
    pub slot: u32,
    /// Its address.
    pub address: usize,
    /// Its name.
    pub name: String,
    /// What it awaits, in words; empty for a task that runs or can go on.
    pub awaits: String,
    /// The address of the task that it awaits; 0 for none.
    pub awaited: usize,
    /// The line where it stands: `file.py:12`.
    pub site: String,
}

impl TaskTold {
    /// As the waits' rows name it.
    pub(crate) fn owner(&self) -> Owner {
        Owner::task_of(self.slot, self.address)
    }

    /// As the waits' rows name the task that it awaits.
    pub(crate) fn awaited_owner(&self) -> Option<Owner> {
        (self.awaited != 0).then(|| Owner::task_of(self.slot, self.awaited))
    }
}

/// An answer: all loops, and all tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The event loops that run.
    pub loops: Vec<LoopTold>,
    /// Their tasks.
    pub tasks: Vec<TaskTold>,
}

/// Says how many event loops can be asked about; makes the table if there is none.
pub fn show_loop_count(count: usize) {
    if let Some(table) = table::current() {
        table.header_word(header::LOOPS).store(count as u64, Ordering::Release);
    }
}

/// The question that is open.
pub fn open_question() -> Option<u64> {
    let table = table::existing()?.ok()?;
    let asked = table.header_word(header::ASKED).load(Ordering::Acquire);
    (asked != table.header_word(header::ANSWERED).load(Ordering::Relaxed)).then_some(asked)
}

/// Answers a question.
///
/// # Errors
/// When the answer cannot be written.
pub fn answer(question: u64, told: &Told) -> io::Result<()> {
    let Some(Ok(table)) = table::existing() else { return Ok(()) };
    let path = answer_path(table.path());
    let unfinished = path.with_extension("tasks.new");
    fs::write(&unfinished, encode(told))?;
    fs::rename(&unfinished, &path)?;
    table.header_word(header::ANSWERED).store(question, Ordering::Release);
    Ok(())
}

pub(crate) fn answer_path(table: &Path) -> PathBuf {
    table.with_extension("tasks")
}

/// Asks the process of a table, and waits for its answer; `None` if it gives none in time.
///
/// # Blocking
/// For a second at most.
pub(crate) fn ask(path: &Path) -> Option<Told> {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).ok()?;
    let word = |place: usize| file.row::<1>(place).ok().map(|[word]| word);
    // Two who ask at the same time ask the same question.
    let question = word(header::ASKED)?.wrapping_add(1);
    file.write_all_at(&question.to_ne_bytes(), (header::ASKED * WORD_BYTES) as u64).ok()?;
    let deadline = Instant::now().after(PATIENCE);
    while word(header::ANSWERED)? < question {
        if Instant::now() >= deadline || word(header::LOOPS)? == 0 {
            return None;
        }
        futex::pause(PAUSE);
    }
    fs::read_to_string(answer_path(path)).ok().map(|text| decode(&text))
}

fn encode(told: &Told) -> String {
    let mut lines = Vec::with_capacity(told.loops.len() + told.tasks.len());
    for one in &told.loops {
        let LoopTold { slot, task_count, ready_count, timer_count, descriptor_count, is_asleep } = one;
        let asleep = u8::from(*is_asleep);
        lines.push(format!("loop\t{slot}\t{task_count}\t{ready_count}\t{timer_count}\t{descriptor_count}\t{asleep}\n"));
    }
    for task in &told.tasks {
        let TaskTold { slot, address, name, awaits, awaited, site } = task;
        let [name, awaits, site] = [name, awaits, site].map(|text| on_one_line(text));
        lines.push(format!("task\t{slot}\t{address}\t{awaited}\t{name}\t{awaits}\t{site}\n"));
    }
    lines.concat()
}

fn on_one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Lines that make no sense are left out: another process of the user could have written them.
fn decode(text: &str) -> Told {
    let mut told = Told::default();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let number = |place: usize| fields.get(place).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        let slot = u32::try_from(number(1)).unwrap_or(0);
        let address = |place: usize| usize::try_from(number(place)).unwrap_or(0);
        match fields[..] {
            ["loop", _, _, _, _, _, asleep] => told.loops.push(LoopTold {
                slot,
                task_count: number(2),
                ready_count: number(3),
                timer_count: number(4),
                descriptor_count: number(5),
                is_asleep: asleep == "1",
            }),
            ["task", _, _, _, name, awaits, site] => told.tasks.push(TaskTold {
                slot,
                address: address(2),
                name: name.to_owned(),
                awaits: awaits.to_owned(),
                awaited: address(3),
                site: site.to_owned(),
            }),
            _ => {}
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_survives_its_file() {
        let told = Told {
            loops: vec![LoopTold {
                slot: 3,
                task_count: 2,
                ready_count: 1,
                timer_count: 4,
                descriptor_count: 5,
                is_asleep: true,
            }],
            tasks: vec![TaskTold {
                slot: 3,
                address: 0x7fff_dead_bee0,
                name: "fetch-7".into(),
                awaits: "sleep (1.0 s left)".into(),
                awaited: 0x10,
                site: "app.py:12".into(),
            }],
        };
        assert_eq!(decode(&encode(&told)), told);
    }

    #[test]
    fn a_name_with_line_ends_stays_on_its_line_and_nonsense_is_left_out() {
        let task = TaskTold { name: "a\tb\nloop\t1".into(), ..TaskTold::default() };
        let decoded = decode(&encode(&Told { loops: Vec::new(), tasks: vec![task] }));
        assert_eq!(decoded.tasks[0].name, "a\u{fffd}b\u{fffd}loop\u{fffd}1");
        assert_eq!(decode("task\t1\nnonsense\n\nloop"), Told::default());
    }
}
