//! Waits that have a limit.

use crate::LIMIT;

/// Waits, and fails with what it waited for where that does not come.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(done) = tokio::time::timeout(LIMIT, future).await else { panic!("{what} has not come within {LIMIT:?}") };
    done
}
