//! How many items of a map make a job when the caller does not say.

/// Items per chunk for `item_count` items on `worker_count` workers: four chunks for each worker, rounded so that there
/// are never more; 0 when there is nothing to do.
///
/// Source: `CPython` Lib/multiprocessing/pool.py, `Pool._map_async`.
pub fn chunk_size(item_count: usize, worker_count: usize) -> usize {
    item_count.div_ceil(worker_count.max(1).saturating_mul(4))
}
