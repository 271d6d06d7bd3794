//! Where OpenSSL takes a connection's ciphertext from, and puts it: memory of ours, without a copy in between.

use std::ffi::{c_char, c_int, c_long, c_void};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

use threefold_wait::Latch;

use super::functions::{Bio, BioMethod, Functions, Library};

const BIO_TYPE_SOURCE_SINK: c_int = 0x0400;
const BIO_FLAGS_READ: c_int = 0x01;
const BIO_FLAGS_WRITE: c_int = 0x02;
const BIO_FLAGS_IO_SPECIAL: c_int = 0x04;
const BIO_FLAGS_SHOULD_RETRY: c_int = 0x08;
const BIO_CTRL_FLUSH: c_int = 11;
const BIO_CTRL_PENDING: c_int = 10;

/// A connection's ciphertext, both ways.
///
/// Each of the two BIOs that OpenSSL has of a connection holds a reference. It is guarded because the interpreter's own
/// calls run without its lock.
#[derive(Default)]
pub(super) struct Pipe(Latch<Flow>);

#[derive(Default)]
struct Flow {
    /// What has arrived and was not asked for yet.
    kept: Vec<u8>,
    /// How many of the first of these were asked for.
    taken_bytes: usize,
    /// What comes behind these.
    lent: Lent,
    outgoing: Vec<u8>,
}

/// Somebody's bytes, for as long as they are lent: an address and a length.
#[derive(Clone, Copy, Default)]
struct Lent {
    start: usize,
    len: usize,
}

impl Lent {
    /// Copies the first to where there is room; how many.
    ///
    /// # Safety
    /// The bytes are still lent.
    unsafe fn take(&mut self, room: &mut [MaybeUninit<u8>]) -> usize {
        let count = self.len.min(room.len());
        let start = std::ptr::with_exposed_provenance::<u8>(self.start);
        // SAFETY: the caller's: `len` bytes are there; the room is another's, as it is borrowed exclusively.
        unsafe { std::ptr::copy_nonoverlapping(start, room.as_mut_ptr().cast(), count) };
        self.start += count;
        self.len -= count;
        count
    }
}

impl Pipe {
    /// Lends bytes, which are read behind what is kept, while `work` is done; how many of them were not.
    pub(super) fn lend<T>(&self, bytes: &[u8], work: impl FnOnce() -> T) -> (usize, T) {
        let mine = Lent { start: bytes.as_ptr().expose_provenance(), len: bytes.len() };
        // A callback of the program may have led here from inside another's work.
        let others = std::mem::replace(&mut self.0.close().lent, mine);
        let outcome = work();
        let rest = std::mem::replace(&mut self.0.close().lent, others);
        (rest.len, outcome)
    }

    /// Keeps bytes until they are asked for.
    pub(super) fn keep(&self, bytes: &[u8]) {
        self.0.close().kept.extend_from_slice(bytes);
    }

    /// How many bytes are there that were not asked for.
    pub(super) fn pending_bytes(&self) -> usize {
        let flow = self.0.close();
        flow.kept.len() - flow.taken_bytes + flow.lent.len
    }

    /// Whether nothing is there.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        let flow = self.0.close();
        flow.lent.len == 0 && flow.kept.is_empty()
    }

    /// Whether there is no memory yet for what is to go out.
    pub(super) fn has_no_memory(&self) -> bool {
        self.0.close().outgoing.capacity() == 0
    }

    /// Takes memory for what is to go out.
    pub(super) fn set_memory(&self, memory: Vec<u8>) {
        self.0.close().outgoing = memory;
    }

    /// Takes out what is to go out, with its memory.
    pub(super) fn take_outgoing(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.close().outgoing)
    }
}

impl Flow {
    /// Moves what is there to where there is room; how much.
    fn fill(&mut self, room: &mut [MaybeUninit<u8>]) -> usize {
        let mut count = 0;
        if !self.kept.is_empty() {
            let waiting = self.kept.get(self.taken_bytes..).unwrap_or_default();
            for (to, from) in room.iter_mut().zip(waiting) {
                to.write(*from);
            }
            count = waiting.len().min(room.len());
            self.taken_bytes += count;
            if self.taken_bytes == self.kept.len() {
                self.kept = Vec::new();
                self.taken_bytes = 0;
            }
        }
        // SAFETY: what is lent is taken back before its owner has it again.
        count + unsafe { self.lent.take(room.get_mut(count..).unwrap_or_default()) }
    }
}

/// Describes our kind of BIO to OpenSSL.
pub(super) fn new_method(functions: &Functions) -> Option<NonNull<BioMethod>> {
    // SAFETY: OpenSSL's functions with their documented arguments: an index of its own, a name that it copies or that lives for
    // ever, and functions that keep to what it expects of them. The method is never freed.
    unsafe {
        let index = (functions.new_index)();
        let method = NonNull::new((functions.new_method)(index | BIO_TYPE_SOURCE_SINK, c"threefold".as_ptr()))?;
        let is_complete = index != -1
            && (functions.set_read)(method.as_ptr(), read) == 1
            && (functions.set_write)(method.as_ptr(), write) == 1
            && (functions.set_control)(method.as_ptr(), control) == 1
            && (functions.set_destroy)(method.as_ptr(), destroy) == 1;
        is_complete.then_some(method)
    }
}

/// A new BIO that holds a reference; null if there is no memory.
pub(super) fn new_bio(library: &Library, pipe: &Arc<Pipe>) -> *mut Bio {
    let functions = &library.functions;
    // SAFETY: the method is complete; the BIO is new, and its data is what the functions of the method expect, which
    // `destroy` gives back.
    unsafe {
        let bio = (functions.new_bio)(library.method.as_ptr());
        if !bio.is_null() {
            (functions.set_bio_data)(bio, Arc::into_raw(Arc::clone(pipe)).cast_mut().cast());
            (functions.set_bio_init)(bio, 1);
        }
        bio
    }
}

/// The pipe behind a BIO.
///
/// # Safety
/// A BIO of ours that is alive, for as long as the pipe is used.
#[inline]
unsafe fn pipe_of<'a>(functions: &Functions, bio: *mut Bio) -> Option<&'a Pipe> {
    // SAFETY: the caller's; the data of a BIO of ours is a pipe of which it holds a reference.
    unsafe { (functions.bio_data)(bio).cast::<Pipe>().as_ref() }
}

/// What the last call left to say why it is to be repeated.
const BIO_FLAGS_OF_RETRIES: c_int = BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_IO_SPECIAL | BIO_FLAGS_SHOULD_RETRY;

/// OpenSSL wants ciphertext.
unsafe extern "C" fn read(bio: *mut Bio, start: *mut c_char, len: c_int) -> c_int {
    let (Some(library), Ok(len)) = (Library::known(), usize::try_from(len)) else { return -1 };
    let functions = &library.functions;
    // SAFETY: OpenSSL calls this with a BIO of ours and a buffer of that length, which is its own.
    unsafe {
        (functions.clear_bio_flags)(bio, BIO_FLAGS_OF_RETRIES);
        let Some(pipe) = pipe_of(functions, bio) else { return -1 };
        if start.is_null() || len == 0 {
            return 0;
        }
        let room = std::slice::from_raw_parts_mut(start.cast::<MaybeUninit<u8>>(), len);
        let count = pipe.0.close().fill(room);
        if count == 0 {
            (functions.set_bio_flags)(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
            return -1;
        }
        c_int::try_from(count).unwrap_or(-1)
    }
}

/// OpenSSL has ciphertext.
unsafe extern "C" fn write(bio: *mut Bio, start: *const c_char, given: c_int) -> c_int {
    let (Some(library), Ok(len)) = (Library::known(), usize::try_from(given)) else { return -1 };
    let functions = &library.functions;
    // SAFETY: OpenSSL calls this with a BIO of ours and bytes of that length.
    unsafe {
        (functions.clear_bio_flags)(bio, BIO_FLAGS_OF_RETRIES);
        let Some(pipe) = pipe_of(functions, bio) else { return -1 };
        if start.is_null() || len == 0 {
            return 0;
        }
        pipe.0.close().outgoing.extend_from_slice(std::slice::from_raw_parts(start.cast(), len));
    }
    given
}

/// OpenSSL asks, or wants something done.
unsafe extern "C" fn control(bio: *mut Bio, command: c_int, _number: c_long, _pointer: *mut c_void) -> c_long {
    match command {
        BIO_CTRL_FLUSH => 1,
        BIO_CTRL_PENDING => {
            let Some(library) = Library::known() else { return 0 };
            // SAFETY: OpenSSL calls this with a BIO of ours.
            let pipe = unsafe { pipe_of(&library.functions, bio) };
            pipe.and_then(|pipe| c_long::try_from(pipe.pending_bytes()).ok()).unwrap_or(0)
        }
        _ => 0,
    }
}

/// The BIO is freed.
unsafe extern "C" fn destroy(bio: *mut Bio) -> c_int {
    let Some(library) = Library::known() else { return 0 };
    let functions = &library.functions;
    // SAFETY: OpenSSL calls this with a BIO of ours, once; its data is a reference to a pipe, or null before there is one.
    unsafe {
        let data = (functions.bio_data)(bio).cast::<Pipe>();
        (functions.set_bio_data)(bio, std::ptr::null_mut());
        (functions.set_bio_init)(bio, 0);
        if !data.is_null() {
            drop(Arc::from_raw(data.cast_const()));
        }
    }
    1
}
