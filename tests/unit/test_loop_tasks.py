"""Tasks, futures and handles of the event loop: the interpreter's own, made without a line of Python."""

import asyncio
import contextvars
import gc
import sys
import threading
import weakref

import pytest

from threefold.asyncio import EventLoop


def run(main):
    """Run a coroutine function, which is given the loop, to its end."""
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(main(runner.get_loop()))


async def work(value=None):
    await asyncio.sleep(0)
    return value


def test_tasks_and_futures_are_the_interpreters():
    async def main(loop):
        task = loop.create_task(work(1), name="first")
        assert type(task) is asyncio.Task
        assert task.get_name() == "first"
        assert task.get_loop() is loop
        assert await task == 1
        assert loop.create_task(work()).get_name().startswith("Task-")
        future = loop.create_future()
        assert type(future) is asyncio.Future
        assert future.get_loop() is loop
        assert loop.get_debug() is False
        with pytest.raises(TypeError):
            loop.create_task(1)
        with pytest.raises(TypeError):
            loop.create_future(1)
        coroutine = work()
        with pytest.raises(TypeError):
            loop.create_task(coroutine, colour="red")
        coroutine.close()

    run(main)


def test_a_task_runs_in_the_context_that_it_is_given():
    place = contextvars.ContextVar("place", default="elsewhere")

    async def where():
        await asyncio.sleep(0)
        return place.get()

    async def main(loop):
        context = contextvars.copy_context()
        context.run(place.set, "here")
        assert await loop.create_task(where(), context=context) == "here"
        assert await loop.create_task(where(), name="x", context=None) == "elsewhere"

    run(main)


def test_a_task_factory_is_asked_until_it_is_taken_away():
    made = []

    def factory(loop, coroutine, **keywords):
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **keywords)

    async def main(loop):
        loop.set_task_factory(factory)
        assert await loop.create_task(work(2)) == 2
        assert len(made) == 1
        assert loop.get_task_factory() is factory
        loop.set_task_factory(None)
        assert await loop.create_task(work(3)) == 3
        assert len(made) == 1
        with pytest.raises(TypeError):
            loop.set_task_factory(1)

    run(main)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="new in 3.12")
def test_eager_tasks_run_at_once():
    async def main(loop):
        loop.set_task_factory(asyncio.eager_task_factory)
        ran = []

        async def eager():
            ran.append(1)

        task = loop.create_task(eager())
        assert ran == [1]
        assert task.done()

    run(main)


def test_in_debug_mode_a_task_knows_where_it_was_made():
    async def main(loop):
        loop.set_debug(True)
        task = loop.create_task(work())
        assert task._source_traceback[-1].name == "main"
        assert loop.create_future()._source_traceback
        await task

    run(main)


def test_a_closed_loop_makes_no_tasks():
    loop = EventLoop()
    loop.close()
    coroutine = work()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.create_task(coroutine)
    coroutine.close()


def test_a_handle_that_somebody_holds_is_not_used_again():
    async def main(loop):
        ran = []
        held = [loop.call_soon(ran.append, number) for number in range(100)]
        weak = loop.call_soon(ran.append, 100)
        reference = weakref.ref(weak)
        del weak
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for _ in range(1000):
            loop.call_soon(ran.append, None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert ran[:101] == list(range(101))
        assert [handle._args for handle in held] == [(number,) for number in range(100)]
        assert reference() is None
        assert all(not handle.cancelled() and "append" in repr(handle) for handle in held)

    run(main)


def test_a_handle_that_is_used_again_keeps_nothing_of_its_former_callback():
    class Thing:
        def call(self):
            pass

    async def main(loop):
        thing = Thing()
        reference = weakref.ref(thing)
        loop.call_soon(thing.call)
        del thing
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert reference() is None
        return weakref.ref(loop)

    loop = run(main)
    gc.collect()
    assert loop() is None


def test_garbage_with_handles_in_it_is_collected():
    class Thing:
        def call(self):
            pass

    async def main(loop):
        references = []
        for schedule in (
            loop.call_soon,
            lambda call: loop.call_later(0, call),
            lambda call: loop.call_later(1000, call).cancel(),
        ):
            thing = Thing()
            thing.handle = schedule(thing.call)
            references.append(weakref.ref(thing))
            del thing
        cancelled = Thing()
        cancelled.handle = loop.call_later(1000, cancelled.call)
        cancelled.handle.cancel()
        references.append(weakref.ref(cancelled))
        del cancelled
        await asyncio.sleep(0.01)
        gc.collect()
        assert [reference() for reference in references] == [None] * 4

    run(main)


def test_a_handle_cancelled_while_it_waits_is_not_run():
    async def main(loop):
        ran = []
        handles = [loop.call_soon(ran.append, number) for number in range(10)]
        for handle in handles[::2]:
            handle.cancel()
        await asyncio.sleep(0)
        assert ran == [1, 3, 5, 7, 9]

    run(main)


@pytest.mark.parametrize("debug", [False, True])
def test_what_another_thread_brings_wakes_the_loop_at_once(debug):
    async def main(loop):
        loop.set_debug(debug)
        loop.slow_callback_duration = 1000
        begin = loop.time()
        heard = asyncio.Event()
        # Nothing else wakes the loop for an hour.
        loop.call_later(3600, heard.set)
        for _ in range(20):
            heard.clear()
            thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(heard.set))
            thread.start()
            await heard.wait()
            thread.join()
        assert loop.time() - begin < 20
        handle = loop.call_soon_threadsafe(heard.set)
        assert isinstance(handle, asyncio.Handle)
        heard.clear()
        handle.cancel()
        assert handle.cancelled()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not heard.is_set()

    run(main)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="new in 3.14")
def test_cancelling_from_another_thread_waits_for_the_callback():
    async def main(loop):
        started, may_end, order = threading.Event(), threading.Event(), []

        def callback():
            started.set()
            may_end.wait(10)
            order.append("callback has ended")

        def cancel():
            started.wait(10)
            threading.Timer(0.05, may_end.set).start()
            handle.cancel()
            order.append("cancelled")

        handle = loop.call_soon_threadsafe(callback)
        thread = threading.Thread(target=cancel)
        thread.start()
        await loop.run_in_executor(None, thread.join)
        assert order == ["callback has ended", "cancelled"]

    run(main)
