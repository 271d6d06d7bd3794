# The standard library's own module.

from multiprocessing.dummy import *  # noqa: F403 - every name of it
