//! Where in the user's program a wait was begun: "app.py:12".

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyCode;
use threefold_trace::Text;

use crate::ffi::Frame;
use crate::python;

/// Most places that are remembered; a program with more of them pays for looking up the rest each time.
const REMEMBERED: usize = 4096;

/// How many callers are looked at for one that is not part of a library of ours or of the standard library's waiting.
const DEPTH: usize = 8;

#[derive(Clone, Copy)]
enum Place {
    /// In code that only waits on behalf of its caller.
    OnBehalf,
    User(Text),
}

/// What was found out about an instruction of a code object. The code is kept alive so that its address stays its own.
struct Known {
    place: Place,
    _code: Py<PyCode>,
}

/// A code object's address and an instruction in it.
type Key = (usize, i32);

/// How many places each thread has at hand without a look into the common table.
const RECENT: usize = 16;

thread_local! {
    static LATEST: [Cell<Option<(u32, Key, Place)>>; RECENT] = const { [const { Cell::new(None) }; RECENT] };
}

static KNOWN: Mutex<Option<(u32, HashMap<Key, Known>)>> = Mutex::new(None);

/// The innermost line of the running program that is neither ours nor the standard library's own waiting code.
pub(crate) fn current(py: Python<'_>) -> Text {
    let mut frame = Frame::current(py);
    for _ in 0..DEPTH {
        let Some(here) = frame else { break };
        if let Place::User(text) = place(py, &here) {
            return text;
        }
        frame = here.caller();
    }
    threefold_trace::intern("")
}

fn place(py: Python<'_>, frame: &Frame<'_>) -> Place {
    let code = frame.code();
    let key = (code.as_ptr().addr(), frame.instruction());
    let generation = threefold_sys::fork::generation();
    let slot = (key.0 >> 4).wrapping_add(key.1.unsigned_abs() as usize) % RECENT;
    match LATEST.with(|latest| latest[slot].get()) {
        Some((known_in, known, place)) if known_in == generation && known == key => return place,
        _ => {}
    }
    let place = place_of(py, frame, code, key, generation);
    if is_remembered(key) {
        LATEST.with(|latest| latest[slot].set(Some((generation, key, place))));
    }
    place
}

/// Whether the code object is held, so that its address will not be used again.
fn is_remembered(key: Key) -> bool {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.as_ref().is_some_and(|(_, known)| known.contains_key(&key))
}

fn place_of(py: Python<'_>, frame: &Frame<'_>, code: Bound<'_, PyCode>, key: Key, generation: u32) -> Place {
    let known = match KNOWN.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some((known_in, known)) if *known_in == generation => known.get(&key).map(|known| known.place),
        _ => None,
    };
    if let Some(place) = known {
        return place;
    }
    // Found out without the mutex, since it calls Python.
    let place = describe(py, frame, &code).unwrap_or(Place::OnBehalf);
    let known = Known { place, _code: code.unbind() };
    let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let forgotten = match all.as_mut() {
        Some((known_in, all)) if *known_in == generation => {
            if all.len() < REMEMBERED {
                all.insert(key, known)
            } else {
                Some(known)
            }
        }
        // A forked child has a table of its own, with texts of its own. The parent's entries are left alone: dropping
        // references may run anything.
        _ => {
            std::mem::forget(all.replace((generation, HashMap::from([(key, known)]))));
            None
        }
    };
    drop(all);
    drop(forgotten);
    place
}

fn describe(py: Python<'_>, frame: &Frame<'_>, code: &Bound<'_, PyCode>) -> PyResult<Place> {
    let file: String = code.getattr("co_filename")?.extract()?;
    if is_on_behalf(py, &file)? {
        return Ok(Place::OnBehalf);
    }
    Ok(Place::User(threefold_trace::intern(&format!("{file}:{}", frame.line()))))
}

fn is_on_behalf(py: Python<'_>, file: &str) -> PyResult<bool> {
    let package: String = python::package_path(py)?.get_item(0)?.extract()?;
    Ok(file.starts_with(&package)
        || ["/threading.py", "/queue.py", "/concurrent/futures/thread.py", "/concurrent/futures/_base.py"]
            .iter()
            .any(|module| file.ends_with(module) && file.contains("/python3")))
}
