//! What a worker process does: takes jobs out of its link, makes the calls, reports what came of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PyRuntimeError, PySystemExit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use threefold_pool::local::{DoorbellRinger, Frame, LinkError, Source, Stop, WorkerEnd};

use super::exceptions::link_error;
use super::frames;
use super::payload::{self, Parts};
use super::spares::Spares;
use crate::kept::Kept;
use crate::shared::driver::PythonDriver;
use crate::shared::pickle::{self, Packed};

/// The worker's end of its link to the pool.
#[pyclass(frozen, module = "threefold._threefold")]
pub(crate) struct PoolWorker {
    end: Mutex<WorkerEnd>,
    /// Resident bytes after which it asks to be replaced; 0: never.
    max_memory_bytes: u64,
    done_count: AtomicU64,
}

/// How a worker answers, as `work` was told.
struct Manners {
    encode: Py<PyAny>,
    encode_unsendable: Option<Py<PyAny>>,
    prepare_dump: Py<PyAny>,
    keeps_exits: bool,
}

/// What a worker keeps from job to job.
#[derive(Default)]
struct Memory {
    functions: Functions,
    spares: Spares,
    /// The descriptor to which it writes where it is.
    dump: Option<i32>,
}

/// The functions that this worker was sent: their pickles until they are first called.
#[derive(Default)]
struct Functions(HashMap<u64, Known>);

enum Known {
    Pickled(Py<PyBytes>),
    Loaded(Py<PyAny>),
}

/// A job that was taken out of the link.
struct Task {
    job: u64,
    is_chunk: bool,
    is_star: bool,
    function: u64,
    parts: Parts,
}

/// A call that was unpickled.
enum Call<'py> {
    One { function: Bound<'py, PyAny>, arguments: Bound<'py, PyTuple>, keywords: Option<Bound<'py, PyDict>> },
    Each { function: Bound<'py, PyAny>, items: Bound<'py, PyList>, is_star: bool },
}

#[pymethods]
impl PoolWorker {
    /// Attaches to the link behind the descriptor `link`; closes neither descriptor.
    #[new]
    fn new(link: i32, capacity_bytes: usize, doorbell: i32, max_memory_bytes: u64) -> PyResult<Self> {
        let ringer = DoorbellRinger::attach(doorbell)?;
        let end = WorkerEnd::attach(link, capacity_bytes, Some(ringer)).map_err(|error| link_error(&error))?;
        Ok(Self { end: Mutex::new(end), max_memory_bytes, done_count: AtomicU64::new(0) })
    }

    /// How many jobs it has done.
    #[getter]
    fn done_count(&self) -> u64 {
        self.done_count.load(Ordering::Relaxed)
    }

    /// Reports that the initializer raised.
    fn fail(&self, pickled: &Bound<'_, PyBytes>, description: &Bound<'_, PyBytes>) -> PyResult<()> {
        let parts = [pickled.as_bytes().into(), description.as_bytes().into()];
        self.report(frames::INITIALIZER_FAILED, 0, None, &parts)
    }

    /// Does jobs until the pool says that there are no more, or has gone.
    ///
    /// Args:
    ///     encode: makes an exception into a pickle and a description.
    ///     encode_unsendable: makes the error of a result that cannot be pickled, and the result, into the same; None:
    ///         the error is an exception as others.
    ///     prepare_dump: has a traceback written at a signal; returns the descriptor to which it is written.
    ///     keeps_exits: whether `SystemExit` is a job's result, rather than the end of the process.
    ///
    /// Raises:
    ///     SystemExit: a job raised it.
    fn work(
        &self,
        py: Python<'_>,
        encode: Py<PyAny>,
        encode_unsendable: Option<Py<PyAny>>,
        prepare_dump: Py<PyAny>,
        keeps_exits: bool,
    ) -> PyResult<()> {
        let manners = Manners { encode, encode_unsendable, prepare_dump, keeps_exits };
        let mut memory = Memory::default();
        self.report(frames::READY, 0, None, &[])?;
        while let Some(frame) = self.next(py)? {
            match frame.kind() {
                frames::FUNCTION => memory.functions.learn(py, &frame)?,
                frames::FORGET => memory.functions.forget(&frame),
                frames::EXIT => return Ok(()),
                _ => self.take(py, frame, &manners, &mut memory)?,
            }
            if self.end().is_mute() {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl PoolWorker {
    fn end(&self) -> MutexGuard<'_, WorkerEnd> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, kind: u8, flags: u16, job: Option<u64>, parts: &[Source<'_>]) -> PyResult<()> {
        self.end().report(kind, flags, job, parts).map_err(|error| link_error(&error))
    }

    /// The next frame; none if the pool has gone.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Frame>> {
        loop {
            let mut driver = PythonDriver::new(py, self, None);
            let next = self.end().next(&mut driver);
            match next {
                Ok(frame) => return Ok(Some(frame)),
                // Ctrl-C reaches all processes of a terminal; what to do about it is for the pool's process to say.
                Err(Stop::Driver(error)) if error.is_instance_of::<PyKeyboardInterrupt>(py) => {}
                Err(Stop::Driver(error)) => return Err(error),
                Err(Stop::Link(LinkError::ParentGone)) => return Ok(None),
                Err(Stop::Link(error)) => return Err(link_error(&error)),
            }
        }
    }

    fn take(&self, py: Python<'_>, frame: Frame, manners: &Manners, memory: &mut Memory) -> PyResult<()> {
        let Some(job) = frame.job() else { return Ok(()) };
        let is_mine = self.end().begin(job).map_err(|error| link_error(&error))?;
        if is_mine {
            let is_announced = frame.flags() & frames::ANNOUNCED != 0;
            let task = Task::of(py, job, &frame, &mut memory.spares)?;
            frame.done();
            if is_announced {
                self.announce(py, job, manners, &mut memory.dump)?;
            }
            self.run(py, task, manners, &mut memory.functions)?;
        } else {
            frame.done();
        }
        self.end().finish(job).map_err(|error| link_error(&error))?;
        self.done_count.fetch_add(1, Ordering::Relaxed);
        if self.max_memory_bytes > 0 && resident_bytes() > self.max_memory_bytes {
            self.report(frames::RETIRE, 0, None, &[])?;
        }
        Ok(())
    }

    fn announce(&self, py: Python<'_>, job: u64, manners: &Manners, dump: &mut Option<i32>) -> PyResult<()> {
        let descriptor = match *dump {
            Some(descriptor) => descriptor,
            None => *dump.insert(manners.prepare_dump.call0(py)?.extract(py)?),
        };
        let number = u64::try_from(descriptor)?.to_le_bytes();
        self.report(frames::BEGUN, 0, Some(job), &[number[..].into()])
    }

    /// Does a job and reports what came of it.
    ///
    /// # Errors
    /// What ends this process: `SystemExit`, a damaged link.
    fn run(&self, py: Python<'_>, task: Task, manners: &Manners, functions: &mut Functions) -> PyResult<()> {
        let job = task.job;
        let (error, flags) = match task.load(py, functions) {
            Err(error) if error.is_instance_of::<PySystemExit>(py) => return Err(error),
            Err(error) => (error, if manners.keeps_exits { frames::LOADING } else { 0 }),
            Ok(call) => match call.make() {
                Ok(value) => return self.send_value(py, job, &value, manners),
                Err(error) if !manners.keeps_exits && error.is_instance_of::<PySystemExit>(py) => return Err(error),
                Err(error) => (error, 0),
            },
        };
        let parts = manners.encode.call1(py, (error.into_value(py),))?;
        self.send_error(py, job, flags, &parts)
    }

    fn send_value(&self, py: Python<'_>, job: u64, value: &Bound<'_, PyAny>, manners: &Manners) -> PyResult<()> {
        let sent = Packed::of(value)
            .and_then(|packed| {
                packed.with_parts(|tag, parts| self.report(frames::RETURNED, frames::flags_of(tag), Some(job), parts))
            })
            .and_then(std::convert::identity);
        let error = match sent {
            Err(error) if !manners.keeps_exits && error.is_instance_of::<PySystemExit>(py) => return Err(error),
            Err(error) => error,
            Ok(()) => return Ok(()),
        };
        let parts = match &manners.encode_unsendable {
            Some(encode) if error.is_instance_of::<PyException>(py) => {
                encode.call1(py, (error.into_value(py), value))?
            }
            _ => manners.encode.call1(py, (error.into_value(py),))?,
        };
        self.send_error(py, job, 0, &parts)
    }

    fn send_error(&self, py: Python<'_>, job: u64, flags: u16, parts: &Py<PyAny>) -> PyResult<()> {
        let (pickled, description): (Bound<'_, PyBytes>, Bound<'_, PyBytes>) = parts.bind(py).extract()?;
        self.report(frames::RAISED, flags, Some(job), &[pickled.as_bytes().into(), description.as_bytes().into()])
    }
}

impl Functions {
    fn learn(&mut self, py: Python<'_>, frame: &Frame) -> PyResult<()> {
        if let Some(number) = payload::number(frame, 0) {
            self.0.insert(number, Known::Pickled(payload::bytes(py, frame, 1)?));
        }
        Ok(())
    }

    fn forget(&mut self, frame: &Frame) {
        if let Some(number) = payload::number(frame, 0) {
            self.0.remove(&number);
        }
    }

    fn get<'py>(&mut self, py: Python<'py>, number: u64) -> PyResult<Bound<'py, PyAny>> {
        let blob = match self.0.get(&number) {
            Some(Known::Loaded(function)) => return Ok(function.clone_ref(py).into_bound(py)),
            Some(Known::Pickled(blob)) => blob.clone_ref(py),
            None => return Err(PyRuntimeError::new_err("a job came without its function")),
        };
        let function = pickle::loads(py)?.call1((blob,))?;
        self.0.insert(number, Known::Loaded(function.clone().unbind()));
        Ok(function)
    }
}

impl Task {
    fn of(py: Python<'_>, job: u64, frame: &Frame, spares: &mut Spares) -> PyResult<Self> {
        spares.begin_job();
        let parts = Parts::of(py, frame, 1, spares)?;
        spares.end_job();
        Ok(Self {
            job,
            is_chunk: frame.kind() == frames::CHUNK,
            is_star: frame.flags() & frames::STAR != 0,
            function: payload::number(frame, 0).unwrap_or(0),
            parts: parts.ok_or_else(|| PyRuntimeError::new_err("a job came without its arguments"))?,
        })
    }

    fn load<'py>(self, py: Python<'py>, functions: &mut Functions) -> PyResult<Call<'py>> {
        let content = self.parts.into_object(py)?.into_bound(py);
        if self.function == 0 {
            let (function, arguments, keywords) = content.extract()?;
            return Ok(Call::One { function, arguments, keywords: Some(keywords) });
        }
        let function = functions.get(py, self.function)?;
        if self.is_chunk {
            return Ok(Call::Each { function, items: content.cast_into()?, is_star: self.is_star });
        }
        match content.cast_into::<PyTuple>() {
            Ok(arguments) => Ok(Call::One { function, arguments, keywords: None }),
            Err(error) => {
                let both = error.into_inner().cast_into::<PyList>()?;
                let (arguments, keywords) = (both.get_item(0)?.cast_into()?, both.get_item(1)?.cast_into()?);
                Ok(Call::One { function, arguments, keywords: Some(keywords) })
            }
        }
    }
}

impl<'py> Call<'py> {
    fn make(self) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::One { function, arguments, keywords } => function.call(arguments, keywords.as_ref()),
            Self::Each { function, items, is_star } => {
                if items.len() == 1 && !is_star {
                    return Ok(PyList::new(function.py(), [function.call1((items.get_item(0)?,))?])?.into_any());
                }
                let calls = mapper(function.py(), is_star)?.call1((function, &items))?;
                items.py().get_type::<PyList>().call1((calls,))
            }
        }
    }
}

/// `itertools.starmap` or `map`, which make call after call at CPython's own pace.
fn mapper(py: Python<'_>, is_star: bool) -> PyResult<&Bound<'_, PyAny>> {
    static MAP: Kept<PyAny> = Kept::new();
    static STARMAP: Kept<PyAny> = Kept::new();
    if is_star {
        STARMAP.get_or_find(py, || py.import("itertools")?.getattr("starmap"))
    } else {
        MAP.get_or_find(py, || py.import("builtins")?.getattr("map"))
    }
}

/// How much memory this process has, in bytes; 0 if that cannot be known.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident: u64 = pages.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    resident * threefold_sys::region::PAGE_BYTES as u64
}
