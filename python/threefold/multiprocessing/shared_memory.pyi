# The standard library's own module.

from multiprocessing.shared_memory import *  # noqa: F403 - every name of it
