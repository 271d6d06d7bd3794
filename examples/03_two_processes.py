"""Two processes that compute at the same time, each in a memory of its own."""

import multiprocessing
import os

greeting = "hello from the parent"


def sum_of_squares(numbers, results):
    global greeting
    greeting = "changed in a child"  # changes the child's copy only
    # What a process wants to tell another one it has to send.
    results.put((numbers, sum(number * number for number in numbers), os.getpid()))


# A child may import this file to find `sum_of_squares`; the guard keeps it
# from starting children of its own.
if __name__ == "__main__":
    results = multiprocessing.Queue()
    halves = [range(0, 500_000), range(500_000, 1_000_000)]
    processes = [multiprocessing.Process(target=sum_of_squares, args=(half, results)) for half in halves]
    for process in processes:
        process.start()

    # Take the answers before `join`: a child ends only when its answer is taken.
    answers = sorted((results.get() for _ in processes), key=lambda answer: answer[0].start)
    for process in processes:
        process.join()

    for numbers, total, _ in answers:
        print(f"{numbers.start:>6} to {numbers.stop:>7}: {total}")
    print("both halves:", sum(total for _, total, _ in answers))
    print("processes:", len({os.getpid()} | {process_id for *_, process_id in answers}))
    print("greeting:", greeting)
