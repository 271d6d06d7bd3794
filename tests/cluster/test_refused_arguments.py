"""What lives on this machine is refused by name before a task is sent anywhere."""

import multiprocessing
import pickle
from multiprocessing import shared_memory

import pytest

from threefold import multiprocessing as ours
from threefold.cluster import Capabilities, UnsupportedOnBackend
from threefold.cluster._encode import Encoder

KINDS = (
    "Lock",
    "RLock",
    "Semaphore",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "Queue",
    "JoinableQueue",
    "SimpleQueue",
)


class ShortPickler(pickle.Pickler):
    """Stands for the engine's own pickler, which need not be installed here."""

    def reducer_override(self, item):
        return NotImplemented


@pytest.fixture(params=["ray", "dask"])
def encoder(request):
    return Encoder(ShortPickler, Capabilities(request.param))


@pytest.mark.parametrize("module", [multiprocessing, ours], ids=["standard", "ours"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_object_that_processes_share_is_refused(encoder, module, kind):
    item = getattr(module, kind)()
    with pytest.raises(
        UnsupportedOnBackend, match=r"passing a \w+ to tasks is not available on (ray|dask): they live in"
    ):
        encoder.chunk([{"deep": [item]}])


@pytest.mark.parametrize("module", [multiprocessing, ours], ids=["standard", "ours"])
def test_a_barrier_a_value_and_an_array_are_refused(encoder, module):
    for item in (module.Barrier(2), module.Value("i"), module.Array("i", 2), module.RawValue("i")):
        with pytest.raises(UnsupportedOnBackend, match="not available on"):
            encoder.chunk([item])


@pytest.mark.parametrize("module", [multiprocessing, ours], ids=["standard", "ours"])
def test_an_end_of_a_pipe_and_a_process_are_refused(encoder, module):
    first, second = module.Pipe()
    with first, second:
        for item in (first, module.Process()):
            with pytest.raises(UnsupportedOnBackend, match="not available on"):
                encoder.chunk([item])


def test_shared_memory_is_refused(encoder):
    memory = shared_memory.SharedMemory(create=True, size=16)
    try:
        with pytest.raises(UnsupportedOnBackend, match="passing a SharedMemory to tasks"):
            encoder.chunk([memory])
    finally:
        memory.close()
        memory.unlink()


def test_what_a_function_is_bound_to_is_looked_at_as_well(encoder):
    with pytest.raises(UnsupportedOnBackend, match="passing a Lock to tasks"):
        encoder.function(len, initializer=len, initargs=(multiprocessing.Lock(),))


def test_a_runtime_error_of_the_items_own_is_left_as_it_is(encoder):
    class Odd:
        def __reduce__(self):
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        encoder.chunk([Odd()])


def test_what_is_plain_is_pickled(encoder):
    assert pickle.loads(encoder.chunk([1, "two", (3,)])) == [1, "two", (3,)]
