"""Contexts of callbacks: each has its own, also when so many are scheduled that they share one until they run."""

import contextvars
import gc
import sys
import weakref

import pytest

from threefold.asyncio import EventLoop

#: More than a loop makes contexts for at once.
CROWD = 1000

variable = contextvars.ContextVar("variable", default=None)


@pytest.fixture
def loop():
    loop = EventLoop()
    yield loop
    loop.close()


def turn(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


def schedule_soon(loop, callback, *args, context=None):
    return loop.call_soon(callback, *args, context=context)


def schedule_later(loop, callback, *args, context=None):
    return loop.call_later(0, callback, *args, context=context)


def schedule_threadsafe(loop, callback, *args, context=None):
    return loop.call_soon_threadsafe(callback, *args, context=context)


each_way = pytest.mark.parametrize("schedule", [schedule_soon, schedule_later, schedule_threadsafe])


@each_way
def test_what_one_callback_of_a_crowd_sets_the_others_do_not_see(loop, schedule):
    seen = []

    def callback(number):
        seen.append(variable.get())
        variable.set(number)

    for number in range(CROWD):
        schedule(loop, callback, number)
    turn(loop)
    assert seen == [None] * CROWD
    assert variable.get() is None


@each_way
def test_each_callback_of_a_crowd_sees_what_was_set_when_it_was_scheduled(loop, schedule):
    seen = []

    def schedule_all():
        for number in range(CROWD):
            if number % 3 == 0:
                variable.set(number)
            schedule(loop, lambda: seen.append(variable.get()))
        variable.set("later")

    contextvars.copy_context().run(schedule_all)
    turn(loop)
    assert seen == [number - number % 3 for number in range(CROWD)]


def test_a_crowd_in_contexts_of_their_own_runs_in_these(loop):
    contexts = [contextvars.copy_context() for _ in range(CROWD)]
    for number, context in enumerate(contexts):
        loop.call_soon(variable.set, number, context=context)
        loop.call_soon(lambda: None)
    turn(loop)
    assert [context[variable] for context in contexts] == list(range(CROWD))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="handles do not tell their context")
@pytest.mark.parametrize("asks_first", [True, False])
def test_the_context_that_a_handle_tells_is_the_one_in_which_it_runs(loop, asks_first):
    handles = [loop.call_soon(variable.set, number) for number in range(CROWD)]
    contexts = [handle.get_context() for handle in handles] if asks_first else None
    turn(loop)
    contexts = contexts or [handle.get_context() for handle in handles]
    assert [context[variable] for context in contexts] == list(range(CROWD))
    assert [handle.get_context() for handle in handles] == contexts
    assert len({id(context) for context in contexts}) == CROWD


def test_a_crowd_that_runs_in_debug_mode_shares_nothing(loop):
    seen = []

    def callback(number):
        seen.append(variable.get())
        variable.set(number)

    for number in range(CROWD):
        loop.call_soon(callback, number)
    loop.set_debug(True)
    turn(loop)
    assert seen == [None] * CROWD


def test_an_error_in_a_crowd_is_reported_in_the_context_of_its_callback(loop):
    seen = []
    loop.set_exception_handler(lambda _loop, context: seen.append(context["handle"]._context[variable]))

    def callback(number):
        variable.set(number)
        raise ZeroDivisionError

    for number in range(CROWD):
        loop.call_soon(callback, number)
    turn(loop)
    assert seen == list(range(CROWD))


def test_a_crowd_that_has_gone_keeps_no_value_of_its_context(loop):
    class Value:
        pass

    def schedule_all():
        value = Value()
        variable.set(value)
        for _ in range(CROWD):
            loop.call_soon(lambda: None)
            loop.call_later(1e-9, lambda: None)
        return weakref.ref(value)

    reference = contextvars.copy_context().run(schedule_all)
    assert reference() is not None
    turn(loop)
    turn(loop)
    gc.collect()
    assert reference() is None


def test_garbage_in_the_context_of_a_crowd_is_collected():
    class Value:
        pass

    def schedule_all():
        value = Value()
        loop = value.loop = EventLoop()
        variable.set(value)
        for _ in range(CROWD):
            loop.call_soon(lambda: None)
        return weakref.ref(value)

    reference = contextvars.copy_context().run(schedule_all)
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        gc.collect()
    assert reference() is None
