//! Tells what was read: as text for people, as JSON for programs.

mod cycle;
mod json;
mod text;

pub use json::json;
pub use text::text;

#[cfg(test)]
pub(crate) mod examples {
    //! Snapshots that the tests of the reports share.

    use std::time::Duration;

    use crate::owner::Owner;
    use crate::read::{Actor, Snapshot, Waiting};
    use crate::reason::Reason;

    pub(crate) fn thread(slot: u64, name: &str) -> Actor {
        let kernel_id = u32::try_from(4200 + slot).unwrap();
        Actor { owner: Owner(slot), name: name.into(), thread_name: name.into(), kernel_id, stayed_behind: false }
    }

    pub(crate) fn task(slot: u64, number: u64, name: &str) -> Actor {
        Actor { owner: Owner(slot | number << 20), name: name.into(), ..thread(slot, "MainThread") }
    }

    pub(crate) fn waiting(waiter: Actor, reason: Reason, holder: Option<Actor>) -> Waiting {
        let lasted = Some(Duration::from_millis(12_300));
        let (site, object) = ("app.py:31".into(), 0xabc0);
        let what = String::new();
        Waiting { waiter, reason, object, holder, what, lasted, site, has_timeout: false, is_steady: true }
    }

    pub(crate) fn snapshot(waits: Vec<Waiting>) -> Snapshot {
        let command = "python app.py".into();
        let loops = Some(Vec::new());
        Snapshot { pid: 4242, parent_pid: 1, command, waits, loops, not_shown_count: 0, unreadable_count: 0 }
    }

    pub(crate) fn two_that_block_each_other(reason: Reason) -> Snapshot {
        let (one, two) = (thread(1, "worker-1"), thread(2, "worker-2"));
        snapshot(vec![waiting(one.clone(), reason, Some(two.clone())), waiting(two, reason, Some(one))])
    }
}
