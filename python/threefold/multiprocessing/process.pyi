# The standard library's own module.

from multiprocessing.process import *  # noqa: F403 - every name of it
