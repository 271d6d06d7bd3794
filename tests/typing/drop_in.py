"""What type checkers must see in a program that swaps the standard library's modules for ours; checked, never run."""

from typing import assert_type

from threefold import futures, queue, threading


def locks(lock: threading.Lock, reentrant: threading.RLock) -> None:
    assert_type(lock.acquire(blocking=True, timeout=1.5), bool)
    assert_type(lock.locked(), bool)
    with lock, reentrant:
        pass
    lock.release()


def condition(lock: threading.Lock) -> int:
    condition = threading.Condition(lock)
    with condition:
        assert_type(condition.wait(timeout=0.5), bool)
        condition.notify(n=2)
        condition.notify_all()
        return condition.wait_for(lambda: 3)


def counting() -> None:
    semaphore = threading.BoundedSemaphore(3)
    assert_type(semaphore.acquire(timeout=0.5), bool)
    semaphore.release(2)
    event = threading.Event()
    event.set()
    assert_type(event.wait(0.1), bool)
    barrier = threading.Barrier(2, action=event.clear, timeout=1)
    assert_type(barrier.wait(), int)
    assert_type(barrier.broken, bool)


def threads() -> None:
    thread = threading.Thread(target=print, args=(1,), daemon=True)
    thread.start()
    thread.join(timeout=1.0)
    assert_type(thread.is_alive(), bool)
    timer = threading.Timer(0.1, print, args=["late"])
    timer.cancel()
    assert_type(threading.active_count(), int)


def queues() -> None:
    fifo: queue.Queue[int] = queue.Queue(maxsize=3)
    fifo.put(1, block=False)
    assert_type(fifo.get(timeout=1), int)
    assert_type(fifo.get_many(10, timeout=0.5), list[int])
    fifo.put_many([1, 2, 3])
    fifo.shutdown(immediate=True)
    ranked = queue.PriorityQueue[tuple[int, str]]()
    assert_type(ranked.get_nowait(), tuple[int, str])
    simple = queue.SimpleQueue[bytes]()
    assert_type(simple.get(), bytes)
    last = queue.LifoQueue[str]()
    assert_type(last.get(), str)
    try:
        fifo.get_nowait()
    except (queue.Empty, queue.ShutDown):
        pass


def pool() -> None:
    with futures.ThreadPoolExecutor(max_workers=2) as executor:
        future = executor.submit(pow, 2, 3)
        assert_type(list(executor.map(str, [1, 2])), list[str])
        for done in futures.as_completed([future]):
            done.result(timeout=1)


class Unique(queue.Queue[str]):
    """A subclass with the standard library's hooks."""

    def _init(self, maxsize: int) -> None:
        self.seen: set[str] = set()
        super()._init(maxsize)

    def _put(self, item: str) -> None:
        if item not in self.seen:
            self.seen.add(item)
            super()._put(item)

    def _get(self) -> str:
        return super()._get()

    def _qsize(self) -> int:
        return super()._qsize()
