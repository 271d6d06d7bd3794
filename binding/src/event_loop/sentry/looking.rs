//! What the sentry sees without the interpreter: which loops stand still, and whether somebody asks about tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use threefold_sys::clock::Instant;
use threefold_sys::fork;
use threefold_trace::{Owner, Reason, Text, Wait, WaitRow};

use super::super::mark::Seen;
use super::{Post, posts};

/// After how long a callback is said to block its loop, in milliseconds; 0 = never.
pub(super) static LIMIT: AtomicU64 = AtomicU64::new(1000);

/// What the sentry remembers of the loops from one look to the next.
#[derive(Default)]
pub(super) struct Looking {
    sights: Vec<Sight>,
    last: Option<Instant>,
    shown_count: usize,
}

/// A loop, as it was seen last.
pub(super) struct Sight {
    pub(super) post: Arc<Post>,
    seen: Seen,
    /// When it was first seen there.
    pub(super) since: Instant,
    /// For how long it has been seen to stand still. Time in which the sentry did not run either does not count: the
    /// process was stopped, or the machine has no time for anybody.
    pub(super) stood_still: Duration,
    /// Its row in the wait table while it is blocked.
    row: Option<WaitRow>,
}

/// What must be told, attached.
pub(super) struct Findings {
    /// The places of loops that were not blocked at the last look.
    pub(super) blocked: Vec<usize>,
    /// All loops.
    pub(super) posts: Vec<Arc<Post>>,
    /// The question about tasks that is open.
    pub(super) question: Option<u64>,
}

impl Looking {
    /// Looks at all loops; says what there is to tell. `tick` is how long it sleeps between looks.
    pub(super) fn look(&mut self, tick: Duration) -> Option<Findings> {
        let now = Instant::now();
        let passed = self.last.map_or(Duration::ZERO, |last| now.since(last)).min(2 * tick);
        self.last = Some(now);
        let posts: Vec<_> =
            posts().all.iter().filter(|post| post.generation == fork::generation()).map(Arc::clone).collect();
        if posts.len() != self.shown_count {
            self.shown_count = posts.len();
            threefold_trace::show_loop_count(posts.len());
        }
        self.sights.retain(|sight| posts.iter().any(|post| Arc::ptr_eq(post, &sight.post)));
        for post in &posts {
            if !self.sights.iter().any(|sight| Arc::ptr_eq(post, &sight.post)) {
                self.sights.push(Sight::new(post, now));
            }
        }
        let limit = Duration::from_millis(LIMIT.load(Ordering::Relaxed));
        let mut blocked = Vec::new();
        for (place, sight) in self.sights.iter_mut().enumerate() {
            // A loop whose callback runs another loop is at work there.
            let is_inner = |other: &Arc<Post>| other.slot.load(Ordering::Relaxed) == sight.slot();
            let innermost = posts.iter().rfind(|other| is_inner(other));
            let runs_another = innermost.is_some_and(|other| !Arc::ptr_eq(other, &sight.post));
            sight.look(now, passed, runs_another);
            if sight.row.is_none() && !limit.is_zero() && sight.stood_still >= limit {
                sight.show(sight.owner(), Text::NONE, Text::NONE);
                blocked.push(place);
            }
        }
        let question = threefold_trace::open_question();
        let is_something = !blocked.is_empty() || question.is_some();
        is_something.then_some(Findings { blocked, posts, question })
    }

    /// The loop at a place.
    pub(super) fn sight(&mut self, place: usize) -> Option<&mut Sight> {
        self.sights.get_mut(place)
    }
}

impl Sight {
    fn new(post: &Arc<Post>, now: Instant) -> Self {
        let (post, seen) = (Arc::clone(post), post.mark.seen());
        Self { post, seen, since: now, stood_still: Duration::ZERO, row: None }
    }

    fn look(&mut self, now: Instant, passed: Duration, runs_another: bool) {
        let seen = self.post.mark.seen();
        if seen == self.seen && !seen.is_asleep() && !runs_another {
            self.stood_still += passed;
            return;
        }
        *self = Self { post: Arc::clone(&self.post), seen, since: now, stood_still: Duration::ZERO, row: None };
    }

    /// Whether it stands where it was seen last.
    pub(super) fn stands_still(&self) -> bool {
        self.post.mark.seen() == self.seen
    }

    pub(super) fn slot(&self) -> u32 {
        self.post.slot.load(Ordering::Relaxed)
    }

    /// The thread that runs it.
    pub(super) fn owner(&self) -> Owner {
        Owner::of_slot(self.slot())
    }

    /// Shows in the wait table who blocks it, and where.
    pub(super) fn show(&mut self, owner: Owner, name: Text, site: Text) {
        let row = threefold_trace::begin(&Wait {
            owner,
            name,
            reason: Reason::BlocksLoop,
            object: 0,
            object_row: None,
            holder: Owner::NOBODY,
            site,
            since: self.since,
            has_timeout: false,
        });
        self.row = Some(row);
    }
}
