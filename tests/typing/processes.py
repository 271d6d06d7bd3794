"""What type checkers must see in a program that takes `multiprocessing` from us; checked, never run."""

from typing import assert_type

from threefold import multiprocessing
from threefold.multiprocessing import connection, managers, queues, shared_memory, synchronize


def objects(numbers: queues.Queue[int]) -> None:
    numbers.put(1, timeout=0.5)
    assert_type(numbers.get(), int)
    assert_type(multiprocessing.Lock(), synchronize.Lock)
    with multiprocessing.RLock(), multiprocessing.BoundedSemaphore(2):
        assert_type(multiprocessing.Event().wait(0.1), bool)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    assert_type(receiver, connection.Connection)
    sender.send_bytes(b"abc", 1)
    assert_type(receiver.recv_bytes(), bytes)
    assert_type(receiver.poll(None), bool)


def contexts() -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=print, args=(1,), daemon=True)
    process.start()
    process.join(timeout=1)
    assert_type(process.exitcode, int | None)


def kept(manager: managers.SyncManager, memory: shared_memory.SharedMemory) -> None:
    assert_type(memory.name, str)
    manager.shutdown()
    assert_type(multiprocessing.cpu_count(), int)


def told(lock: synchronize.Lock) -> None:
    assert_type(multiprocessing.Condition(owner_died="raise"), synchronize.Condition)
    assert_type(multiprocessing.BoundedSemaphore(2, owner_died="inherit"), synchronize.BoundedSemaphore)
    try:
        lock.acquire()
    except multiprocessing.OwnerDied as error:
        assert_type((error.pid, error.held), tuple[int, str])
