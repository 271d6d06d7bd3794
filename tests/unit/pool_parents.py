"""Programs with a pool that are killed, interrupted or end by themselves: `pool_parents.py NAME METHOD DIRECTORY`."""

import atexit
import contextlib
import itertools
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pool_misuse as misuse
import pool_programs as programs

from threefold import futures, multiprocessing

WORKERS = 2


def say(*words: object) -> None:
    """Tell the test."""
    print(*words, flush=True)


def make_busy(pool: Any, directory: str, program: Any = programs.begin_and_sleep) -> list[Any]:
    """Give each worker something to do and more to come, and wait until all have begun."""
    results = [pool.apply_async(program, (directory,)) for _ in range(2 * WORKERS)]
    wait_for_workers(directory)
    return results


def wait_for_workers(directory: str, count: int = WORKERS) -> None:
    """Return once as many workers have recorded themselves."""
    record = Path(directory, "record")
    while not record.exists() or len(record.read_text().split()) < count:
        time.sleep(0.002)


def sleep() -> None:
    """Be there until killed."""
    say("ready")
    time.sleep(programs.LIMIT_S)


# What is killed with its workers idle or at work.


def be_idle(context: Any, directory: str) -> None:
    pool = context.Pool(WORKERS, initializer=programs.record_myself, initargs=(directory,))
    pool.map(programs.same, range(10))
    wait_for_workers(directory)
    sleep()


def be_busy(context: Any, directory: str) -> None:
    pool = context.Pool(WORKERS)
    results = make_busy(pool, directory)
    sleep()
    del results


def have_spinning_workers(context: Any, directory: str) -> None:
    pool = context.Pool(WORKERS)
    make_busy(pool, directory, programs.begin_and_spin)
    sleep()


def have_deaf_workers(context: Any, directory: str) -> None:
    pool = context.Pool(WORKERS)
    make_busy(pool, directory, programs.begin_deaf)
    sleep()


def have_workers_in_c(context: Any, directory: str) -> None:
    pool = context.Pool(WORKERS)
    make_busy(pool, directory, programs.begin_and_hold_the_interpreter)
    sleep()


def have_preparing_workers(context: Any, directory: str) -> None:
    pool = context.Pool(WORKERS, initializer=programs.begin_and_sleep, initargs=(directory,))
    pool.map_async(programs.same, range(10))
    wait_for_workers(directory)
    sleep()


def have_nested_pools(context: Any, directory: str) -> None:
    pool = context.Pool(WORKERS)
    pool.starmap_async(misuse.sleep_in_a_nested_pool, [(context.get_start_method(), directory)] * WORKERS, 1)
    wait_for_workers(directory, WORKERS * 3)
    sleep()


def have_an_executor(context: Any, directory: str) -> None:
    executor = futures.ProcessPoolExecutor(WORKERS, mp_context=context)
    for _ in range(2 * WORKERS):
        executor.submit(programs.begin_and_sleep, directory)
    wait_for_workers(directory)
    sleep()


def have_another_child(context: Any, directory: str) -> None:
    pool = context.Pool(WORKERS, initializer=programs.record_myself, initargs=(directory,))
    pool.map(programs.same, range(10))
    wait_for_workers(directory)
    if not os.fork():
        # It has inherited every descriptor of its parent.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        time.sleep(programs.LIMIT_S)
        os._exit(0)
    sleep()


# What is interrupted by Ctrl-C.


def be_in_map(context: Any, directory: str) -> None:
    with context.Pool(WORKERS) as pool:
        pool.map(programs.begin_and_sleep, [directory] * 8, 1)


def be_in_get(context: Any, directory: str) -> None:
    with context.Pool(WORKERS) as pool:
        make_busy(pool, directory)[0].get()


def be_in_imap(context: Any, directory: str) -> None:
    with context.Pool(WORKERS) as pool:
        for _ in pool.imap(programs.begin_and_sleep, itertools.repeat(directory)):
            pass


def be_in_join(context: Any, directory: str) -> None:
    with context.Pool(WORKERS) as pool:
        pool.map_async(programs.begin_and_sleep, [directory] * 8, 1)
        pool.close()
        pool.join()


def be_elsewhere(context: Any, directory: str) -> None:
    with context.Pool(WORKERS) as pool:
        pool.starmap(programs.meet, [(directory, WORKERS)] * WORKERS, 1)
        pool.starmap(programs.begin_and_sleep, [(directory, 0.1)] * WORKERS, 1)
        time.sleep(programs.LIMIT_S)


def be_in_result(context: Any, directory: str) -> None:
    with futures.ProcessPoolExecutor(WORKERS, mp_context=context) as executor:
        executor.submit(programs.begin_and_sleep, directory)
        executor.submit(programs.begin_and_sleep, directory).result()


# What ends by itself, and leaves the pool to the end of the interpreter.


def end_with_an_idle_pool(context: Any, directory: str) -> None:
    global pool
    pool = context.Pool(WORKERS, initializer=programs.record_myself, initargs=(directory,))
    say(pool.map(programs.same, range(4)))
    wait_for_workers(directory)


def end_with_a_new_pool(context: Any, _directory: str) -> None:
    global pool
    pool = context.Pool(WORKERS)
    say("there")


def end_with_tasks(context: Any, directory: str) -> None:
    global pool, results
    pool = context.Pool(WORKERS)
    results = make_busy(pool, directory)
    say("busy")


def end_with_a_half_read_imap(context: Any, directory: str) -> None:
    global pool, results
    pool = context.Pool(WORKERS, initializer=programs.record_myself, initargs=(directory,))
    results = pool.imap(programs.same, itertools.count())
    say([next(results) for _ in range(3)])
    wait_for_workers(directory)


def end_with_a_closed_pool(context: Any, directory: str) -> None:
    global pool
    pool = context.Pool(WORKERS, initializer=programs.record_myself, initargs=(directory,))
    say(pool.map(programs.same, range(4)))
    pool.close()


def end_in_atexit(context: Any, directory: str) -> None:
    pool = context.Pool(WORKERS, initializer=programs.record_myself, initargs=(directory,))

    def end() -> None:
        say(pool.map(programs.same, range(4)))
        pool.close()
        pool.join()
        say("joined")

    atexit.register(end)


def end_with_a_waiting_thread(context: Any, directory: str) -> None:
    global pool
    pool = context.Pool(WORKERS)
    result = make_busy(pool, directory)[0]

    def wait() -> None:
        with contextlib.suppress(Exception):
            result.get()

    threading.Thread(target=wait, daemon=True).start()
    say("waiting")


def end_by_an_error(context: Any, directory: str) -> None:
    global pool
    pool = context.Pool(WORKERS)
    make_busy(pool, directory)
    raise LookupError("mine")


def end_in_a_task_of_its_own(context: Any, directory: str) -> None:
    with context.Pool(WORKERS, initializer=programs.record_myself, initargs=(directory,)) as pool:
        say(pool.map(programs.same, range(4)))
        wait_for_workers(directory)
        sys.exit(0)


def end_with_an_executor(context: Any, directory: str) -> None:
    global pool
    pool = futures.ProcessPoolExecutor(WORKERS, mp_context=context)
    for _ in range(4):
        pool.submit(programs.begin_and_sleep, directory, 0.1)
    say("submitted")


def end_in_a_forked_child(context: Any, directory: str) -> None:
    pool = context.Pool(WORKERS, initializer=programs.record_myself, initargs=(directory,))
    say(pool.map(programs.same, range(4)))
    running = pool.apply_async(programs.wait_until_it_exists, (f"{directory}/go",))
    for way in ("exits", "forgets", "terminates", "uses"):
        child = os.fork()
        if not child:
            end_as_a_child(pool, running, way)
        _, status = os.waitpid(child, 0)
        say(way, os.waitstatus_to_exitcode(status), pool.map(programs.same, range(4), 1))
    Path(directory, "go").touch()
    say(running.get(programs.LIMIT_S))
    pool.close()
    pool.join()


def end_as_a_child(pool: Any, running: Any, way: str) -> None:
    """Do in a forked child what must not touch the pool of its parent."""
    if way == "terminates":
        pool.terminate()
        pool.join()
    elif way == "uses":
        # Refused or timed out, but never done by the parent's workers behind its back.
        try:
            pool.apply_async(programs.same, (1,)).get(0.2)
        except Exception:
            os._exit(0)
        os._exit(1)
    elif way == "forgets":
        del pool, running
        os._exit(0)
    sys.exit(0)


def have_no_tracker(context: Any, _directory: str) -> None:
    with context.Pool(WORKERS) as pool:
        pool.map(programs.same, [bytes(10**6)] * 4)
        say(multiprocessing.resource_tracker._resource_tracker._fd)
        children = [task.joinpath("children").read_text().split() for task in Path("/proc/self/task").iterdir()]
        say(sum(map(len, children)))


def main() -> None:
    """Run one of the programs."""
    name, method, directory = sys.argv[1:]
    globals()[name](multiprocessing.get_context(method), directory)


if __name__ == "__main__":
    main()
