"""A pool of four worker processes squares five numbers."""

from multiprocessing import Pool


def square(number):
    return number * number


if __name__ == "__main__":
    with Pool(4) as pool:
        # Four workers, five numbers: whoever is free first takes the fifth.
        # The results come back in the order of the numbers all the same.
        print(pool.map(square, [1, 2, 3, 4, 5]))
