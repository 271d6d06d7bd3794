"""CPython's generic lock tests bound directly to the types of `threefold.threading`, without any patching in between."""

from __future__ import annotations

from test import lock_tests, test_threading

from threefold import threading


class LockTests(lock_tests.LockTests):
    locktype = staticmethod(threading.Lock)


class RLockTests(lock_tests.RLockTests):
    locktype = staticmethod(threading.RLock)


class ConditionAsRLockTests(test_threading.ConditionAsRLockTests):
    # From test_threading, because it knows which tests of an RLock no Condition has to pass.
    locktype = staticmethod(threading.Condition)


class ConditionTests(lock_tests.ConditionTests):
    condtype = staticmethod(threading.Condition)


class EventTests(lock_tests.EventTests):
    eventtype = staticmethod(threading.Event)


class SemaphoreTests(lock_tests.SemaphoreTests):
    semtype = staticmethod(threading.Semaphore)


class BoundedSemaphoreTests(lock_tests.BoundedSemaphoreTests):
    semtype = staticmethod(threading.BoundedSemaphore)


class BarrierTests(lock_tests.BarrierTests):
    barriertype = staticmethod(threading.Barrier)
