# The standard library's own module.

from multiprocessing.spawn import *  # noqa: F403 - every name of it
