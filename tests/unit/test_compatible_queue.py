"""The visible mode of a queue: hooks, parts, re-entrant puts, shutdown and coroutines, on threads and tasks."""

import asyncio
import threading
from collections import deque
from queue import Empty, Full
from typing import Any

import pytest

import threefold.queue
from threefold._compatible_queue import CompatibleQueue
from threefold._queue_hooks import (
    get_fifo,
    get_lifo,
    get_priority,
    init_fifo,
    init_lifo,
    init_priority,
    put_fifo,
    put_lifo,
    put_priority,
    qsize,
)
from threefold.queue import ShutDown
from threefold.threading import Event, Thread

SOON_S = 30.0
HOOKS = {
    "fifo": (init_fifo, put_fifo, get_fifo),
    "lifo": (init_lifo, put_lifo, get_lifo),
    "priority": (init_priority, put_priority, get_priority),
}


class Owner:
    """The little that the visible mode needs of the queue it belongs to."""

    kind = "fifo"

    def __init__(self, maxsize: int = 0, items: tuple[Any, ...] = ()) -> None:
        self.inside = CompatibleQueue(self, maxsize, items, len(items), False)

    @property
    def queue(self) -> Any:
        """Lead to the visible store."""
        return self.inside.queue

    @queue.setter
    def queue(self, store: Any) -> None:
        self.inside.queue = store

    def _init(self, maxsize: int) -> None:
        HOOKS[self.kind][0](self, maxsize)

    def _put(self, item: Any) -> None:
        HOOKS[self.kind][1](self, item)

    def _get(self) -> Any:
        return HOOKS[self.kind][2](self)

    def _qsize(self) -> int:
        return qsize(self)


def visible(maxsize: int = 0, *items: Any) -> tuple[Owner, CompatibleQueue]:
    """Return a queue in its visible mode with its owner, which must be kept."""
    owner = Owner(maxsize, items)
    return owner, owner.inside


@pytest.mark.parametrize(("kind", "order"), [("fifo", [2, 1, 3]), ("lifo", [3, 1, 2]), ("priority", [1, 2, 3])])
def test_each_kind_keeps_its_order(kind: str, order: list[int]) -> None:
    class Kind(Owner):
        pass

    Kind.kind = kind
    owner = Kind(0, (2, 1))
    owner.inside.put(3)
    assert isinstance(owner.queue, deque if kind == "fifo" else list)
    assert [owner.inside.get() for _ in range(3)] == order


def test_the_store_can_be_changed_by_hand_under_the_mutex() -> None:
    owner, queue = visible(2, 1, 2)
    assert queue.full()
    with queue.mutex:
        owner.queue.clear()
        owner.queue.append("by hand")
        queue.not_full.notify_all()
        assert queue.get() == "by hand"
        queue.put("inside")
    assert queue.qsize() == 1
    assert queue.unfinished_tasks == 3


def test_a_thread_that_waits_is_woken_by_hand() -> None:
    owner, queue = visible()
    seen: list[Any] = []
    thread = Thread(target=lambda: seen.append(queue.get(timeout=SOON_S)))
    thread.start()
    with queue.not_empty:
        owner.queue.append(1)
        queue.not_empty.notify()
    thread.join(SOON_S)
    assert seen == [1]


def test_full_and_empty_are_raised_in_time() -> None:
    _owner, queue = visible(1, "only")
    for refuse in (
        lambda: queue.put(1, False),
        lambda: queue.put(1, timeout=0.001),
        lambda: queue.put_many([1], 0.001),
    ):
        with pytest.raises(Full):
            refuse()
    assert queue.get() == "only"
    for refuse in (queue.get_nowait, lambda: queue.get(timeout=0.001), lambda: queue.get_many(3, 0.001)):
        with pytest.raises(Empty):
            refuse()
    with pytest.raises(ValueError, match="'timeout' must be a non-negative number"):
        queue.get(timeout=-1)
    with pytest.raises(ValueError, match="'timeout' must be a non-negative number"):
        queue.put(1, timeout=-1)
    with pytest.raises(ValueError, match="'max' must be at least 1"):
        queue.get_many(0)


def test_many_are_put_and_taken_together() -> None:
    _owner, queue = visible(3)
    thread = Thread(target=queue.put_many, args=(range(10),))
    thread.start()
    taken: list[int] = []
    while len(taken) < 10:
        some = queue.get_many(4, SOON_S)
        assert 1 <= len(some) <= 4
        taken += some
    thread.join()
    assert taken == list(range(10))


def test_every_item_arrives_once_between_many_threads() -> None:
    _owner, queue = visible(5)
    taken: list[int] = []

    def take() -> None:
        while (item := queue.get(timeout=SOON_S)) is not None:
            taken.append(item)
            queue.task_done()

    takers = [Thread(target=take) for _ in range(4)]
    putters = [Thread(target=queue.put_many, args=(range(start, 2_000, 4),)) for start in range(4)]
    for thread in [*takers, *putters]:
        thread.start()
    for thread in putters:
        thread.join()
    queue.join()
    assert sorted(taken) == list(range(2_000))
    queue.put_many([None] * 4)
    for thread in takers:
        thread.join(SOON_S)


def test_task_done_too_often_is_an_error() -> None:
    _owner, queue = visible(0, 1)
    queue.task_done()
    with pytest.raises(ValueError, match=r"task_done\(\) called too many times"):
        queue.task_done()
    queue.join()


def test_shutdown_refuses_puts_and_lets_gets_finish() -> None:
    _owner, queue = visible(0, 1)
    queue.shutdown()
    with pytest.raises(ShutDown):
        queue.put(2)
    assert queue.get() == 1
    for refuse in (queue.get, queue.get_nowait, lambda: queue.get(timeout=SOON_S)):
        with pytest.raises(ShutDown):
            refuse()


def test_an_immediate_shutdown_drops_the_items_and_releases_all_who_wait() -> None:
    _owner, queue = visible(1, 1)
    raised: list[type] = []

    def put() -> None:
        try:
            queue.put(2)
        except ShutDown as error:
            raised.append(type(error))

    threads = [Thread(target=put), Thread(target=queue.join)]
    for thread in threads:
        thread.start()
    queue.shutdown(immediate=True)
    for thread in threads:
        thread.join(SOON_S)
    assert raised == [ShutDown]
    assert queue.qsize() == queue.unfinished_tasks == 0


def test_a_failing_hook_leaves_the_queue_as_it_was() -> None:
    class Failing(Owner):
        fails = False

        def _put(self, item: Any) -> None:
            if self.fails:
                raise KeyError(item)
            super()._put(item)

    owner = Failing()
    owner.inside.put(1)
    owner.fails = True
    with pytest.raises(KeyError):
        owner.inside.put(2)
    owner.fails = False
    owner.inside.put(3)
    assert [owner.inside.get(), owner.inside.get(), owner.inside.unfinished_tasks] == [1, 3, 2]


def test_a_put_in_the_middle_of_a_change_is_kept_until_it_is_over() -> None:
    class Nosy(Owner):
        def _put(self, item: Any) -> None:
            if item == "outer":
                self.inside.put("inner")
                assert list(self.queue) == []
            super()._put(item)

        def _get(self) -> Any:
            item = super()._get()
            if item == "outer":
                self.inside.put("late")
            return item

    owner = Nosy(1)
    owner.inside.put("outer")
    assert [owner.inside.get() for _ in range(3)] == ["outer", "inner", "late"]
    assert owner.inside.unfinished_tasks == 3


def test_a_get_in_the_middle_of_a_change_does_not_wait_for_itself() -> None:
    class Nosy(Owner):
        def _put(self, item: Any) -> None:
            with pytest.raises(Empty):
                self.inside.get_nowait()
            with pytest.raises(RuntimeError, match="would wait for ever"):
                self.inside.get()
            super()._put(item)

    owner = Nosy()
    owner.inside.put(1)
    assert owner.inside.get() == 1


def test_what_the_native_queue_held_comes_first() -> None:
    _owner, queue = visible()
    queue.put("new")
    queue._take_over(["old", "older"], 2, False)
    assert [queue.get() for _ in range(3)] == ["old", "older", "new"]
    assert queue.unfinished_tasks == 3


def test_tasks_and_threads_share_one_queue() -> None:
    _owner, queue = visible(2)

    async def main() -> list[int]:
        thread = threading.Thread(target=queue.put_many, args=(range(50),))
        thread.start()
        taken = [await queue.get_async(SOON_S) for _ in range(50)]
        thread.join()
        for _ in taken:
            queue.task_done()
        await queue.join_async()
        return taken

    assert asyncio.run(main()) == list(range(50))


def test_a_task_waits_for_room() -> None:
    _owner, queue = visible(1)

    async def main() -> list[int]:
        async def put() -> None:
            for number in range(20):
                await queue.put_async(number)
            queue.shutdown()

        putting = asyncio.create_task(put())
        taken = []
        while True:
            try:
                taken.append(await anext_of(queue))
            except StopAsyncIteration:
                break
        await putting
        return taken

    async def anext_of(iterator: CompatibleQueue) -> Any:
        return await iterator.__anext__()

    assert asyncio.run(main()) == list(range(20))


def test_tasks_time_out() -> None:
    _owner, queue = visible(1)

    async def main() -> None:
        with pytest.raises(Empty):
            await queue.get_async(0.001)
        await queue.put_async(1)
        with pytest.raises(Full):
            await queue.put_async(2, 0.001)

    asyncio.run(main())


def test_a_cancelled_task_hands_its_turn_on() -> None:
    _owner, queue = visible()

    async def main() -> str:
        first, second = (asyncio.create_task(queue.get_async()) for _ in range(2))
        while len(queue._waiting_gets) < 2:
            await asyncio.sleep(0)
        queue.put("item")
        first.cancel()
        try:
            return str(await first)
        except asyncio.CancelledError:
            return str(await asyncio.wait_for(second, SOON_S))
        finally:
            second.cancel()

    assert asyncio.run(main()) == "item"


@pytest.mark.skipif(not hasattr(threefold.queue.Queue, "mutex"), reason="the queues of this build have no visible mode")
def test_a_native_queue_turns_into_a_visible_one() -> None:
    queue = threefold.queue.Queue(3)
    queue.put(1)
    assert list(queue.queue) == [1]
    queue.put(2)
    with queue.mutex:
        queue.queue.appendleft(0)
    assert [queue.get() for _ in range(3)] == [0, 1, 2]
    assert queue.unfinished_tasks == 2


@pytest.mark.skipif(not hasattr(threefold.queue.Queue, "_put"), reason="the queues of this build have no hooks")
def test_a_subclass_of_a_native_queue_may_replace_the_hooks() -> None:
    class Unique(threefold.queue.Queue):
        def _init(self, maxsize: int) -> None:
            self.queue = set()

        def _put(self, item: Any) -> None:
            self.queue.add(item)

        def _get(self) -> Any:
            return self.queue.pop()

    queue = Unique()
    has_begun = Event()
    for item in (1, 1, 2):
        queue.put(item)
    has_begun.set()
    assert queue.qsize() == 2
    assert {queue.get(), queue.get()} == {1, 2}
